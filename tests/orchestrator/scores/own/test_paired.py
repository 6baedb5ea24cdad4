"""`orch compare` of what commands have measured."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from tests.support.cli import SMALL, orch
from tests.support.extras import needs

FIT = """
import random, sys, orch
rate, seed, more = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
noise = random.Random(seed).random()
orch.result("error", 1.0 + rate + 0.1 * noise - more * (0.5 + 0.01 * seed), n=100)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the same sweep, one with a smaller error."""
    folder = tmp_path_factory.mktemp("paired")
    (folder / "fit.py").write_text(FIT)
    for name, more, seeds in (("plain", 0, "0, 1, 2"), ("better", 1, "0, 1, 2, 3")):
        (folder / f"{name}.yaml").write_text(
            f"experiment: {name}\nabout: a sweep\nstages:\n"
            f'  train: {{command: "{sys.executable} fit.py {{lr}} {{seed}} {more}", '
            f"matrix: {{lr: [0.1, 0.2], seed: [{seeds}]}}, "
            f"metrics: {{error: {{better: lower}}}}, {SMALL}}}\n"
        )
        said = orch(folder, "launch", f"{name}.yaml", "--cluster", "local", "--watch")
        assert said.returncode == 0, said.stdout + said.stderr
    return folder


@needs("scipy")
def test_two_runs_are_compared_setting_by_setting_over_seeds(folder: Path) -> None:
    said = orch(folder, "compare", "plain", "better", "--out", "compared")
    assert said.returncode == 0, said.stderr
    assert "better against plain, 2 lines: better (2)." in said.stdout
    assert "better alone has error (seed 3 of lr=0.1)" in said.stdout
    rows = list(csv.DictReader((folder / "compared" / "table.csv").open()))
    assert [row["setting"] for row in rows] == ["lr=0.1", "lr=0.2"]
    assert all(abs(float(row["difference"]) + 0.51) < 1e-9 for row in rows)
    assert "<script" not in (folder / "compared" / "report.html").read_text()


def test_two_settings_of_a_run_and_a_gate_on_their_difference(folder: Path) -> None:
    sides = ("plain:train/lr=0.1", "plain:train/lr=0.2")
    gate = "metric=error difference>0.05"
    failed = orch(folder, "compare", *sides, "--fail-if", gate)
    assert (failed.returncode, "difference is 0.1000" in failed.stderr) == (3, True)
    # The same rate's worth in every seed has no spread, and so no verdict.
    assert "no verdict: the same difference in every pair" in failed.stdout
    good = orch(folder, "compare", *reversed(sides), "--fail-if", gate)
    assert good.returncode == 0
    wrong = orch(folder, "compare", *sides, "--fail-if", "metric=loss difference>0")
    assert (wrong.returncode, "there are: error" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("plain", "plain"), "are the same jobs; name two"),
        (("plain", "better", "--metric", "loss"), "no job of the one has the metric"),
        (("plain", "better", "--specialist", "plain"), "leave it out here"),
        (("plain@last", "better"), "name two of a kind"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    folder: Path, words: tuple[str, ...], told: str
) -> None:
    said = orch(folder, "compare", *words)
    assert (said.returncode, told in said.stderr) == (2, True), said.stderr
    assert len(said.stderr.splitlines()) == 1
