"""Lines that come once for each job: a terminal shows the first few, a pipe all."""

import re
import sys
from pathlib import Path

import pytest

from orchestrator.views.busy.alike import SHOWN, few_of
from tests.support.cli import ORCH, describe, orch
from tests.support.terminal import on_terminal

COMMAND = "resources: {cpus: 1, memory_gb: 1, minutes: 20}"
MANY = f"""
  first: {{command: sleep 600, {COMMAND}}}
  then: {{command: "true {{number}}", after: first, matrix: {{number: {list(range(40))}}}, {COMMAND}}}
"""


def test_of_lines_that_begin_alike_the_first_few(monkeypatch: pytest.MonkeyPatch):
    many = [f"submitted {number}" for number in range(SHOWN + 5)]
    lines = ["the code was kept", *many, "not submitted yet: a", *many[:2]]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert few_of(lines) == lines
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert few_of(lines, "a/b") == [
        "the code was kept",
        *many[:SHOWN],
        "and 5 more submitted: orch status a/b --all",
        "not submitted yet: a",
        *many[:2],
    ]
    assert few_of(many[:SHOWN]) == many[:SHOWN]


def test_a_launch_and_a_cancel_of_many_jobs(tmp_path: Path):
    describe(tmp_path, MANY)
    variables = {"ORCH_RUNS": str(tmp_path / "runs")}
    launch = [ORCH, "launch", "trial.yaml", "--cluster", "local", "--no-watch"]
    shown = plain(on_terminal(launch, 80, tmp_path, variables))
    try:
        assert " of 41 " in shown
        assert "submitting jobs" in shown
        assert shown.count("\nsubmitted ") == SHOWN
        assert f"and {41 - SHOWN} more submitted: orch status trial/" in shown
        assert "41 jobs submitted" in shown
    finally:
        cancelled = plain(on_terminal([ORCH, "cancel", "trial"], 80, tmp_path, variables))
    assert cancelled.count("cancelled ") == SHOWN
    assert f"and {41 - SHOWN} more cancelled" in cancelled
    again = orch(tmp_path, "cancel", "trial")
    assert again.stdout.endswith(": nothing is active\n")
    retried = orch(tmp_path, "retry", "trial")
    assert retried.stdout.count("submitted ") == 41
    assert orch(tmp_path, "cancel", "trial").stdout.count("cancelled ") == 41


def plain(text: str) -> str:
    """What a terminal shows, without the codes of colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")
