"""Lines of `setup` that end a job say so, with the line and its exit code, in a real bash."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.description.profile import Profile
from tests.support.cli import SMALL, describe, jobs, orch


def end_of(setup: list[str], folder: Path) -> tuple[int, str, str]:
    """The exit code of a job script with these lines, what it said last, and its whole log."""
    script = folder / "script.sh"
    lines = Profile(name="p", kind="local", setup=setup).set_up_lines()
    script.write_text("\n".join(["#!/bin/bash", *lines, "exec echo reached"]) + "\n")
    done = subprocess.run(
        ["/bin/bash", str(script)], cwd=folder, capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).splitlines()
    last = next((line for line in said if line.startswith("orch-error: ")), said[-1])
    return done.returncode, last, done.stdout


@pytest.mark.parametrize(
    ("setup", "code", "line"),
    [
        (["true", "source ./quiet.sh", "true"], 1, "source ./quiet.sh"),
        (["true", "(exit 255)"], 255, "(exit 255)"),
        (["if true", "then", "  false || (exit 4)", "fi"], 4, "false || (exit 4)"),
        (["x=$(exit 9)"], 9, "x=$(exit 9)"),
        (["source ./ends.sh"], 7, "source ./ends.sh"),
        (["export A=1\nfalse"], 1, "false"),
        (["set -u", "echo $NOBODY_SETS_THIS"], 1, "echo $NOBODY_SETS_THIS"),
        (["f() { nosuchprogram; }", "f"], 127, "f"),
    ],
)
def test_a_line_that_ends_the_job_is_named(
    setup: list[str], code: int, line: str, tmp_path: Path
) -> None:
    (tmp_path / "quiet.sh").write_text('[ -n "$NOBODY_SETS_THIS" ] && echo x\n')
    (tmp_path / "ends.sh").write_text("echo hello\nexit 7\n")
    found, said, log = end_of(setup, tmp_path)
    assert found == code
    assert f"setup ended with exit code {code} in: " in said
    assert f" in: {line} (" in " ".join(said.split())
    assert "reached" not in log


def test_a_script_that_ends_the_job_with_exit_code_0_has_not_done_the_work(tmp_path: Path) -> None:
    (tmp_path / "ends.sh").write_text("exit 0\n")
    code, said, log = end_of(["source ./ends.sh"], tmp_path)
    assert code == 1
    assert "exit code 0 in: source ./ends.sh (" in said
    assert "reached" not in log


def test_lines_that_go_well_leave_nothing_behind(tmp_path: Path) -> None:
    setup = ["export A=1", "if true", "then", "  export B=2", "fi", "false || true"]
    assert end_of(setup, tmp_path) == (0, "reached", "reached\n")


def test_the_reason_of_a_job_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("kind: local\nsetup: ['true', 'test -d /nowhere/at/all']\n")
    file = describe(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n")
    orch(tmp_path, "launch", file, "--cluster", tmp_path / "p.yaml", "--watch")
    found = jobs(tmp_path)["a"]
    assert found["state"] == "FAILED"
    assert "setup ended with exit code 1 in: test -d /nowhere/at/all" in found["reason"]
