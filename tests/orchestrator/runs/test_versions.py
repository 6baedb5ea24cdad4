"""Run folders that other versions of orch have written: older ones are read and go on, newer ones
are refused in one line.

tests/golden/format-0 holds files of orch 0.1.0, before they had a number: `waiting` and `extra` as
`orch status` left them, `dying` after two jobs had died alike, `doubt` and `rebuilt` with jobs of
which nobody knew what had become of them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import open_run
from orchestrator.runs.plan_file import FORMAT, read_plan, write_plan
from orchestrator.runs.record import Doubt, JobState, Record, Wait
from orchestrator.runs.state_file import STEPS, read_state, write_state
from tests.support.cli import orch
from tests.support.paths import ROOT

OLD = ROOT / "tests" / "golden" / "format-0"


def old(name: str) -> dict[str, Record]:
    """The records of an old state file, by name."""
    return {record.name: record for record in read_state(OLD / f"{name}.state.json", name)}


def old_run(name: str, folder: Path) -> Path:
    """A run folder as an older version left it, without what its jobs had written."""
    run = folder / "runs" / name / "full-0"
    run.mkdir(parents=True)
    for file in ("plan", "state"):
        shutil.copy(OLD / f"{name}.{file}.json", run / f"{file}.json")
    return run


def test_what_old_records_wait_for_is_read_out_of_their_prose() -> None:
    waits = {name: record.waits_on for name, record in old("waiting").items() if record.waits_on}
    assert waits == {
        "sweep/n=2": Wait.CANARY,
        "sweep/n=3": Wait.CANARY,
        "gated": Wait.GATE,
        "stuck": Wait.PERSON,
    }
    assert old("waiting")["after/k=0"].state is JobState.CANCELLED, "by the scheduler, so it says"
    assert {name: record.waits_on for name, record in old("extra").items()} == {
        "extra/q=0": None,
        "extra/q=1": Wait.PERSON,
        "extra/q=2": Wait.QUEUE_LIMIT,
        "child": Wait.QUEUE_LIMIT,
    }
    assert old("dying")["more/n=3"].waits_on is Wait.QUEUE_LIMIT
    assert old("waiting")["packed/p=1"].parsed_token.member == 1


def test_why_old_records_are_unknown_is_read_out_of_their_prose() -> None:
    doubts = {name: record.doubt for name, record in old("doubt").items() if record.doubt}
    assert doubts == {
        "slow": Doubt.NOWHERE,
        "packed/p=0": Doubt.NOWHERE,
        "after/k=1": Doubt.AMBIGUOUS,
        "late": Doubt.UNASKED,
    }
    unknown = [one for one in old("rebuilt").values() if one.state is JobState.UNKNOWN]
    assert {record.doubt for record in unknown} == {Doubt.REBUILT}


@pytest.mark.parametrize(
    ("state", "source", "reason", "held", "waits_on"),
    [
        ("WAITING", "gate", "gate is open: x; nothing more will come: orch retry", False, "nothing_more"),
        ("WAITING", "orch", "held: a and 1 more died of x", False, "siblings"),
        ("PENDING", "squeue", "held: a and 1 more died of x", True, "siblings"),
        ("PENDING", "squeue", "held: a and 1 more died of x", False, None),
        ("WAITING", "orch", "a RUNNING", False, None),
        ("SKIPPED", "gate", "gate says no: x", False, None),
        ("CANCELLED", "exit record", "cancelled before it started", False, None),
    ],
)  # fmt: skip
def test_other_prose_of_format_0(
    tmp_path: Path, state: str, source: str, reason: str, held: bool, waits_on: str | None
) -> None:
    values = {
        "name": "a", "stage": "a", "identity": "i", "folder": "f", "state": state,
        "source": source, "reason": reason, "held": held,
    }  # fmt: skip
    path = tmp_path / "state.json"
    path.write_text(json.dumps({"run": "e/r", "jobs": [values]}))
    (record,) = read_state(path, "e/r")
    assert record.waits_on == waits_on


def test_a_list_in_place_of_the_end_is_read_as_none(tmp_path: Path) -> None:
    text = (OLD / "waiting.state.json").read_text()
    path = tmp_path / "state.json"
    path.write_text(text.replace('"reason":"Dependency"', '"ended": [], "reason":"Dependency"'))
    assert path.read_text() != text
    assert {one.name: one for one in read_state(path, "e/r")} == old("waiting")


@pytest.mark.parametrize("name", ["waiting", "extra", "dying", "doubt", "rebuilt"])
def test_what_was_read_is_written_in_the_present_format(tmp_path: Path, name: str) -> None:
    records = list(old(name).values())
    write_state(tmp_path / "state.json", "e/r", records)
    assert json.loads((tmp_path / "state.json").read_text())["version"] == len(STEPS)
    assert read_state(tmp_path / "state.json", "e/r") == records


def test_an_old_run_goes_on(tmp_path: Path) -> None:
    run = open_run(old_run("waiting", tmp_path))
    records, _ = refresh(run)
    now = {record.name: record for record in records}
    assert (now["sweep/n=2"].state, now["sweep/n=2"].waits_on) == (JobState.WAITING, Wait.CANARY)
    assert (now["gated"].state, now["gated"].waits_on) == (JobState.WAITING, Wait.GATE)
    assert now["stuck"].waits_on is Wait.PERSON
    # The files of these jobs are not in the golden folder, and no scheduler knows of them.
    assert (now["slow"].state, now["slow"].doubt) == (JobState.UNKNOWN, Doubt.NOWHERE)
    assert json.loads((run.folder / "state.json").read_text())["version"] == len(STEPS)
    assert run.load() == records


def test_an_old_plan_is_read_and_written_with_a_number(tmp_path: Path) -> None:
    folder = old_run("waiting", tmp_path)
    held = read_plan(folder)
    assert (held.version, len(held.plan.jobs), sorted(held.plan.gates)) == (
        0,
        14,
        ["gated", "refused", "stuck"],
    )
    write_plan(folder, held)
    assert read_plan(folder).version == FORMAT
    assert read_plan(folder).plan == held.plan


@pytest.mark.parametrize("name", ["state.json", "plan.json"])
@pytest.mark.parametrize("further", ["", '"later": {"a": 1}, '])
def test_a_file_of_a_newer_version_is_refused_in_one_line(
    tmp_path: Path, name: str, further: str
) -> None:
    path = old_run("waiting", tmp_path) / name
    path.write_text('{"version": 99, ' + further + path.read_text()[1:])
    done = orch(tmp_path, "status", "waiting")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "a newer version of orch has written it (format 99" in done.stderr


def test_a_newer_state_file_whose_records_have_more_keys_is_no_broken_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    head = f'{{"version": {len(STEPS) + 1}, "run": "e/r"'
    path.write_text(head + ', "jobs": [{"name": "a", "mood": "good"}]}')
    with pytest.raises(RunError, match="newer version"):
        read_state(path, "e/r")
