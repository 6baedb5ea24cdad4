"""`orch retry --job`: the job, what it needs, and what was cancelled because of it."""

from __future__ import annotations

from typing import Any

from orchestrator.lifecycle.retry import cancelled_with
from orchestrator.runs.record import JobState, Record, Wait
from tests.support.builders import job, run_of

RUN = run_of(
    job("a"),
    job("b"),
    job("c", after=("a",)),
    job("d", after=("c",)),
    job("e", after=("a", "b")),
)
CANCELLED: dict[str, Any] = {"state": JobState.CANCELLED, "attempt": 1, "ended": 200.0}


def records(**changes: dict[str, Any]) -> list[Record]:
    """``a`` has failed at 100 s, and took everything behind it along."""
    usual = {
        "a": {"state": JobState.FAILED, "attempt": 1, "ended": 200.0, "host": "n1"},
        "b": {"state": JobState.COMPLETED},
        **dict.fromkeys("cde", CANCELLED),
    }
    return [
        Record(
            name=name, stage=name, identity=name, folder=name, **(values | changes.get(name, {}))
        )
        for name, values in usual.items()
    ]


def test_what_was_cancelled_because_of_it_comes_along() -> None:
    assert cancelled_with(RUN, records(), {"a"}) == {"c", "d", "e"}
    assert cancelled_with(RUN, records(), {"b"}) == set()


def test_what_needs_another_failed_job_or_was_ended_by_somebody_does_not() -> None:
    other = {"state": JobState.TIMEOUT}
    assert cancelled_with(RUN, records(b=other), {"a"}) == {"c", "d"}
    assert cancelled_with(RUN, records(b=other), {"a", "b"}) == {"c", "d", "e"}
    # By `orch cancel`; by hand, while the other one still ran; in the middle of its work.
    for change in ({"waits_on": Wait.PERSON}, {"ended": 100.0}, {"host": "n2"}):
        assert cancelled_with(RUN, records(c=change), {"a"}) == {"e"}
    assert cancelled_with(RUN, records(c={"state": JobState.WAITING}), {"a"}) == {"e"}
