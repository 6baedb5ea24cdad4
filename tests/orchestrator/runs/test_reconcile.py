"""The weighing of sources: no order, loss or repetition of answers loses a finished job or invents
a failure."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engines.contract.progress import Progress, read_progress
from orchestrator.runs.reconcile import current, decide, reconcile, weigh
from orchestrator.runs.record import FAILED, FINAL, Doubt, JobState, Record, Wait
from orchestrator.runs.rules import GRACE_SECONDS, RULES, RULES_OF_ITS_END
from orchestrator.runs.sources import Answer, ExitRecord, SchedulerRecord, exit_of_this_start
from orchestrator.views.pace import last_progress, pace

TOKEN = "0123456789"


def record(state: JobState = JobState.PENDING) -> Record:
    return Record(
        name="train",
        stage="train",
        identity="i",
        folder="jobs/train",
        attempt=1,
        token=TOKEN,
        job_id="7",
        state=state,
        submitted=1.0,
    )


def seen(state: JobState) -> SchedulerRecord:
    return SchedulerRecord(job_id="7", token=TOKEN, state=state)


def left(
    code: int, results: bool, ended: float = 50.0, signals: tuple[str, ...] = ()
) -> ExitRecord:
    return ExitRecord(
        token=TOKEN,
        job_id="7",
        host="n",
        pid=1,
        exit_code=code,
        started=2.0,
        ended=ended,
        results=results,
        reason="why",
        signals=signals,
    )


ACTIVE_ANSWERS: list[Answer] = [
    None,
    {},
    {TOKEN: seen(JobState.PENDING)},
    {TOKEN: seen(JobState.RUNNING)},
    {TOKEN: seen(JobState.UNKNOWN)},
]
FINAL_ANSWERS: list[Answer] = [
    None,
    {},
    {TOKEN: seen(JobState.COMPLETED)},
    {TOKEN: seen(JobState.RUNNING)},
    {TOKEN: seen(JobState.PENDING)},
]
answers = st.lists(
    st.tuples(st.sampled_from(ACTIVE_ANSWERS), st.sampled_from(FINAL_ANSWERS)), max_size=8
)


@settings(deadline=None)
@given(before=answers, after=answers)
def test_results_end_the_matter_whatever_the_scheduler_says(
    before: list[tuple[Answer, Answer]], after: list[tuple[Answer, Answer]]
) -> None:
    now = [record()]
    for active, final in before:
        now = reconcile(now, active, final, {}, set(), 100.0)
    for active, final in [(None, None), *after]:
        now = reconcile(now, active, final, {"train": left(0, True)}, {"train"}, 100.0)
        assert now[0].state is JobState.COMPLETED
        assert now[0].source == "results"


@settings(deadline=None)
@given(
    history=st.lists(st.sampled_from(ACTIVE_ANSWERS), max_size=8), final=st.sampled_from([None, {}])
)
def test_absent_is_never_failed(history: list[Answer], final: Answer) -> None:
    now = [record()]
    for active in history:
        now = reconcile(now, active, final, {}, set(), 100.0)
        assert now[0].state not in FINAL


@settings(deadline=None)
@given(
    state=st.sampled_from(
        [JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN, JobState.FAILED, JobState.WAITING]
    )
)
def test_could_not_ask_changes_nothing(state: JobState) -> None:
    assert reconcile([record(state)], None, None, {}, set(), 100.0) == [record(state)]


def test_an_exit_record_of_an_earlier_attempt_says_nothing() -> None:
    old = ExitRecord(**{**left(1, False).__dict__, "token": "anothertok"})
    assert (
        reconcile([record()], {TOKEN: seen(JobState.RUNNING)}, None, {"train": old}, set(), 100.0)[
            0
        ].state
        is JobState.RUNNING
    )


def test_results_of_a_start_that_has_left_no_record_yet_count_the_requeue_before_it() -> None:
    before = dataclasses.replace(left(75, False), requeued=True, restart=1)
    for active in ({TOKEN: seen(JobState.RUNNING)}, {}, None):
        now = reconcile([record()], active, None, {"train": before}, {"train"}, 100.0)
        again = reconcile(now, {}, None, {"train": before}, {"train"}, 101.0)
        assert now[0].state is again[0].state is JobState.COMPLETED
        assert (now[0].restarts, again[0].restarts) == (2, 2)
    # A start that failed by itself is not followed by another.
    (failed,) = reconcile([record()], {}, None, {"train": left(1, False)}, {"train"}, 100.0)
    assert failed.restarts == 0


def test_the_cause_is_the_log_line_and_the_word_of_accounting() -> None:
    (now,) = reconcile(
        [record()],
        {},
        {
            TOKEN: SchedulerRecord(
                job_id="7", token=TOKEN, state=JobState.TIMEOUT, reason="time limit reached"
            )
        },
        {"train": left(-15, False, signals=("SIGTERM",))},
        set(),
        100.0,
    )
    assert (now.state, now.reason) == (JobState.TIMEOUT, "time limit reached; why")


def test_of_a_failure_the_nodes_word_is_told_once() -> None:
    said = SchedulerRecord(job_id="7", token=TOKEN, state=JobState.FAILED, reason="exit code 3")
    (now,) = reconcile(
        [record()],
        {},
        {TOKEN: said},
        {"train": dataclasses.replace(left(3, False), reason="")},
        set(),
        100.0,
    )
    assert (now.state, now.reason) == (JobState.FAILED, "exit code 3")
    (now,) = reconcile(
        [record()],
        {},
        {TOKEN: said},
        {"train": dataclasses.replace(left(-11, False), reason="")},
        set(),
        100.0,
    )
    assert now.reason == "ended by signal 11 (SIGSEGV)"


def test_after_a_signal_the_scheduler_is_waited_for_but_not_for_ever() -> None:
    signalled = {"train": left(-15, False, ended=90.0, signals=("SIGTERM",))}
    assert reconcile([record()], {}, {}, signalled, set(), 100.0)[0].state is JobState.COMPLETING
    assert reconcile([record()], {}, {}, signalled, set(), 1000.0)[0].state is JobState.FAILED


def test_what_was_noted_in_the_future_is_not_waited_for() -> None:
    signalled = {"train": left(-15, False, ended=9e5, signals=("SIGTERM",))}
    assert reconcile([record()], {}, {}, signalled, set(), 100.0)[0].state is JobState.FAILED


@pytest.mark.parametrize("jump", [-9e5, 9e5])
def test_a_start_during_which_the_clock_was_set_has_taken_what_it_took(jump: float) -> None:
    ended = dataclasses.replace(left(0, True, ended=50.0 + jump), seconds=48.0)
    (now,) = reconcile([record()], {}, {}, {"train": ended}, {"train"}, 100.0)
    assert (now.started, now.ended) == (2.0 + jump, 50.0 + jump)
    # Small steps, by which a clock is kept right, change nothing.
    ended = dataclasses.replace(left(0, True), seconds=47.5)
    (now,) = reconcile([record()], {}, {}, {"train": ended}, {"train"}, 100.0)
    assert (now.started, now.ended) == (2.0, 50.0)


def test_removed_results_make_the_job_eligible_again() -> None:
    (now,) = reconcile([record(JobState.COMPLETED)], {}, {}, {}, set(), 100.0)
    assert (now.state, now.token) == (JobState.WAITING, "")


def test_failed_states_are_final() -> None:
    assert FAILED < FINAL


def test_a_requeued_job_is_waiting_until_the_queue_shows_it_and_older_records_fall() -> None:
    saved = ExitRecord(**{**left(75, False, signals=("SIGUSR2",)).__dict__, "requeued": True})

    def state(active: Answer, final: Answer) -> Record:
        return reconcile(
            [record(JobState.RUNNING)], active, final, {"train": saved}, set(), 1000.0
        )[0]

    unseen: list[Answer] = [None, {}]
    for active in unseen:
        assert (state(active, None).state, state(active, None).restarts) == (JobState.PENDING, 1)
        assert state(active, None).reason == "requeued: why"
    pending = SchedulerRecord(
        job_id="7", token=TOKEN, state=JobState.PENDING, reason="BeginTime", source="squeue"
    )
    assert (state({TOKEN: pending}, None).reason, state({TOKEN: pending}, None).source) == (
        "requeued: why; BeginTime",
        "squeue",
    )
    again = SchedulerRecord(job_id="7", token=TOKEN, state=JobState.RUNNING, started=60.0)
    assert (state({TOKEN: again}, None).state, state({TOKEN: again}, None).restarts) == (
        JobState.RUNNING,
        1,
    )
    dead = SchedulerRecord(
        job_id="7",
        token=TOKEN,
        state=JobState.OUT_OF_MEMORY,
        reason="out of memory (host)",
        started=60.0,
        ended=70.0,
    )
    assert (state({}, {TOKEN: dead}).state, state({}, {TOKEN: dead}).reason) == (
        JobState.OUT_OF_MEMORY,
        "out of memory (host)",
    )
    early = reconcile([record(JobState.RUNNING)], {}, None, {"train": saved}, {"train"}, 1000.0)
    final = ExitRecord(**{**left(0, True).__dict__, "restart": 1})
    assert reconcile(early, {}, None, {"train": final}, {"train"}, 1001.0)[0].restarts == 1


@dataclasses.dataclass(frozen=True)
class World:
    """The truth about one job, of which sources tell late or not at all. Times in seconds after its
    submission."""

    start: float
    end: float
    state: JobState
    leaves: bool
    """Whether it wrote an exit record."""
    files_late: float
    """When its files are seen on the login node, after its end."""
    accounting_late: float
    accounting: bool
    """Whether there is any."""

    def active(self, now: float) -> Answer:
        if now >= self.end:
            return {}
        running = now >= self.start
        return {
            TOKEN: SchedulerRecord(
                job_id="7",
                token=TOKEN,
                state=JobState.RUNNING if running else JobState.PENDING,
                started=self.start if running else None,
                source="squeue",
            )
        }

    def final(self, now: float) -> Answer:
        if not self.accounting:
            return None
        then = now - self.accounting_late
        if then < 0:
            return {}
        if then < self.end:
            return {
                TOKEN: SchedulerRecord(
                    job_id="7",
                    token=TOKEN,
                    state=JobState.RUNNING if then >= self.start else JobState.PENDING,
                )
            }
        return {
            TOKEN: SchedulerRecord(
                job_id="7",
                token=TOKEN,
                state=self.state,
                started=self.start,
                ended=self.end,
                source="sacct",
            )
        }

    def files(self, now: float) -> tuple[dict[str, ExitRecord], set[str]]:
        if now < self.end + self.files_late:
            return {}, set()
        good = self.state is JobState.COMPLETED
        signals = ("SIGTERM",) if self.state in (JobState.TIMEOUT, JobState.CANCELLED) else ()
        record = left(0 if good else 1, good, ended=self.end, signals=signals)
        return {
            "train": dataclasses.replace(record, started=self.start)
        } if self.leaves or good else {}, {"train"} if good else set()


ENDS = [
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.TIMEOUT,
    JobState.OUT_OF_MEMORY,
    JobState.CANCELLED,
]
worlds = st.builds(
    World,
    start=st.floats(0, 50),
    end=st.floats(50, 200),
    leaves=st.booleans(),
    state=st.sampled_from(ENDS),
    files_late=st.floats(0, GRACE_SECONDS - 5),
    accounting_late=st.sampled_from([0.0, 5.0, 500.0]),
    accounting=st.booleans(),
)
looks = st.lists(
    st.tuples(
        st.floats(0, 30),
        st.floats(0, 4),
        st.floats(0, 4),
        st.sampled_from(["both", "squeue", "none"]),
    ),
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@example(
    world=World(
        start=0.0,
        end=50.0,
        state=JobState.OUT_OF_MEMORY,
        leaves=True,
        files_late=0.0,
        accounting_late=0.0,
        accounting=True,
    ),
    moments=[(12.0, 4.0, 4.0, "both"), (30.0, 0.0, 0.0, "both"), (0.0, 0.0, 0.0, "squeue")],
    repeat=1,
)
@given(world=worlds, moments=looks, repeat=st.integers(1, 2))
def test_no_order_delay_or_loss_of_answers_loses_a_finished_job_or_lets_one_run_twice(
    world: World, moments: list[tuple[float, float, float, str]], repeat: int
) -> None:
    now = [record()]
    clock = 0.0
    for pause, between, later, answering in [*moments, *[(100.0, 0.0, 0.0, "both")] * 8]:
        clock += pause
        # As orch looks: the queue, accounting a moment later, and the files last.
        active = None if answering == "none" else world.active(clock)
        final = world.final(clock + between) if answering == "both" and active == {} else None
        exits, done = world.files(clock + between + later)
        before = now[0]
        for _ in range(repeat):
            now = reconcile(now, active, final, exits, done, clock + between + later)
        clock += between + later
        (told,) = now
        alive = clock < world.end
        assert told.state is not JobState.WAITING, "it would be submitted again"
        if before.state in FAILED and before.source == "sacct":
            assert told.state is before.state, (
                "what accounting said is taken back because it was not asked again"
            )
        if alive or world.state is JobState.COMPLETED:
            assert told.state not in FAILED, "it would be submitted again"
    if world.state is JobState.COMPLETED:
        assert now[0].state is JobState.COMPLETED
    elif world.leaves or world.accounting:
        assert now[0].state in FAILED
    else:
        assert now[0].state is JobState.UNKNOWN, "nobody said what became of it"


def test_a_job_that_slurm_calls_completed_has_a_minute_to_show_its_results() -> None:
    over: Answer = {
        TOKEN: SchedulerRecord(
            job_id="7",
            token=TOKEN,
            state=JobState.COMPLETED,
            started=10.0,
            ended=90.0,
            source="sacct",
        )
    }
    (soon,) = reconcile([record()], {}, over, {}, set(), 100.0)
    assert (soon.state, soon.reason) == (
        JobState.COMPLETING,
        "ended; its results are not seen here yet",
    )
    assert reconcile([soon], {}, over, {}, {"train"}, 110.0)[0].state is JobState.COMPLETED
    (late,) = reconcile([soon], {}, over, {}, set(), 200.0)
    assert (late.state, late.reason) == (
        JobState.FAILED,
        "the scheduler says COMPLETED, but there are no results and no exit record",
    )


@pytest.mark.parametrize("state", [JobState.SUSPENDED, JobState.RUNNING, JobState.COMPLETING])
def test_the_queue_is_believed_about_what_is_active(state: JobState) -> None:
    assert reconcile([record()], {TOKEN: seen(state)}, None, {}, set(), 100.0)[0].state is state


COMPLETE = {"train": left(0, True)}
EXAMPLES: dict[str, tuple[Record, Answer, Answer, dict[str, ExitRecord], set[str], float]] = {
    "results_complete": (record(), {TOKEN: seen(JobState.RUNNING)}, None, COMPLETE, {"train"}, 99),
    "results_removed": (record(JobState.COMPLETED), {}, {}, {}, set(), 99),
    "never_submitted": (replace(record(JobState.WAITING), token=""), {}, {}, {}, set(), 99),
    "pack_member_ended": (
        replace(record(), token=f"{TOKEN}+1"),
        {TOKEN: seen(JobState.RUNNING)},
        None,
        {"train": dataclasses.replace(left(1, False), token=f"{TOKEN}+1")},
        set(),
        99,
    ),
    "node_named_the_state": (
        record(),
        {},
        {TOKEN: seen(JobState.FAILED)},
        {"train": dataclasses.replace(left(1, False), state="CANCELLED")},
        set(),
        99,
    ),
    "accounting_failed": (
        record(),
        {},
        {TOKEN: seen(JobState.TIMEOUT)},
        {"train": left(-15, False, signals=("SIGTERM",))},
        set(),
        99,
    ),
    "failure_stands": (
        record(JobState.TIMEOUT),
        {},
        None,
        {"train": left(-15, False, signals=("SIGTERM",))},
        set(),
        99,
    ),
    "requeue_requested": (
        record(JobState.RUNNING),
        {},
        None,
        {"train": dataclasses.replace(left(75, False), requeued=True)},
        set(),
        99,
    ),
    "signal_unexplained": (
        record(),
        {},
        {},
        {"train": left(-15, False, signals=("SIGTERM",))},
        set(),
        99,
    ),
    "results_awaited": (record(), {}, {}, COMPLETE, set(), 99),
    "exit_recorded": (record(), {}, {}, {"train": left(3, False)}, set(), 99),
    "completed_without_results": (
        record(),
        {},
        {TOKEN: seen(JobState.COMPLETED)},
        {},
        set(),
        99,
    ),
    "accounting_active": (record(), {}, {TOKEN: seen(JobState.RUNNING)}, {}, set(), 99),
    "in_the_queue": (record(), {TOKEN: seen(JobState.RUNNING)}, None, {}, set(), 99),
    "nothing_new": (record(), None, None, {}, set(), 99),
    "accounting_not_asked": (record(), {}, None, {}, set(), 99),
    "nowhere": (record(), {}, {}, {}, set(), 99),
}
"""For each rule sources that it decides."""


@pytest.mark.parametrize("rule", EXAMPLES)
def test_every_rule_decides_somewhere_and_is_kept_with_what_it_decided(rule: str) -> None:
    before, active, final, exits, done, now = EXAMPLES[rule]
    sources = current(before, active, final, exits.get("train"), bool(done), now)
    name, decided = decide(sources)
    assert name == rule
    (after,) = reconcile([before], active, final, exits, done, now)
    if decided is before:
        assert after is before, "a record that stays keeps the rule that had decided it"
    else:
        assert after.rule == rule


def test_there_is_an_example_of_every_rule() -> None:
    assert [rule.__name__ for rule in RULES] == list(EXAMPLES)


@pytest.mark.parametrize("rule", EXAMPLES)
def test_without_an_exit_record_and_accounting_no_rule_of_its_end_answers(rule: str) -> None:
    before, active, final, exits, done, now = EXAMPLES[rule]
    sources = current(before, active, final, exits.get("train"), bool(done), now)
    unended = replace(sources, exit_record=None, accounting=None)
    assert [ask.__name__ for ask in RULES_OF_ITS_END if ask(unended) is not None] == []


def test_every_rule_says_when_it_applies() -> None:
    assert all(rule.__doc__ for rule in RULES)


def test_what_is_kept_of_a_record_is_the_rule_that_had_decided_it() -> None:
    (running,) = reconcile([record()], {TOKEN: seen(JobState.RUNNING)}, None, {}, set(), 99.0)
    (later,) = reconcile([running], None, None, {}, set(), 100.0)
    assert (later.state, later.rule) == (JobState.RUNNING, "in_the_queue")


def test_an_exit_record_is_of_the_newest_start_by_its_number_or_by_the_time() -> None:
    old = dataclasses.replace(left(75, False, ended=50.0), restart=1)
    assert exit_of_this_start(None, restart=0) is None
    assert exit_of_this_start(old, restart=1) is old
    assert exit_of_this_start(old, restart=2) is None
    assert exit_of_this_start(old, began=49.0) is old
    assert exit_of_this_start(old, began=51.0) is None
    assert exit_of_this_start(old) is old, "nothing is known of a later start"


def test_an_engine_that_knows_how_long_it_takes_is_believed(tmp_path: Path) -> None:
    """The longest samples come first, so the pace of the steps would promise too late an end."""
    out = tmp_path / "jobs" / "train" / "out"
    out.mkdir(parents=True)
    progress = Progress(out)
    progress.write(10, 100, {"tokens_per_second": 5.0}, "evaluate")
    progress.write(20, 100, {"tokens_per_second": 5.0, "seconds_left": 30.0}, "evaluate")
    last = read_progress(out)[-1]
    shown = pace(last_progress(out), 0.0, 3600.0, last["time"] + 1.0)
    assert shown.expected_end == last["time"] + 30.0
    assert shown.metrics == {"tokens_per_second": 5.0}


def test_how_a_program_ended_that_was_made_to_end_is_not_said_beside_who_did() -> None:
    silent = ExitRecord(**{**left(-15, False, signals=("SIGTERM",)).__dict__, "reason": ""})
    said = SchedulerRecord(
        job_id="7", token=TOKEN, state=JobState.TIMEOUT, reason="time limit reached"
    )
    (now,) = reconcile([record()], {}, {TOKEN: said}, {"train": silent}, set(), 100.0)
    assert now.reason == "time limit reached"
    mute = SchedulerRecord(job_id="7", token=TOKEN, state=JobState.TIMEOUT)
    (now,) = reconcile([record()], {}, {TOKEN: mute}, {"train": silent}, set(), 100.0)
    assert now.reason == "ended by signal 15 (SIGTERM)"


TIMES = st.sampled_from([None, 0.0, 50.0])


@settings(max_examples=300, deadline=None)
@given(
    state=st.sampled_from([JobState.PENDING, JobState.WAITING, JobState.RUNNING]),
    said=st.sampled_from([JobState.PENDING, JobState.RUNNING]),
    job_ids=st.tuples(st.sampled_from(["7", None]), st.sampled_from(["7", "8"])),
    reasons=st.tuples(st.sampled_from(["", "Priority"]), st.sampled_from(["", "Priority"])),
    times=st.tuples(TIMES, TIMES, TIMES, TIMES, TIMES),
    rest=st.tuples(
        st.sampled_from(["", "in_the_queue", "nowhere"]),
        st.sampled_from([None, Doubt.NOWHERE]),
        st.sampled_from([None, Wait.PARENTS]),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([TOKEN, ""]),
        st.sampled_from([None, "n1"]),
    ),
    results=st.booleans(),
)
def test_jobs_that_nothing_has_happened_to_are_as_the_rules_would_leave_them(
    state: JobState,
    said: JobState,
    job_ids: tuple[str | None, str],
    reasons: tuple[str, str],
    times: tuple[float | None, ...],
    rest: tuple[Any, ...],
    results: bool,
) -> None:
    rule, doubt, waits_on, exit_code, token, host = rest
    held = Record(
        name="a",
        stage="a",
        identity="i",
        folder="jobs/a",
        token=token,
        job_id=job_ids[0],
        state=state,
        source="squeue",
        rule=rule,
        reason=reasons[0],
        doubt=doubt,
        waits_on=waits_on,
        started=times[0],
        ended=times[1],
        expected_start=times[2],
        exit_code=exit_code,
        seen=1.0,
    )
    queued = SchedulerRecord(
        job_id=job_ids[1],
        token=TOKEN,
        state=said,
        reason=reasons[1],
        started=times[3],
        expected_start=times[4],
        host=host,
        source="squeue",
    )
    queue = {TOKEN: queued}
    done = {"a"} if results else set()
    weighed = weigh(current(held, queue, None, None, results, 9.0))
    assert reconcile([held], queue, None, {}, done, 9.0) == [weighed]
