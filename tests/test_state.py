"""The weighing of sources: no order, loss or repetition of answers loses a finished job or invents a failure."""

from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from engines.io import Progress, read_progress
from orchestrator.state import FAILED, FINAL, Answer, ExitRecord, JobState, Record, Seen, reconcile
from orchestrator.status import progress_of

TOKEN = "0123456789"


def record(state: JobState = JobState.PENDING) -> Record:
    return Record(name="train", stage="train", identity="i", folder="jobs/train", attempt=1, token=TOKEN, job_id="7", state=state,
                  submitted=1.0)


def seen(state: JobState) -> Seen:
    return Seen(job_id="7", token=TOKEN, state=state)


def left(code: int, results: bool, ended: float = 50.0, signals: tuple[str, ...] = ()) -> ExitRecord:
    return ExitRecord(token=TOKEN, job_id="7", host="n", pid=1, exit_code=code, started=2.0, ended=ended, results=results, reason="why",
                      signals=signals)


ACTIVE_ANSWERS: list[Answer] = [
    None, {}, {TOKEN: seen(JobState.PENDING)}, {TOKEN: seen(JobState.RUNNING)}, {TOKEN: seen(JobState.UNKNOWN)}]
FINAL_ANSWERS: list[Answer] = [
    None, {}, {TOKEN: seen(JobState.COMPLETED)}, {TOKEN: seen(JobState.RUNNING)}, {TOKEN: seen(JobState.PENDING)}]
answers = st.lists(st.tuples(st.sampled_from(ACTIVE_ANSWERS), st.sampled_from(FINAL_ANSWERS)), max_size=8)


@given(before=answers, after=answers)
def test_results_end_the_matter_whatever_the_scheduler_says(
        before: list[tuple[Answer, Answer]], after: list[tuple[Answer, Answer]]) -> None:
    now = [record()]
    for active, final in before:
        now = reconcile(now, active, final, {}, set(), 100.0)
    for active, final in [(None, None), *after]:
        now = reconcile(now, active, final, {"train": left(0, True)}, {"train"}, 100.0)
        assert now[0].state is JobState.COMPLETED
        assert now[0].source == "results"


@given(history=st.lists(st.sampled_from(ACTIVE_ANSWERS), max_size=8), final=st.sampled_from([None, {}]))
def test_absent_is_never_failed(history: list[Answer], final: Answer) -> None:
    now = [record()]
    for active in history:
        now = reconcile(now, active, final, {}, set(), 100.0)
        assert now[0].state not in FINAL


@given(state=st.sampled_from([JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN, JobState.FAILED, JobState.WAITING]))
def test_could_not_ask_changes_nothing(state: JobState) -> None:
    assert reconcile([record(state)], None, None, {}, set(), 100.0) == [record(state)]


def test_an_exit_record_of_an_earlier_attempt_says_nothing() -> None:
    old = ExitRecord(**{**left(1, False).__dict__, "token": "anothertok"})
    assert reconcile([record()], {TOKEN: seen(JobState.RUNNING)}, None, {"train": old}, set(), 100.0)[0].state is JobState.RUNNING


def test_the_cause_is_the_log_line_and_the_word_of_accounting() -> None:
    (now,) = reconcile([record()], {}, {TOKEN: Seen(job_id="7", token=TOKEN, state=JobState.TIMEOUT, reason="time limit reached")},
                       {"train": left(-15, False, signals=("SIGTERM",))}, set(), 100.0)
    assert (now.state, now.reason) == (JobState.TIMEOUT, "time limit reached; why")


def test_after_a_signal_the_scheduler_is_waited_for_but_not_for_ever() -> None:
    signalled = {"train": left(-15, False, ended=90.0, signals=("SIGTERM",))}
    assert reconcile([record()], {}, {}, signalled, set(), 100.0)[0].state is JobState.COMPLETING
    assert reconcile([record()], {}, {}, signalled, set(), 1000.0)[0].state is JobState.FAILED


def test_removed_results_make_the_job_eligible_again() -> None:
    (now,) = reconcile([record(JobState.COMPLETED)], {}, {}, {}, set(), 100.0)
    assert (now.state, now.token) == (JobState.WAITING, "")


def test_failed_states_are_final() -> None:
    assert FAILED < FINAL


def test_a_requeued_job_is_waiting_until_the_queue_shows_it_and_older_records_fall() -> None:
    saved = ExitRecord(**{**left(75, False, signals=("SIGUSR2",)).__dict__, "requeued": True})
    def state(active: Answer, final: Answer) -> Record:
        return reconcile([record(JobState.RUNNING)], active, final, {"train": saved}, set(), 1000.0)[0]
    for active in (None, {}):
        assert (state(active, None).state, state(active, None).restarts) == (JobState.PENDING, 1)
        assert state(active, None).reason == "requeued: why"
    pending = Seen(job_id="7", token=TOKEN, state=JobState.PENDING, reason="BeginTime", source="squeue")
    assert (state({TOKEN: pending}, None).reason, state({TOKEN: pending}, None).source) == ("requeued: why; BeginTime", "squeue")
    again = Seen(job_id="7", token=TOKEN, state=JobState.RUNNING, started=60.0)
    assert (state({TOKEN: again}, None).state, state({TOKEN: again}, None).restarts) == (JobState.RUNNING, 1)
    dead = Seen(job_id="7", token=TOKEN, state=JobState.OUT_OF_MEMORY, reason="out of memory (host)", started=60.0, ended=70.0)
    assert (state({}, {TOKEN: dead}).state, state({}, {TOKEN: dead}).reason) == (JobState.OUT_OF_MEMORY, "out of memory (host)")
    early = reconcile([record(JobState.RUNNING)], {}, None, {"train": saved}, {"train"}, 1000.0)
    final = ExitRecord(**{**left(0, True).__dict__, "restart": 1})
    assert reconcile(early, {}, None, {"train": final}, {"train"}, 1001.0)[0].restarts == 1


def test_an_engine_that_knows_how_long_it_takes_is_believed(tmp_path: Path) -> None:
    """The longest samples come first, so the pace of the steps would promise too late an end."""
    out = tmp_path / "jobs" / "train" / "out"
    out.mkdir(parents=True)
    progress = Progress(out)
    progress.write(10, 100, {"tokens_per_second": 5.0}, "evaluate")
    progress.write(20, 100, {"tokens_per_second": 5.0, "seconds_left": 30.0}, "evaluate")
    shown = progress_of(SimpleNamespace(folder=tmp_path), record(JobState.RUNNING))  # only the folder of a run is looked at
    last = read_progress(out)[-1]
    assert shown["expected_end"] == last["time"] + 30.0
    assert shown["metrics"] == {"tokens_per_second": 5.0}
