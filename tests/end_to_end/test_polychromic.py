"""Diversity in the loss, whole: every job of the smoke preset for real, from the description to a
verdict. The weight must order the arms, and the arms must stay good."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engines.polychromic_report.config import Config
from engines.polychromic_report.load import Setting
from engines.polychromic_report.report import Report, make_report
from tests.support.cli import jobs, orch, states, until
from tests.support.private_slurm import PrivateSlurm

JOBS = {"data": 1, "evaluate": 1, "report": 1}
"""Beside the trainings: four for every seed."""


def report_of(folder: Path) -> Report:
    """What the report job read, read again."""
    (run,) = (folder / "runs").glob("polychromic/*")
    config = json.loads((run / "jobs" / "report" / "config.json").read_text())
    return make_report(Config.model_validate(config))


def lowest_gain(report: Report, arm: Setting, other: Setting, metric: str) -> float:
    """The lower end of the 95 % interval of the mean difference over the same prompts and seeds."""
    pairs = report.inputs.pairs(arm, other)
    apart = np.stack([one.values[metric] - two.values[metric] for one, two in pairs])
    by_prompt = apart.mean(axis=0)
    return float(by_prompt.mean() - 1.96 * by_prompt.std(ddof=1) / np.sqrt(len(by_prompt)))


def assert_weight_reached_the_replies(folder: Path, seeds: int) -> None:
    """All jobs are done, and what they measured is what a term with a gradient does."""
    found = jobs(folder)
    assert set(states(found).values()) == {"COMPLETED"}, states(found)
    assert Counter(row["stage"] for row in found.values()) == {**JOBS, "train": 4 * seeds}
    report = report_of(folder)
    plain, little, more, most = report.arms
    assert [arm.weight for arm in report.arms] == [0, 0.3, 1, 2]
    for arm, other in ((little, plain), (more, little)):
        assert lowest_gain(report, arm, other, "semantic_diversity") > 0
        assert lowest_gain(report, arm, other, "distinct_2_rarefied") > 0
    # Gated by quality: not fewer valid replies for it.
    for arm in (little, more, most):
        assert lowest_gain(report, arm, plain, "unique_valid") > 0
    for arm in report.arms:
        for training in report.inputs.trained(arm):
            (row,) = [one for one in training.rows if one.metric == "lambda_effective"]
            assert row.value == arm.weight
    shown = orch(folder, "report")
    assert shown.returncode == 0, shown.stderr
    assert "Quality-gated:" in shown.stdout


@pytest.mark.long  # the same jobs run on Slurm in every test run
@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_polychromic_on_this_machine(tmp_path: Path) -> None:
    arguments = ("launch", "polychromic", "--preset", "smoke", "--cluster", "local")
    result = orch(tmp_path, *arguments, "--watch", timeout=1400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert_weight_reached_the_replies(tmp_path, seeds=3)


@pytest.mark.slurm
@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_polychromic_on_slurm(slurm: PrivateSlurm, tmp_path: Path) -> None:
    arguments = ("launch", "polychromic", "--preset", "smoke", "--cluster", slurm.profile)
    # Two of the three seeds, for the time that it takes.
    fewer = ("--set", "train.matrix.seed=[0, 1]")
    result = orch(tmp_path, *arguments, *fewer, "--no-watch", timeout=300)
    assert result.returncode == 0, result.stderr
    until(tmp_path, lambda now: now["report"]["state"] == "COMPLETED", seconds=1300)
    assert_weight_reached_the_replies(tmp_path, seeds=2)
