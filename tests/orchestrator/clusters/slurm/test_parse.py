"""How the answers of Slurm's programs are read."""

import pytest

from orchestrator.clusters.slurm.parse import largest_request, parse_sacct, parse_squeue
from orchestrator.runs.record import JobState


def test_squeue_answers_are_read_by_token_and_unknown_words_are_not_failures() -> None:
    text = "\n".join(
        "\x1f".join(parts)
        for parts in [
            (
                "17",
                "e.train/arm=a,seed=0.aaaaaaaaaa",
                "RUNNING",
                "None",
                "2026-01-02T03:04:05",
                "a100-1",
            ),
            ("18", "e.train.bbbbbbbbbb", "PENDING", "Dependency", "N/A", ""),
            ("19", "e.c.cccccccccc", "POWERING_DOWN", "None", "N/A", ""),
        ]
    )
    found = parse_squeue(text)
    assert (found["aaaaaaaaaa"].state, found["aaaaaaaaaa"].job_id, found["aaaaaaaaaa"].host) == (
        JobState.RUNNING,
        "17",
        "a100-1",
    )
    assert (found["bbbbbbbbbb"].state, found["bbbbbbbbbb"].reason, found["bbbbbbbbbb"].started) == (
        JobState.PENDING,
        "Dependency",
        None,
    )
    assert found["cccccccccc"].state is JobState.UNKNOWN


def test_sacct_answers_are_read_with_odd_states_and_names() -> None:
    text = (
        "17|e.a|b.aaaaaaaaaa|CANCELLED by "
        "1000|0:0|2026-01-02T03:04:05|2026-01-02T03:05:05|a100-1|None\n"
        "18|e.b.bbbbbbbbbb|OUT_OF_MEMORY|0:125|2026-01-02T03:04:05|Unknown|a100-1|None\n"
        "19|e.c.cccccccccc|FAILED|3:0|2026-01-02T03:04:05|2026-01-02T03:04:06|a100-1|NonZeroExitCode"
    )
    found = parse_sacct(text)
    assert (found["aaaaaaaaaa"].state, found["aaaaaaaaaa"].reason) == (
        JobState.CANCELLED,
        "cancelled by 1000",
    )
    assert found["bbbbbbbbbb"].state is JobState.OUT_OF_MEMORY
    # sacct takes 128 off every code from 128 on.
    assert (found["cccccccccc"].exit_code, found["cccccccccc"].reason) == (
        None,
        "exit code 3 or 131 (NonZeroExitCode)",
    )


PARTITIONS = """\
PartitionName=gpu Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=debug Default=NO MaxTime=02:00:00 State=UP
PartitionName=free Default=NO MaxTime=UNLIMITED State=UP
"""
NODES = "gpu|257000\ngpu|1031000+\ndebug|64000\n"


@pytest.mark.parametrize(
    ("partition", "most"),
    [
        ("gpu", {"minutes": 1440, "memory_gb": 1006}),
        (None, {"minutes": 1440, "memory_gb": 1006}),
        ("debug", {"minutes": 120, "memory_gb": 62}),
        ("debug,gpu", {"minutes": 1440, "memory_gb": 1006}),
        ("debug,free", {"memory_gb": 62}),
        ("unknown", {}),
    ],
)
def test_the_largest_request_is_that_of_the_partition_that_takes_most(
    partition: str | None, most: dict[str, int]
) -> None:
    assert largest_request(PARTITIONS, NODES, partition) == most
    # Slurm could not be asked.
    assert largest_request("", "", partition) == {}
