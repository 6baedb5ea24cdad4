"""`orch init`: the file runs as it is, and none is overwritten."""

from pathlib import Path

import pytest

from tests.support.cli import orch


@pytest.mark.parametrize(("template", "jobs"), [("command", 2), ("sweep", 7)])
def test_what_it_writes_runs_here_as_it_is(tmp_path: Path, template: str, jobs: int) -> None:
    written = orch(tmp_path, "init", "first-try", "--template", template)
    assert written.returncode == 0, written.stderr
    path = tmp_path / "jobs" / "first-try.yaml"
    first = path.read_text().splitlines()[0]
    assert Path(first.removeprefix("# yaml-language-server: $schema=")).is_file()
    assert "NAME" not in path.read_text()
    launched = orch(tmp_path, "launch", "first-try", "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stderr
    status = orch(tmp_path, "status", "first-try", "--json").stdout
    assert status.count('"COMPLETED"') >= jobs


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    assert orch(tmp_path, "init", "mine").returncode == 0
    path = tmp_path / "jobs" / "mine.yaml"
    path.write_text("mine")
    again = orch(tmp_path, "init", "mine", "--template", "sweep")
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        "orch: jobs/mine.yaml: is there already; take another name, or remove it first"
    ]
    assert path.read_text() == "mine"


def test_a_name_that_no_experiment_may_have_is_one_line(tmp_path: Path) -> None:
    refused = orch(tmp_path, "init", "../mine")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "jobs").exists()
