"""Files that the program on a node reads first, damaged: one line in the log, and no work."""

import json
import subprocess
from pathlib import Path

import pytest

from orchestrator.node.claims import claim
from orchestrator.node.system import claim_of, write_json
from tests.support.node import TOKEN, job_folder, started_by

pytestmark = pytest.mark.usefixtures("each_program")
WAYS = [b"", b"[1, 2]", b"null", b'{"a": 1}', b"\xff\xfe", b'{"name": "a", "comma']


def started(*arguments: str | Path) -> tuple[int, str]:
    """Start the program; its exit code and what it said."""
    done = subprocess.run(
        started_by(*arguments),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("content", [*WAYS, None], ids=str)
def test_a_damaged_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    array = tmp_path / "arrays" / TOKEN
    array.mkdir(parents=True)
    for path, arguments in (
        (folder / "job.json", (folder, 1, TOKEN)),
        (array / "members.json", (array,)),
    ):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
        code, said = started(*map(str, arguments))
        assert code == 1
        assert said.startswith(f"orch-error: {path}: ")
        assert said.count("\n") == 1
    assert not (tmp_path / "worked").exists()


@pytest.mark.parametrize("content", WAYS, ids=str)
def test_who_has_a_damaged_claim_is_not_known(content: bytes, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    (folder / "attempt-1" / "claim.json").write_bytes(content)
    code, said = started(folder, "1", TOKEN)
    assert code == 1
    assert "claim.json: damaged" in said
    assert "Traceback" not in said
    assert not (tmp_path / "worked").exists()


@pytest.mark.parametrize("content", WAYS, ids=str)
def test_damaged_files_that_no_work_hangs_on_are_passed_over(
    content: bytes, tmp_path: Path
) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    (tmp_path / "track.json").write_bytes(content)
    attempt = folder / "attempt-1"
    (attempt / "basis.json").write_bytes(content)
    (attempt / "exit.json").write_bytes(content)
    (attempt / "log.txt").touch()
    code, said = started(folder, "1", TOKEN)
    assert (code, (tmp_path / "worked").exists()) == (0, True), said
    assert "Traceback" not in said
    assert json.loads((attempt / "exit.json").read_text())["results"]
    assert json.loads((attempt / "changed.json").read_text())["count"] == 1


@pytest.mark.parametrize("content", WAYS, ids=str)
def test_a_damaged_record_of_a_start_before_stops_no_start(content: bytes, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    held = {**claim_of(TOKEN, "17"), "pid": 2**22, "start": "0@0"}
    write_json(folder / "attempt-1" / "claim.json", held)
    (folder / "attempt-1" / "exit.json").write_bytes(content)
    assert claim(str(folder / "attempt-1"), TOKEN, "17") == 1


def test_a_whole_claim_of_another_job_ends_without_work(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    write_json(folder / "attempt-1" / "claim.json", claim_of(TOKEN, "17"))
    code, said = started(folder, "1", TOKEN)
    assert (code, (tmp_path / "worked").exists()) == (0, False)
    assert "job 17 on " in said
    assert json.loads((folder / "attempt-1" / "claim.json").read_text())["job_id"] == "17"
