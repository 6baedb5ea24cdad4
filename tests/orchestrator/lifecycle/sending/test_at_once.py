"""Work that is done a few pieces at a time, until one of them is refused."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import SubmitError
from orchestrator.lifecycle.sending.at_once import few_at_a_time, independent
from tests.support.builders import job, run_of, submitted


def test_groups_keep_the_order_and_none_waits_for_another_of_its_group() -> None:
    trains = [job(f"train/{n}", gpus=n + 1) for n in range(3)]
    evaluations = [job(f"evaluate/{n}", after=(f"train/{n}",), gpus=n + 1) for n in range(3)]
    report = job("report", after=tuple(one.name for one in evaluations))
    batches, _, _ = submitted(run_of(*trains, *evaluations, report))
    groups = list(independent(batches))
    assert [batch for group in groups for batch in group] == batches
    assert [len(group) for group in groups] == [3, 3, 1]
    assert list(independent([])) == []


@settings(max_examples=60, deadline=None)
@given(refused=st.sets(st.integers(0, 11)), at_once=st.integers(1, 5))
def test_whatever_is_refused_each_piece_is_done_once_or_not_at_all(
    refused: set[int], at_once: int
) -> None:
    done: list[int] = []
    took: dict[int, object] = {}
    lock = threading.Lock()

    def do(piece: int) -> str:
        with lock:
            done.append(piece)
        if piece in refused:
            raise SubmitError(f"no {piece}")
        return f"id {piece}"

    few_at_a_time(range(12), do, at_once, took.__setitem__)
    assert list(took) == list(range(12))
    assert sorted(done) == sorted(set(done))
    for piece, answer in took.items():
        if piece not in done:
            assert answer is None
        elif piece in refused:
            assert isinstance(answer, SubmitError)
        else:
            assert answer == f"id {piece}"
    # All before the first that is refused are done, whoever is quick.
    assert set(range(min(refused, default=12))) <= set(done)


def test_after_a_refusal_nothing_else_is_begun_one_at_a_time() -> None:
    begun: list[int] = []

    def do(piece: int) -> None:
        begun.append(piece)
        raise SubmitError("no")

    few_at_a_time(range(5), do, 1, lambda _piece, _answer: None)
    assert begun == [0]


def test_several_are_under_way_together_and_another_error_is_raised_when_these_have_ended() -> None:
    meeting = threading.Barrier(3, timeout=30)
    ended: list[int] = []

    def do(piece: int) -> None:
        meeting.wait()
        if piece == 1:
            raise OSError("the disk is full")
        time.sleep(0.1)
        ended.append(piece)

    with pytest.raises(OSError, match="full"):
        few_at_a_time(range(3), do, 3, lambda _piece, _answer: None)
    assert sorted(ended) == [0, 2]
