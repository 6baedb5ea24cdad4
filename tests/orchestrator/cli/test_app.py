"""The command line: help everywhere, one document for programs, one line for mistakes."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import ORCH, describe, orch

ROW = {
    "job",
    "stage",
    "id",
    "state",
    "source",
    "age_seconds",
    "reason",
    "attempt",
    "restarts",
    "elapsed_seconds",
    "submitted",
    "started",
    "ended",
    "exit_code",
    "host",
    "gpus",
    "cpus",
    "log",
    "step",
    "total",
    "phase",
    "metrics",
    "expected_end",
    "engine",
    "axes",
    "reused",
    "limit_seconds",
    "expected_start",
    "step_seconds",
    "needed_seconds",
    "requeues_expected",
    "stalled_seconds",
    "log_line",
}


@pytest.mark.parametrize(
    "command",
    [
        "",
        "plan",
        "check",
        "launch",
        "status",
        "logs",
        "list",
        "cancel",
        "retry",
        "report",
        "data",
        "data prepare",
    ],
)
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    result = orch(tmp_path, *command.split(), "--help")
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_status_and_logs_tell_programs_and_people_the_same(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        "  a: {command: sh -c 'echo the answer; exit 3', resources: {cpus: 1, memory_gb: "
        "1, minutes: 1}}\n"
        "  b: {command: 'true', after: [a], resources: {cpus: 1, memory_gb: 1, minutes: 1}}\n",
    )
    assert orch(tmp_path, "launch", file, "--cluster", "local", "--watch").returncode == 1
    document = json.loads(orch(tmp_path, "status", "--json").stdout)
    assert set(document) == {
        "schema",
        "version",
        "run",
        "folder",
        "cluster",
        "trouble",
        "copy",
        "inventory",
        "replaced",
        "jobs",
    }
    assert all(set(row) == ROW for row in document["jobs"])
    first, second = document["jobs"]
    assert (first["job"], first["state"], first["source"], first["exit_code"]) == (
        "a",
        "FAILED",
        "exit record",
        3,
    )
    assert (first["reason"], second["reason"]) == (
        "exit code 3: the answer",
        "needs a, which is FAILED",
    )
    assert Path(first["log"]).read_text() == "the answer\n"
    assert "the answer" in orch(tmp_path, "logs", "a").stdout
    shown = orch(tmp_path, "status").stdout
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("✗ ")][:1]
    assert row[:3] == ["✗", "a", "failed"]
    assert row[-2:] == ["exit", "record"]
    assert "✗ exit code 3: a\n    the answer\n" in shown
    assert document["run"] in orch(tmp_path, "list").stdout


def test_mistakes_of_a_file_are_one_line_each_and_nothing_is_made(tmp_path: Path) -> None:
    file = describe(tmp_path, "  a: {comand: 'true'}\n  b: {command: 'true', after: [c]}\n")
    result = orch(tmp_path, "launch", file, "--cluster", "local")
    assert result.returncode == 2
    assert "comand" in result.stderr
    assert "'c'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "nothing"],
        ["cancel", "nothing"],
        ["retry", "nothing"],
        ["report", "nothing"],
        ["launch", "nothing"],
        ["launch", "hello-command", "--cluster", "nowhere"],
    ],
)
def test_what_is_not_there_is_named_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    result = orch(tmp_path, *arguments)
    assert result.returncode == 2
    assert len([line for line in result.stderr.splitlines() if line.startswith("orch: ")]) == 1
    assert "Traceback" not in result.stderr


def test_the_exit_code_stays_where_nothing_can_be_said(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [ORCH, "status", "nothing"]
        done = subprocess.run(command, cwd=tmp_path, stderr=full, check=False)
    assert done.returncode == 2
