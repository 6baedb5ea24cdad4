"""Which node died first: by the nodes' own records, and by srun's lines where there is none."""

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.several.first_death import (
    CLOCK_SECONDS,
    code_of,
    first_by_records,
    first_by_srun,
    has_lost_connection,
)

WELL = (0, 75)


def record(
    rank: int, ended: float | None, code: int | None, signals: tuple[str, ...] = ()
) -> dict[str, Any]:
    told = dict.fromkeys(signals, 0.0)
    return {
        "rank": rank,
        "host": f"n{rank}",
        "ended": ended,
        "exit_code": code,
        "signals": told,
    }


ends = st.one_of(
    st.just((None, None)),
    st.tuples(st.floats(0, 10, allow_nan=False), st.sampled_from([0, 75, 1, 7, -9, -11])),
)


@given(
    st.lists(st.tuples(ends, st.booleans(), st.booleans()), min_size=1, max_size=5),
)
def test_it_is_the_earliest_death_of_which_nobody_was_told_but_for_clocks_and_lost_connections(
    nodes: list[tuple[tuple[float | None, int | None], bool, bool]],
) -> None:
    records = [
        record(rank, ended, code, ("SIGTERM",) if told else ())
        for rank, ((ended, code), told, _) in enumerate(nodes)
    ]
    lost = {rank for rank, (_, _, is_lost) in enumerate(nodes) if is_lost}
    dead = {
        rank: ended
        for rank, ((ended, code), told, _) in enumerate(nodes)
        if ended is not None and code not in WELL and not told
    }
    found = first_by_records(reversed(records), lost, WELL)
    if not dead:
        assert found is None
        return
    assert found is not None
    assert found.exit_code == records[found.rank]["exit_code"]
    near = {rank for rank, ended in dead.items() if ended - min(dead.values()) <= CLOCK_SECONDS}
    assert found.rank in near
    causes = near - lost
    # Of those that may be the cause the earliest, and one that lost its connection only if all did.
    assert dead[found.rank] == min(dead[rank] for rank in causes or near)


def test_what_slurm_ended_or_still_runs_is_no_death() -> None:
    nodes = [record(0, 5.0, -15, ("SIGTERM",)), record(1, None, None), record(2, 1.0, 0)]
    assert first_by_records(nodes, (), WELL) is None
    death = first_by_records([*nodes, record(3, 6.0, 7, ("SIGUSR2",))], (), WELL)
    assert str(death) == "node 3 (n3) ended first, exit code 7"


# As srun of 22.05, 24.11 and 26.05 words it.
@pytest.mark.parametrize(
    ("lines", "rank", "host", "code"),
    [
        (
            [
                "step 3 of 9",
                "srun: error: a100-2: task 1: Exited with exit code 7",
                "srun: launch/slurm: _step_signal: Terminating StepId=5.0",
                "srun: error: a100-1: task 0: Terminated",
            ],
            1,
            "a100-2",
            7,
        ),
        (
            [
                "srun: error: a100-2: task 1: Segmentation fault (core dumped)",
                "srun: Terminating StepId=5.0",
            ],
            1,
            "a100-2",
            -signal.SIGSEGV,
        ),
        (["srun: error: a100-[1-2]: tasks 0-1: Killed"], 0, "a100-[1-2]", -signal.SIGKILL),
        (["srun: error: b3: tasks 2,4-7: Exited with exit code 1"], 2, "b3", 1),
        (["srun: error: a100-1: task 0: Out Of Memory"], 0, "a100-1", -signal.SIGKILL),
        (["srun: error: Node failure on a100-2"], -1, "a100-2", -signal.SIGKILL),
        (["[2026-11-28T10:00:00] srun: error: a: task 0: Aborted"], 0, "a", -signal.SIGABRT),
    ],
)
def test_srun_tells_of_the_first_death(lines: list[str], rank: int, host: str, code: int) -> None:
    found = first_by_srun(lines)
    assert found is not None
    assert (found.rank, found.host, found.exit_code) == (rank, host, code)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["srun: Terminating StepId=5.0", "srun: error: a100-1: task 0: Terminated"],
        ["srun: error: Unable to create step for job 5: Requested nodes are busy"],
        ["srun: error: a100-1: task 0: Something of a later version"],
    ],
)
def test_without_a_first_death_srun_names_nobody(lines: list[str]) -> None:
    assert first_by_srun(lines) is None


@given(st.integers(0, 255))
def test_an_exit_code_is_read_from_words(code: int) -> None:
    assert code_of(f"Exited with exit code {code}") == code


def test_a_lost_connection_is_what_the_others_say() -> None:
    said = "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:41"
    assert has_lost_connection(["Traceback (most recent call last):", said])
    assert not has_lost_connection(["ValueError: learning rate must be positive"])


def test_a_node_that_slurm_has_lost_is_named_by_its_host() -> None:
    found = first_by_srun(["srun: error: Node failure on a100-2", "srun: Terminating StepId=5.0"])
    assert str(found) == "node a100-2, Slurm lost it"
