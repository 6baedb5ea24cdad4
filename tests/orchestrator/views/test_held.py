"""A job that somebody holds has no start that could be expected; who holds it is said, and how it
is let go."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.views.held import reason_of
from orchestrator.views.status import progress_text, row
from orchestrator.views.why import why
from tests.support.builders import planned

NOW = 1_700_000_000.0
SOON = NOW + 600


@pytest.mark.parametrize(
    ("reason", "holder"),
    [
        ("JobHeldUser", "its owner"),
        ("JobHeldAdmin", "an administrator"),
        ("job_requeued_in_held_state", "whoever requeued it"),
        ("job requeued in held state", "whoever requeued it"),
        ("launch_failed_requeued_held", "could not be started"),
        ("launch failed requeued held", "could not be started"),
        ("JobHoldMaxRequeue", "could not be started"),
        ("requeued: exit code 75; JobHeldUser", "its owner"),
        ("job_requeued_in_special_exit_state", "RequeueExitHold"),
        ("ReservationDeleted", "its reservation is gone"),
    ],
)
def test_a_held_job_is_not_said_to_start(tmp_path: Path, reason: str, holder: str) -> None:
    run = create_run(
        planned({"experiment": "x", "stages": {"a": {"command": "true"}}}, tmp_path),
        Profile(kind="slurm"),
        tmp_path / "runs",
    )
    (record,) = run.load()
    record = replace(
        record,
        attempt=1,
        token="0123456789",
        job_id="17_3",
        state=JobState.PENDING,
        expected_start=SOON,
        reason=reason,
    )
    values = row(run, record, NOW)
    assert values["expected_start"] is None
    assert progress_text(values, NOW) == ""
    assert holder in values["reason"]
    assert reason in values["reason"]
    assert "scontrol release 17_3" in values["reason"]
    (first, *_) = why(run, record, [record])
    assert values["reason"] in first
    # Nobody holds these: Slurm's estimate is shown, and a log line that is quoted is no reason.
    for other in ("Priority", "requeued: accuracy is below the threshold held; BeginTime"):
        waiting = replace(record, reason=other)
        assert reason_of(waiting) == other
        assert "Slurm's estimate" in progress_text(row(run, waiting, NOW), NOW)
    # What orch holds names whom it waits for, and starts at no time of Slurm's either.
    own = replace(record, held=True, reason="held: a and 1 more died of x")
    assert (row(run, own, NOW)["reason"], row(run, own, NOW)["expected_start"]) == (
        own.reason,
        None,
    )
