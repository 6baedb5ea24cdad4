"""Files that the program on a node reads first, damaged: one line in the log, and no work."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.node.claims import claim
from orchestrator.node.light.forms import Damaged, read_job
from orchestrator.node.own_results import selected_checkpoints
from orchestrator.node.system import claim_of, write_json
from tests.support.damaged_values import damaged, kinds, places
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


OF_A_JOB = {
    "command": [],
    "needs": None,
    "cwd": 7,
    "beside": [1],
    "checkpoints": {"folder": 1},
    "resources": {"nodes": 1, "gpus": 0, "cpus": 10**400, "memory_gb": 1},
}


@pytest.mark.parametrize("key", OF_A_JOB)
def test_a_value_of_another_kind_is_one_line(key: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    path = folder / "job.json"
    write_json(path, {**json.loads(path.read_text()), key: OF_A_JOB[key]})
    code, said = started(folder, "1", TOKEN)
    assert (code, said) == (
        1,
        f"orch-error: {path}: damaged ('{key}'); orch retry writes it anew\n",
    )
    assert not (tmp_path / "worked").exists()


def test_whatever_a_job_file_says_it_is_read_or_refused(tmp_path: Path) -> None:
    path = job_folder(tmp_path, ["true"]) / "job.json"
    whole = json.loads(path.read_text())
    refused = 0
    for place in places(whole):
        for way, value in kinds():
            new = damaged(whole, place, way, value)
            path.write_bytes(new or b"{}")
            try:
                assert isinstance(read_job(str(path))["needs"], dict)
            except Damaged:
                refused += 1
    assert refused > 100


PACKS: dict[str, Any] = {
    "a number of attempts": {"pack": [["FOLDER", 0, f"{TOKEN}+0"]], "warm": []},
    "nobody at a time": {"pack": [["FOLDER", 1, f"{TOKEN}+0"]], "warm": [], "at_once": 0},
    "no list": {"pack": 7, "warm": []},
    "words for one": {"pack": [["FOLDER", 1, f"{TOKEN}+0"]], "warm": "torch"},
}


@pytest.mark.parametrize("way", PACKS)
def test_a_damaged_list_of_a_pack_is_one_line(way: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    path = tmp_path / "arrays" / TOKEN / "members.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"": PACKS[way]}).replace("FOLDER", str(folder)))
    code, said = started(path.parent)
    assert (code, said) == (1, f"orch-error: {path}: damaged (''); orch retry writes it anew\n")
    assert not (tmp_path / "worked").exists()


def pack_of_one(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of a pack of one job, and of that job."""
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    array = tmp_path / "arrays" / TOKEN
    array.mkdir(parents=True)
    write_json(array / "members.json", {"": {"pack": [[str(folder), 1, TOKEN]], "warm": []}})
    return array, folder


def test_a_damaged_claim_of_a_member_is_one_line_in_its_log(tmp_path: Path) -> None:
    array, folder = pack_of_one(tmp_path)
    (folder / "attempt-1" / "claim.json").write_text('{"job_id": 1}')
    started(array)
    log = (folder / "attempt-1" / "log.txt").read_text()
    assert log.startswith("orch-error: ")
    assert "claim.json: damaged" in log
    assert "Traceback" not in log


def test_an_end_that_a_damaged_record_tells_of_is_none(tmp_path: Path) -> None:
    array, folder = pack_of_one(tmp_path)
    said = {"results": "x", "state": "", "requeued": False, "signals": []}
    write_json(folder / "attempt-1" / "exit.json", said)
    assert started(array)[0] == 0
    assert (tmp_path / "worked").exists()


@pytest.mark.parametrize("restart", [10**15, 10**400, math.inf, -2, None, "x"], ids=str)
def test_a_number_of_starts_that_there_cannot_be_is_damage(restart: Any, tmp_path: Path) -> None:
    folder = job_folder(tmp_path, ["touch", str(tmp_path / "worked")])
    held = {**claim_of(TOKEN, "17"), "pid": 2**22, "start": "0@0", "restart": restart}
    write_json(folder / "attempt-1" / "claim.json", held)
    with pytest.raises(Damaged, match="damaged"):
        claim(str(folder / "attempt-1"), TOKEN, "17")


def test_a_manifest_of_another_kind_is_no_checkpoint(tmp_path: Path) -> None:
    whole = {"name": "s", "step": 1, "epoch": 1, "metrics": {"loss": 0.5}, "rank_by": "loss"}
    other = {**whole, "name": "other", "step": 2, "metrics": {"loss": 0.25}}
    for name in ("s", "other"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    write_json(tmp_path / "checkpoints" / "other" / "manifest.json", other)
    for place in places(whole):
        for way, value in kinds():
            new = damaged(whole, place, way, value)
            (tmp_path / "checkpoints" / "s" / "manifest.json").write_bytes(new or b"{}")
            for selector in ("best", "all"):
                source = {"folder": str(tmp_path), "checkpoints": selector}
                found = {one["name"] for one in selected_checkpoints(source)}
                assert "other" in found or selector == "best", (place, way, value)
