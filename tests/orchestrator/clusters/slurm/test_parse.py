"""How the answers of Slurm's programs are read."""

from dataclasses import replace

import pytest

from orchestrator.clusters.slurm.parse import (
    cluster_name,
    largest_request,
    most_jobs,
    of_cluster,
    parse_sacct,
    parse_squeue,
)
from orchestrator.description.profile import Profile
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


def squeue_line(reason: str, start: str = "N/A") -> str:
    return "\x1f".join(["17_[1-2]", "e.a.0123456789", "PENDING", reason, start, ""])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("JobArrayTaskLimit,None", "JobArrayTaskLimit"),
        ("None,Resources", "Resources"),
        ("None", ""),
        ("None,None", ""),
        (
            "ReqNodeNotAvail, UnavailableNodes:a100-[1,3]",
            "ReqNodeNotAvail, UnavailableNodes:a100-[1,3]",
        ),
    ],
)
def test_of_a_list_of_reasons_the_first_that_says_something_is_shown(
    said: str, reason: str
) -> None:
    assert parse_squeue(squeue_line(said))["0123456789_1"].reason == reason


def test_what_lies_beyond_a_year_is_no_estimate() -> None:
    asked = 1767323045.0  # 2026-01-02T03:04:05 UTC
    near, far = (
        parse_squeue(squeue_line("Priority", start), asked)["0123456789_1"]
        for start in ("2026-12-31T00:00:00", "2090-09-15T21:37:00")
    )
    assert near.expected_start == 1798675200.0
    assert far.expected_start is None


@pytest.mark.parametrize(
    ("code", "exit_code", "reason"),
    [
        ("127:0", None, "exit code 127 or 255"),
        ("0:0", 128, "exit code 128"),
        ("1:0", None, "exit code 1 or 129"),
        ("200:0", 200, "exit code 200"),
        ("0:9", 0, "ended by signal 9"),
    ],
)
def test_every_exit_code_that_accounting_may_mean_is_named(
    code: str, exit_code: int | None, reason: str
) -> None:
    row = f"17|e.a.0123456789|FAILED|{code}|2026-01-02T03:04:05|2026-01-02T03:04:06|a100-1|None"
    found = parse_sacct(row)["0123456789"]
    assert (found.exit_code, found.reason) == (exit_code, reason)


def test_limits_of_jobs_are_those_of_the_account_in_any_case_and_of_a_list_of_partitions() -> None:
    associations = "Welcome\nbuglab||100|Long\nbuglab|low|7|\nbuglab|other|3|\nsecond||2|\n"
    rules = "normal|\nlong|40\n"
    profile = Profile(kind="slurm", account="BugLab", partition="gpu, low")
    assert most_jobs(associations, rules, profile) == 7
    assert most_jobs(associations, rules, replace(profile, partition="gpu")) == 40
    assert most_jobs(associations, rules, replace(profile, account="second")) == 2
    assert most_jobs("", rules, profile) is None
    with pytest.raises(ValueError, match="'Welcome'"):
        most_jobs("Welcome\n", rules, profile)


def test_of_a_database_of_several_clusters_one_counts() -> None:
    several = "here|a|x\nthere|b|y\n"
    assert of_cluster(several, lambda: "Here") == "a|x"
    assert of_cluster("here|a|x\n", lambda: pytest.fail("there is one only")) == "a|x"
    assert cluster_name("Configuration data\nClusterName             = Here\n") == "Here"
    assert cluster_name("") is None
