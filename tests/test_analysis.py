"""The report: statistics against closed forms, the program on files of finished jobs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.analysis import Config
from engines.analysis.__main__ import run
from engines.evaluation import Config as EvaluationConfig
from engines.io import ConfigError, Progress, Stop, write_results
from engines.statistics import minimum_detectable, paired_bootstrap, t_interval, wilson

differences = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30).map(np.array)


def test_wilson_is_its_closed_form_at_zero_successes():
    z2 = 1.959963984540054**2
    found = wilson(0, 20)
    assert found.low == pytest.approx(0.0)
    assert found.high == pytest.approx(z2 / (20 + z2))


def test_identical_arms_differ_by_zero_with_zero_width():
    found = paired_bootstrap([np.zeros(30)], seed=0)
    assert (found.value, found.low, found.high) == (0, 0, 0)


@given(differences)
def test_swapping_the_arms_mirrors_the_interval(values):
    one, other = paired_bootstrap([values], 3, 200), paired_bootstrap([-values], 3, 200)
    assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))


def test_the_t_interval_of_two_seeds_and_the_detectable_difference_are_their_closed_forms():
    assert t_interval([0.0, 2.0]).high == pytest.approx(1 + 12.706)
    values = np.array([0.0, 1.0, 0.0, 1.0])
    assert minimum_detectable([values]) == pytest.approx(2.8015852 * values.std(ddof=1) / math.sqrt(4))


def evaluated(root: Path, arm: str, values: dict[str, list[float | None]], seed: int = 0) -> dict:
    """A finished evaluation job of one arm."""
    out = root / f"evaluate-{arm}-{seed}" / "out"
    (out / "scores").mkdir(parents=True)
    lines = [{"item_id": f"{domain}{i}", "sample": 0, "domain": domain, "task": domain, "value": value, "extracted": "",
              "status": "error" if value is None else "ok"} for domain, column in values.items() for i, value in enumerate(column)]
    (out / "scores" / "epoch-000002.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_results(out, "evaluation", EvaluationConfig(models="m", data="d"), [], 1.0,
                  {"checkpoints": [{"name": "epoch-000002", "step": 4, "epoch": 2}]})
    return {"job": f"evaluate/arm={arm},seed={seed}", "stage": "evaluate", "axes": {"arm": arm, "seed": seed}, "folder": str(out)}


def report(root: Path, inputs: list[dict]) -> Path:
    config = Config.model_validate({"inputs": inputs, "compare": {"baseline": "baseline", "treatment": "pcgrad"}})
    (root / "out").mkdir()
    run(config, root / "out", Stop())
    return root / "out"


def test_the_terminal_report_says_the_difference_and_its_limits(tmp_path):
    out = report(tmp_path, [evaluated(tmp_path, "baseline", {"math": [0, 0, 0, 0]}), evaluated(tmp_path, "pcgrad", {"math": [1, 1, 1, 1]})])
    text = (out / "report.txt").read_text()
    assert text.splitlines()[:5] == [
        "accuracy: pcgrad is better than baseline on these 4 problems: +100.0 [+100.0, +100.0] points, macro",
        "mean over domains.", "", "domain      n  baseline  treatment        difference [95 %]  detectable",
        "math        4       0.0      100.0  +100.0 [+100.0, +100.0]     unknown"]
    assert "not the variance of training" in text
    assert max(map(len, text.splitlines())) <= 100
    page = (out / "report.html").read_text()
    assert "http" not in page
    assert "data:image/png;base64," in page


def test_a_missing_number_is_named_and_never_zero(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"code": [None, None], "math": [1, 0]}),
              evaluated(tmp_path, "pcgrad", {"code": [1, 1], "math": [1, 0]})]
    out = report(tmp_path, inputs)
    rows = json.loads((out / "results.json").read_text())["rows"]
    code = [row for row in rows if row["axes"]["domain"] == "code"]
    assert all(row["value"] is None and row["error"] for row in code)
    assert "2 samples without a score (code: error)" in (out / "report.txt").read_text()


def test_unequal_problems_are_refused(tmp_path):
    inputs = [evaluated(tmp_path, "baseline", {"math": [1, 0]}), evaluated(tmp_path, "pcgrad", {"math": [1]})]
    with pytest.raises(ConfigError, match="not comparable: math has 2 problems"):
        report(tmp_path, inputs)


def test_an_arm_that_is_not_done_is_named(tmp_path):
    out = report(tmp_path, [evaluated(tmp_path, "baseline", {"math": [1, 0]})])
    assert "No answer: no finished evaluation of pcgrad" in (out / "report.txt").read_text()


def test_two_seeds_give_a_spread_over_seeds_and_curves_are_drawn(tmp_path):
    inputs = [evaluated(tmp_path, arm, {"math": [seed, arm == "pcgrad"]}, seed) for arm in ("baseline", "pcgrad") for seed in (0, 1)]
    train = tmp_path / "train" / "out"
    train.mkdir(parents=True)
    Progress(train).write(1, 1, {"validation_reward_mean": 0.5, "validation_reward/math": 0.5, "cosine/code|math": -0.2})
    inputs.append({"job": "train/arm=pcgrad,seed=0", "stage": "train", "axes": {"arm": "pcgrad", "seed": 0}, "folder": str(train)})
    out = report(tmp_path, inputs)
    assert "Over training seeds the macro difference is +50.0 [+50.0, +50.0]" in (out / "report.txt").read_text()
    assert {p.stem for p in (out / "figures").iterdir()} == {"differences", "validation_reward_mean", "tasks", "cosines"}
