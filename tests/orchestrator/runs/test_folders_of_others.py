"""File systems without locks or links, runs that one may only read, and a group's folder of runs."""

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.api.waiting import wait
from orchestrator.checks.folder import file_system
from orchestrator.cli import __main__ as cli
from orchestrator.cli.system_errors import ADVICE, sentence
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import refresh
from orchestrator.node.system import write_text
from orchestrator.runs.create import create_run
from orchestrator.runs.documents import damage, lock
from orchestrator.runs.documents.people import group_may_write, other_owner
from orchestrator.runs.record import JobState
from orchestrator.runs.run import Run
from tests.support.builders import job, plan_of
from tests.support.cli import ORCH, SMALL, launch, orch, the_run, until


def failing(number: int) -> Any:
    """A call that the system refuses."""

    def call(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with one job that nothing was submitted of."""
    monkeypatch.chdir(tmp_path)
    plan = plan_of(job("a", command=("true",)))
    return create_run(plan, Profile(kind="local"), tmp_path / "runs")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_at_once(
    number: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "lockf", failing(number))
    with pytest.raises(
        RunError, match=rf"no lock can be had .*{errno.errorcode[number]}.*ORCH_RUNS"
    ):
        lock.locked(run.folder).__enter__()
    (line,) = file_system(tmp_path / "runs" / "not" / "yet")
    assert "a lock cannot be had there" in line


def test_what_a_launch_does_in_its_folder_is_tried_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(file_system(tmp_path)) == []
    for call, word in (("link", "hard link"), ("symlink", "symbolic link")):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing(errno.EPERM))
            (line,) = file_system(tmp_path)
            assert f"a {word} cannot be had there" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_looking_needs_no_right_to_write(
    number: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run.load()
    really = os.open

    def refused(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).endswith("state.lock"):
            raise OSError(number, os.strerror(number), str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refused)
    records, trouble = refresh(run)
    assert records == before
    assert "nothing can be saved" in trouble
    assert os.strerror(number) in trouble


@pytest.mark.parametrize(("state", "good"), [(JobState.COMPLETED, True), (JobState.FAILED, False)])
def test_waiting_for_a_run_that_is_over_needs_no_right_to_write(
    state: JobState, good: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = run.load()
    run.save([replace(record, state=state)])
    monkeypatch.setattr(Run, "lock", failing(errno.EROFS))
    waited = wait(run, timeout=0)
    assert (waited.over, waited.good) == (True, good)
    assert "nothing can be saved" in waited.trouble


def test_the_run_of_somebody_else_is_looked_at_and_never_changed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other_owner(run.folder) is None
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    owner = other_owner(run.folder)
    assert owner is not None
    records, trouble = refresh(run)
    assert [record.name for record in records] == ["a"]
    assert f"for jobs of {owner}" in trouble
    with pytest.raises(RunError, match=f"a run of {owner}.*orch rerun"):
        run.lock().__enter__()


def test_a_groups_folder_stays_the_groups(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mode, of_group in ((0o2775, True), (0o775, False), (0o2755, False)):
            folder = tmp_path / f"{mode:o}"
            folder.mkdir()
            folder.chmod(mode)
            with group_may_write(folder):
                (folder / "x").touch()
            assert bool((folder / "x").stat().st_mode & stat.S_IWGRP) is of_group
            assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_run_is_its_users_alone_unless_the_folder_of_runs_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_of(job("a", command=("true",)))
    before = os.umask(0o022)
    try:
        for mode, of_run, of_lock in (
            (0o777, 0o700, 0o600),
            (0o755, 0o700, 0o600),
            (0o2755, 0o755, 0o600),
            (0o2775, 0o775, 0o660),
        ):
            root = tmp_path / f"{mode:o}"
            root.mkdir()
            root.chmod(mode)
            run = create_run(plan, Profile(kind="local"), root)
            assert run.folder.stat().st_mode & 0o777 == of_run
            assert (run.folder / "state.lock").stat().st_mode & 0o777 == of_lock
    finally:
        os.umask(before)


@pytest.mark.parametrize("planted", ["link", "link above", "folder"])
def test_what_somebody_else_has_put_in_the_place_of_a_run_is_not_used(
    planted: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    runs = tmp_path / "others"
    place = runs / run.folder.parent.name
    if planted == "link above":
        runs.mkdir()
        place.symlink_to(target)
    else:
        place.mkdir(parents=True)
        place = place / run.folder.name
        place.mkdir() if planted == "folder" else place.symlink_to(target)
    # For the program whatever lies there is somebody else's now.
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(RunError, match=f"{place}: was made by .* ORCH_RUNS"):
        create_run(run.plan, run.profile, runs)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("number", sorted(ADVICE))
def test_what_the_system_refuses_is_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        raise OSError(number, os.strerror(number), "/data/runs/a")

    damage.told()  # what other tests of this process have met
    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"orch: /data/runs/a: {os.strerror(number)}: ")
    assert said.count("\n") == 1


def test_a_mistake_of_the_program_keeps_its_traceback() -> None:
    assert sentence(FileNotFoundError(errno.ENOENT, "x", "/nowhere/at/all")) is None


def test_a_working_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.delenv("ORCH_RUNS", raising=False)
    monkeypatch.setattr("sys.argv", ["orch", "status"])
    gone.rmdir()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "the folder that orch was called in is gone" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("place", ["runs", "runs/trial", "runs/.code", "runs/archives"])
def test_what_lies_in_the_place_of_a_folder_is_named(place: str, kind: str, tmp_path: Path) -> None:
    assert launch(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n").returncode == 0
    run = the_run(tmp_path)
    other = tmp_path / "other" / place
    other.parent.mkdir(parents=True)
    other.touch() if kind == "file" else other.symlink_to("/nowhere/at/all")
    commands = [("launch", "trial.yaml", "--cluster", "local"), ("rerun", str(run))]
    if place == "runs/archives":
        commands = [("archive", str(run), "--keep")]
    for command in commands:
        done = orch(tmp_path, *command, timeout=60, ORCH_RUNS=str(tmp_path / "other" / "runs"))
        said = done.stderr.splitlines()
        assert done.returncode == 2, done.stderr
        assert str(other) in said[0]
        assert len(said) <= 2


@pytest.mark.parametrize("how", ["moved", "removed"])
def test_a_run_that_goes_while_it_is_waited_for_is_one_line(how: str, tmp_path: Path) -> None:
    waits = "while [ ! -e go ]; do sleep 0.1; done"
    text = f'  a: {{command: [sh, -c, "{waits}"], {SMALL}}}\n'
    assert launch(tmp_path, text, "--no-watch").returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    run = the_run(tmp_path)
    variables = {**os.environ, "ORCH_RUNS": str(tmp_path / "runs"), "TMPDIR": str(tmp_path)}
    command = [ORCH, "wait", "trial"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        time.sleep(3)
        run.rename(tmp_path / "elsewhere")
        if how == "removed":
            shutil.rmtree(tmp_path / "elsewhere")
        said = waiting.stderr.read().decode()
    (tmp_path / "go").touch()
    assert (waiting.returncode, said.count("\n")) == (2, 1), said
    assert said.startswith(f"orch: {run} is gone: ")


def test_a_file_that_cannot_be_written_is_named_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        write_text(tmp_path / "gone" / "x.json", "{}")
    assert str(error.value) == f"[Errno 2] No such file or directory: '{tmp_path}/gone/x.json'"
