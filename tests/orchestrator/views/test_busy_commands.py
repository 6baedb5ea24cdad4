"""What the commands that can take long show of themselves, each called as it is on a terminal.

The bars are drawn by line.py, and test_busy.py looks at them; here it is that each command counts
what it works on. A bar is drawn with 0 of its total when it begins, however fast the work is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.cli import ORCH, SMALL, launch, orch
from tests.support.terminal import frames, on_terminal

TRAIN = """
import os, sys, orch
(orch.out() / "weights").write_text(sys.argv[1])
orch.checkpoint("step-1", orch.out() / "weights", 1, loss=1.0)
orch.result("error", float(sys.argv[1]))
if sys.argv[2] == "dies" and not os.path.exists("mended"):
    sys.exit("not yet")
"""
STAGES = f"""
  first: {{command: "{sys.executable} train.py {{seed}} lives", matrix: {{seed: [1, 2]}}, {SMALL}}}
  second: {{command: "{sys.executable} train.py {{seed}} dies", matrix: {{seed: [1, 2]}}, {SMALL}}}
  score: {{command: "{sys.executable} score.py {{checkpoint}}", for_each: first, checkpoints: last,
          {SMALL}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("busy")
    (made / "train.py").write_text(TRAIN)
    (made / "score.py").write_text("import orch\norch.result('right', 1.0)\n")
    assert launch(made, STAGES).returncode == 1
    return made


def shown(folder: Path, *arguments: str) -> list[str]:
    """The bars with which a command begins a kind of work: its words, and of how many."""
    variables = {"ORCH_RUNS": str(folder / "runs"), "TMPDIR": str(folder)}
    text = on_terminal([ORCH, *arguments], 80, folder, variables)
    bars = [line for line in frames(text) if line.startswith("~ TIME ") and " 0 of " in line]
    # Between the words and the numbers is the bar.
    return [" ".join(line.replace("━", " ").split()[2:]) for line in bars]


def test_plan_counts_the_jobs_that_it_makes(folder: Path) -> None:
    assert "planning jobs 0 of 6" in shown(folder, "plan", "trial.yaml", "--cluster", "local")


def test_check_counts_what_it_looks_at(folder: Path) -> None:
    bars = shown(folder, "check", "trial.yaml", "--cluster", "local")
    assert bars == ["planning jobs 0 of 6", "checking what the jobs need 0 of 8"]


@pytest.fixture(scope="module")
def retried(folder: Path) -> list[str]:
    """What a retry shows, once its jobs are done."""
    (folder / "mended").touch()
    bars = shown(folder, "retry", "trial")
    assert orch(folder, "wait", "trial", "--timeout", "240").returncode == 0
    return bars


def test_retry_counts_what_it_submits(retried: list[str]) -> None:
    assert "submitting jobs 0 of 2" in retried


@pytest.mark.usefixtures("retried")
def test_compare_shows_how_far_the_program_is_that_compares(folder: Path) -> None:
    assert "reading results 0 of 2" in shown(folder, "compare", "trial:first", "trial:second")


def test_evolve_counts_the_trainings_whose_checkpoints_it_reads(folder: Path) -> None:
    bars = shown(folder, "evolve", "trial")
    assert "reading checkpoints 0 of 2" in bars
    assert orch(folder, "wait", "trial-evolution", "--timeout", "240").returncode == 0
