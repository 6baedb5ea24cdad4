"""The budget of scheduler calls that all orch processes of a user share, and the answers they
share."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from tests.support.barrier import ask_slowly, meet, take_five

PROCESSES = 20


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def together(work: Callable[..., object], *arguments: object) -> list[object]:
    """What the work returned in each of twenty processes that start it at the same moment.

    They are spawned: a fork of a process that has threads (torch's, of other tests) may wait for
    ever for a lock that nobody holds.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES, meet, (context.Barrier(PROCESSES),)) as pool:
        return pool.starmap(work, [arguments] * PROCESSES, chunksize=1)


def test_twenty_processes_together_make_exactly_as_many_calls_as_the_budget_has(
    cache: Path,
) -> None:
    assert sum(int(str(count)) for count in together(take_five)) == 30
    assert len((cache / "calls").read_text().splitlines()) == 30


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ages=st.lists(st.floats(0.5, 90), max_size=12), most=st.integers(1, 8))
def test_no_minute_has_more_calls_than_the_budget_and_the_wait_ends_when_there_is_room(
    cache: Path, ages: list[float], most: int
) -> None:
    now = time.time()
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "calls").write_text("".join(f"{now - age!r}\n" for age in ages))
    recent = sorted(age for age in ages if age < 60)
    wait = call_budget.take(most)
    if len(recent) < most:
        assert wait == 0.0
    else:
        after = time.time() + wait
        assert (
            sum(after - (now - age) < 60 - 1e-3 for age in recent) < most
        )  # there is room then, and not before
        assert sum(after - 0.02 - (now - age) < 60 for age in recent) >= most
        assert len((cache / "calls").read_text().splitlines()) == len(
            ages
        )  # and nothing was counted


def test_submissions_leave_room_for_whoever_looks() -> None:
    assert sum(call_budget.take(10, submits=True) == 0.0 for _ in range(20)) == 8
    assert sum(call_budget.take(10) == 0.0 for _ in range(20)) == 2


def test_twenty_processes_that_only_look_ask_once(tmp_path: Path) -> None:
    assert set(together(ask_slowly, str(tmp_path / "note"))) == {"the queue"}
    assert (tmp_path / "note").read_text() == "asked\n"


def test_an_answer_is_not_used_after_a_submission_nor_when_it_is_old_or_torn(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask() -> CachedAnswer:
        asked.append(time.time())
        return CachedAnswer(asked=asked[-1], text=None, trouble="squeue is not there")

    assert call_budget.shared("q", ask) == call_budget.shared("q", ask)
    assert len(asked) == 1  # that it could not be asked is shared too
    call_budget.changed()
    call_budget.shared("q", ask)
    assert len(asked) == 2
    call_budget.shared("another question", ask)
    assert len(asked) == 3
    for path in cache.glob("*.answer"):
        path.write_text(path.read_text()[:20])
    call_budget.shared("q", ask)
    assert len(asked) == 4
    monkeypatch.setattr(call_budget, "SHARED_SECONDS", 0.05)
    time.sleep(0.1)
    call_budget.shared("q", ask)
    assert len(asked) == 5


def test_a_folder_that_cannot_be_made_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ORCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Exception, match="set ORCH_CACHE to a folder that you may write to"):
        call_budget.take(10)
