"""Packs of which only so many jobs run at a time: one allocation, one warm process, many turns."""

from pathlib import Path

import pytest

from jobs.spec import Resources
from orchestrator.errors import DescriptionError
from tests.support.builders import planned
from tests.support.cli import SAVES, jobs, launch, orch, until, warn_the_job

SMALL = "resources: {cpus: 1, memory_gb: 1, minutes: 2}"


def test_an_allocation_asks_for_those_that_run_and_time_for_all_turns() -> None:
    one = Resources(gpus=1, cpus=2, memory_gb=3, minutes=10)
    assert one.shared_by(7, 2) == Resources(gpus=1, cpus=4, memory_gb=6, minutes=40)
    assert one.shared_by(7, 7) == Resources(gpus=1, cpus=14, memory_gb=21, minutes=10)


def test_turns_need_a_pack_and_change_no_identity(tmp_path: Path) -> None:
    stage = {"command": "x {n}", "matrix": {"n": [1, 2, 3, 4]}, "resources": {"gpus": 1}}
    plain = planned({"experiment": "e", "stages": {"a": stage}}, tmp_path)
    turns = {"a": {**stage, "pack": 4, "at_once": 2}}
    packed = planned({"experiment": "e", "stages": turns}, tmp_path)
    assert packed.identity == plain.identity
    # Two share the GPU at a time, for two turns.
    assert (plain.gpu_hours, packed.gpu_hours) == (4, 2)
    with pytest.raises(DescriptionError, match="'at_once' says how many of a pack"):
        planned({"experiment": "e", "stages": {"a": {**stage, "at_once": 2}}}, tmp_path)


def test_no_more_run_than_may_and_one_that_dies_keeps_nobody_waiting(tmp_path: Path) -> None:
    words = "echo + >> turns; sleep 0.4; echo - >> turns; test {n} != 2"
    text = (
        f'  a: {{command: [sh, -c, "{words}"], matrix: {{n: [1, 2, 3, 4, 5]}}, pack: 5, '
        f"at_once: 2, {SMALL}}}\n"
    )
    launch(tmp_path, text)
    found = jobs(tmp_path)
    assert [job["state"] for job in found.values()].count("COMPLETED") == 4
    assert found["a/n=2"]["state"] == "FAILED"
    assert len({job["id"] for job in found.values()}) == 1
    running, most = 0, 0
    for sign in (tmp_path / "turns").read_text().split():
        running += 1 if sign == "+" else -1
        most = max(most, running)
    assert most == 2


def test_warned_before_its_limit_the_pack_is_requeued_with_those_whose_turn_has_not_come(
    tmp_path: Path,
) -> None:
    saves = SAVES.replace("ready", "ready$1").replace("saved", "saved$1")
    (tmp_path / "saves.sh").write_text(saves)
    text = (
        "  a: {command: 'bash saves.sh {n}', matrix: {n: [1, 2]}, pack: 2, at_once: 1, "
        f"{SMALL}}}\n"
    )
    assert launch(tmp_path, text, "--no-watch").returncode == 0
    until(tmp_path, lambda _: (tmp_path / "ready1").exists())
    assert "waits for its turn in the pack" in orch(tmp_path, "status").stdout
    first = warn_the_job(tmp_path)
    until(tmp_path, lambda _: (tmp_path / "ready2").exists())
    warn_the_job(tmp_path, before=first)
    until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
