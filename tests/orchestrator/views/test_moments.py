"""Times for people, also those that a clock which was wrong has noted."""

import pytest
from msgspec.structs import replace

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import waiting
from orchestrator.views.moments import ago, elapsed, said_of
from orchestrator.views.overview.jobs import why_text
from orchestrator.views.status import row
from tests.support.builders import job, run_of

NOW = 1_000_000.0


def running(**values: float) -> Record:
    """A job that runs, as far as anybody knows."""
    return replace(waiting(job("a")), state=JobState.RUNNING, reason="r", **values)


@pytest.mark.parametrize("key", ["submitted", "started", "ended", "seen"])
def test_a_time_in_the_future_is_shown_as_such(key: str) -> None:
    future = "its times lie 2:00:00 in the future: a clock was wrong"
    words = f"r; {future}"
    record = running(**{key: NOW + 7200})
    assert said_of(record, NOW) == words
    run = run_of(job("a"))
    assert row(run, record, NOW)["reason"] == words
    # Of one that runs its progress stands in place of the reason.
    values = row(run, record, NOW)
    assert why_text(run, record, values, NOW) == f"starting; {future}"
    # Clocks of two machines differ by seconds.
    assert said_of(running(**{key: NOW + 30}), NOW) == "r"
    assert said_of(replace(record, reason=""), NOW).startswith("its times")


def test_how_long_and_how_long_ago() -> None:
    assert elapsed(running(started=NOW - 5), NOW) == 5
    assert elapsed(running(started=NOW + 5), NOW) == 0
    assert elapsed(running(started=NOW + 500), NOW) is None
    assert elapsed(running(started=NOW, ended=NOW - 500), NOW) is None
    assert ago(NOW - 187, NOW) == "3:07 ago"
    assert ago(NOW + 187, NOW) == "3:07 in the future"
    assert ago(NOW + 3, NOW) == "0 s ago"
