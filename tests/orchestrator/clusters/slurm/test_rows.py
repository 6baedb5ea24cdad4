"""Rows of squeue and sacct are told apart whatever the jobs of a user are called."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clusters.slurm.parse import (
    QUEUE,
    UNIT,
    accounting,
    count_jobs,
    ids_by_token,
    parse_sacct,
    parse_squeue,
)
from orchestrator.clusters.slurm.rows import Table, new_mark, readable
from orchestrator.runs.record import JobState

OURS = "e.train/arm=a.0123456789"
HEADS = {"squeue": "JOBID", "sacct": "JobID"}


def printed(table: Table, mark: str, rows: list[list[str]]) -> str:
    """What the program prints for these rows: a header, and a mark behind each cell."""
    head = [HEADS[table.program], *(["NAME"] * (len(table.asked) - 1))]
    return "".join("".join(f"{cell}{mark}" for cell in row) + "\n" for row in [head, *rows])


# Anything but what the kernel and Slurm cannot carry in an argument.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
GREETING = st.sampled_from(["", "Welcome to the cluster\n", "17 jobs | quota 3 GB\n\n"])


@given(names=st.lists(NAMES, max_size=5), before=GREETING, after=GREETING, at=st.integers(0, 5))
def test_our_job_is_found_among_jobs_of_any_name(
    names: list[str], before: str, after: str, at: int
) -> None:
    mark = new_mark()
    rows = [
        [str(number), name, "PENDING", "None", "N/A", ""] for number, name in enumerate(names, 100)
    ]
    rows.insert(at, ["17_3", OURS, "RUNNING", "None", "2026-01-02T03:04:05", "a100-1"])
    text = QUEUE.read(before + printed(QUEUE, mark, rows) + after, mark)
    found = parse_squeue(text)["0123456789_3"]
    assert (found.job_id, found.state, found.host) == ("17_3", JobState.RUNNING, "a100-1")
    assert found.started == 1767323045.0  # 2026-01-02T03:04:05 UTC
    assert count_jobs(text)[0] == len(names) + 1
    assert ids_by_token(text)["0123456789_3"] == {"17_3"}


@given(names=st.lists(NAMES, max_size=4), before=GREETING)
def test_accounting_is_read_by_the_time_of_submission(names: list[str], before: str) -> None:
    table, mark = accounting(0.0), new_mark()
    times = ["2026-01-02T03:04:05", "2026-01-02T03:04:06", "a100-1", "None"]
    strangers = [
        [str(number), name, "FAILED", "1:0", *times, "2026-01-02T00:00:00"]
        for number, name in enumerate(names, 100)
    ]
    # As a job that was requeued: the newest start may stand anywhere.
    newest = ["17", OURS, "COMPLETED", "0:0", *times, "2026-01-02T02:00:00"]
    first = ["17", OURS, "NODE_FAIL", "1:0", *times, "2026-01-02T01:00:00"]
    text = table.read(before + printed(table, mark, [newest, *strangers, first]), mark)
    assert parse_sacct(text)["0123456789"].state is JobState.COMPLETED


def test_an_empty_queue_is_told_from_an_answer_that_says_nothing() -> None:
    mark = new_mark()
    assert parse_squeue(QUEUE.read("Welcome\n" + printed(QUEUE, mark, []), mark)) == {}
    with pytest.raises(ValueError, match="nothing in its answer can be read: 'Welcome to x'"):
        QUEUE.read("\nWelcome to x\nmore\n", mark)
    with pytest.raises(ValueError, match="its answer is empty"):
        QUEUE.read("", mark)


def test_an_answer_that_was_cut_off_is_none() -> None:
    mark = new_mark()
    whole = printed(QUEUE, mark, [["17", OURS, "RUNNING", "None", "N/A", "a100-1"]])
    with pytest.raises(ValueError, match="ends in the middle"):
        QUEUE.read(whole.rpartition(mark)[0], mark)


def test_a_strangers_array_that_is_cut_off_hides_nothing_of_ours() -> None:
    text = "\n".join(
        UNIT.join([job_id, name, "PENDING", "None", "N/A", ""])
        for job_id, name in [("8_[1,3,...]", "sweep"), ("9", "x.abc"), ("17", OURS)]
    )
    assert set(parse_squeue(text)) == {"0123456789"}
    assert count_jobs(text) == (3, 0)


def test_two_jobs_under_one_token_are_both_ours() -> None:
    text = "\n".join(
        UNIT.join([job_id, OURS, "PENDING", "None", "N/A", ""]) for job_id in ("17", "18")
    )
    assert ids_by_token(text) == {"0123456789": {"17", "18"}}


def test_other_programs_answers_are_read_line_by_line() -> None:
    pattern = re.compile(r"(\w+)\|(\d+)")
    assert [match[1] for match in readable("Welcome\ngpu|4\n\nbad|x\nlow|2", pattern)] == [
        "gpu",
        "low",
    ]
    assert readable("", pattern) == []
    with pytest.raises(ValueError, match="'Welcome to x'"):
        readable("Welcome to x\nbye", pattern)


def test_the_question_asks_a_day_earlier_in_utc() -> None:
    command = accounting(1767323045.0).command("MARK")
    assert "--starttime=2026-01-01T03:04:05" in command
    assert "--delimiter=MARK" in command
    assert "--duplicates" in command
    assert Path(command[0]).name == "sacct"
