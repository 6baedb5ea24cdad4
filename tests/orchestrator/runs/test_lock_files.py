"""Lock files: nobody else can take one, nobody waits for ever, and who has one is named."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from orchestrator.errors import RunError
from orchestrator.runs.documents.lock_files import holder, locked_file
from tests.support.locks import held


@pytest.mark.parametrize("how", ["a", "r"])
def test_a_wait_ends_and_names_who_has_the_lock(how: str, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    # What an earlier holder has noted says nothing of the present one.
    path.write_text("orch on elsewhere, process 1")
    began = time.monotonic()
    with (
        held(path, how) as pid,
        pytest.raises(RunError, match=rf"x\.lock: process {pid} \(.*python.* has had the lock"),
        locked_file(path, 0.2),
    ):
        pass
    assert time.monotonic() - began < 10
    # It went with its process; on another machine the name in the file is all that is known.
    assert holder(path) == "orch on elsewhere, process 1"
    with locked_file(path, 0.2):
        pass


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"a\x1b[2Jb", b"x" * 5000])
def test_whatever_stands_in_a_lock_file_it_can_be_taken(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    path.write_bytes(content)
    with locked_file(path, 0.1) as file:
        file.read()
    assert holder(path).isprintable()
    assert len(holder(path)) <= 200


def test_a_lock_file_is_this_users_alone_and_one_of_an_older_version_becomes_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "old").touch(0o666)
    (tmp_path / "old").chmod(0o664)
    for name, mode in (("new", 0o600), ("old", 0o600), ("of a group", 0o660)):
        before = os.umask(0)
        try:
            with locked_file(tmp_path / name, mode=mode):
                pass
        finally:
            os.umask(before)
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_a_link_in_the_place_of_a_lock_file_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o644)
    (tmp_path / "link").symlink_to(other)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(RunError, match=f"{name}: not a file"), locked_file(tmp_path / name):
            pass
    assert (other.read_text(), other.stat().st_mode & 0o777) == ("mine", 0o644)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_only_read_can_take_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with locked_file(path):
        pass
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        ["cat", path],
        capture_output=True,
        text=True,
        user=4321,
        group=4321,
        extra_groups=[],
        cwd="/",
    )
    # What cannot be opened cannot be locked.
    assert "Permission denied" in done.stderr, done.stderr


def test_whoever_keeps_the_answer_of_the_queue_is_named_in_place_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(call_budget, "ANSWER_SECONDS", 0.2)
    now = CachedAnswer(asked=time.time(), text="17")
    assert call_budget.shared("?", lambda: now).text == "17"
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    (path,) = (tmp_path / "cache").glob("*.answer")
    with held(path) as pid:
        answer = call_budget.shared("?", lambda: now)
    assert answer.text is None
    assert f"process {pid}" in answer.trouble
