"""Arrays: how jobs are dealt into them, what they wait for, and how Slurm's short forms of them are
read."""

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engines.contract.words import ranges
from jobs.spec import Job
from orchestrator.clusters.batch import Batch, compressed, expanded
from orchestrator.clusters.slurm.parse import parse_sacct, parse_squeue
from orchestrator.clusters.slurm.script import JobScript, dependency, script_text
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.batching import make_batches, waits_for
from orchestrator.lifecycle.observe import Observation, as_never_started
from orchestrator.runs.attempts import prepare
from orchestrator.runs.record import Doubt, JobState
from tests.support.builders import job, run_of, submitted

UNIT = "\x1f"


def test_like_jobs_are_one_array_and_children_follow_their_own_parent() -> None:
    trains = [job(f"train/seed={n}", gpus=2) for n in range(3)]
    evaluations = [job(f"evaluate/seed={n}", after=(f"train/seed={n}",)) for n in range(3)]
    report = job("report", after=tuple(item.name for item in evaluations))
    batches, by_name, words = submitted(run_of(*trains, *evaluations, report))
    assert [batch.title for batch in batches] == ["train[0-2]", "evaluate[0-2]", "report"]
    assert words == ["", "corr:1", "2"]
    assert by_name["evaluate/seed=2"].job_id == "2_2"
    assert len({record.token for record in by_name.values()}) == 7


def test_jobs_that_ask_for_other_resources_are_not_in_one_array() -> None:
    batches, _, _ = submitted(
        run_of(job("train/a", gpus=1), job("train/b", gpus=2), job("train/c", gpus=1))
    )
    assert [[member.name for member in batch.jobs] for batch in batches] == [
        ["train/a", "train/c"],
        ["train/b"],
    ]


def test_every_array_counts_from_zero_and_stays_under_the_largest_index() -> None:
    batches, _, _ = submitted(run_of(*[job(f"train/{n}") for n in range(25)]), size=10)
    assert [batch.indexes for batch in batches] == [
        list(range(10)),
        list(range(10)),
        list(range(5)),
    ]
    assert len({batch.token for batch in batches}) == 3


def test_many_children_of_few_parents_are_an_array_per_parent_and_few_of_many_one_per_round() -> (
    None
):
    trains = [job(f"train/{n}") for n in range(2)]
    many = [job(f"evaluate/{n},{k}", after=(f"train/{n}",)) for n in range(2) for k in range(5)]
    assert submitted(run_of(*trains, *many))[2] == ["", "1_0", "1_1"]
    trains = [job(f"train/{n}") for n in range(5)]
    few = [job(f"evaluate/{n},{k}", after=(f"train/{n}",)) for n in range(5) for k in range(2)]
    assert submitted(run_of(*trains, *few))[2] == ["", "corr:1", "corr:1"]


def test_parents_that_are_done_are_not_named_and_a_partly_done_array_not_whole() -> None:
    trains = [job(f"train/{n}") for n in range(3)]
    report = job("report", after=tuple(item.name for item in trains))
    evaluations = [job(f"evaluate/{n}", after=(f"train/{n}",)) for n in range(3)]
    run = run_of(*trains, report, *evaluations)
    by_name = submitted(run)[1]
    by_name["train/1"] = replace(by_name["train/1"], state=JobState.COMPLETED)
    assert waits_for(Batch((report,), (by_name["report"],)), by_name).all == ("1_0", "1_2")
    batches, _, words = submitted(run, done=frozenset({"train/1"}))
    assert words == ["", "", "1", "corr:1"]
    assert sum(len(batch.jobs) for batch in batches) == 6


def test_an_array_that_an_element_has_left_for_another_attempt_is_not_waited_for_whole() -> None:
    trains = [job(f"train/{n}") for n in range(3)]
    report = job("report", after=tuple(item.name for item in trains))
    by_name = submitted(run_of(*trains, report))[1]
    batch = Batch((report,), (by_name["report"],))
    assert waits_for(batch, by_name).all == ("1",)
    # Whichever it was: the last one leaves an array that looks whole.
    for n in range(3):
        moved = replace(by_name[f"train/{n}"], attempt=2, token="f0f0f0f0f0", job_id="7")
        waits = waits_for(batch, by_name | {moved.name: moved})
        assert set(waits.all) == {"7", *(f"1_{k}" for k in range(3) if k != n)}
    # All of it submitted again as one array is whole.
    again = {
        f"train/{n}": replace(by_name[f"train/{n}"], attempt=2, token=f"f0_{n}", job_id=f"8_{n}")
        for n in range(3)
    }
    assert waits_for(batch, by_name | again).all == ("8",)


def test_an_element_that_is_submitted_again_keeps_its_token_and_index() -> None:
    run = run_of(*[job(f"train/{n}") for n in range(4)])
    first, by_name, _ = submitted(run)
    again = [replace(record, job_id=None, state=JobState.WAITING) for record in by_name.values()]
    (second,) = make_batches(run, again, {"train/1", "train/3"}, 1000)
    assert (second.token, second.indexes, second.records[0].attempt) == (first[0].token, [1, 3], 1)
    (alone,) = make_batches(run, again, {"train/3"}, 1000)
    assert (alone.token, alone.title) == (first[0].token, "train[3]")


@st.composite
def graphs(draw: st.DrawFn) -> list[Job]:
    """Layers of jobs; each job waits for some of the layer before."""
    jobs: list[Job] = []
    before: list[str] = []
    for layer in range(draw(st.integers(1, 3))):
        now = [
            job(
                f"s{layer}/{n}",
                after=tuple(draw(st.sets(st.sampled_from(before), max_size=3))) if before else (),
                gpus=draw(st.integers(0, 1)),
            )
            for n in range(draw(st.integers(1, 6)))
        ]
        jobs += now
        before = [item.name for item in now]
    return jobs


@settings(max_examples=60, deadline=None)
@given(jobs=graphs(), size=st.integers(1, 4), data=st.data())
def test_every_job_is_submitted_once_after_exactly_its_active_parents(
    jobs: list[Job], size: int, data: st.DataObject
) -> None:
    done = frozenset(item.name for item in jobs if not item.after and data.draw(st.booleans()))
    batches, by_name, words = submitted(run_of(*jobs), size, done)
    assert sorted(member.name for batch in batches for member in batch.jobs) == sorted(
        {item.name for item in jobs} - done
    )
    elements = {
        head: [name for name, r in by_name.items() if (r.job_id or "").partition("_")[0] == head]
        for head in {(r.job_id or "").partition("_")[0] for r in by_name.values()}
    }
    by_id = {record.job_id: name for name, record in by_name.items()}
    for batch, waits in zip(batches, words, strict=True):
        assert len(batch.jobs) <= size
        assert all(index < size for index in batch.indexes)
        for place, member in enumerate(batch.jobs):
            parents: set[str] = set()
            for word in waits.split():
                if word.startswith("corr:"):
                    parents.add(by_id[f"{word[5:]}_{batch.indexes[place]}"])
                else:
                    parents |= {by_id[word]} if word in by_id else set(elements[word])
            assert parents == set(member.after) - done


@settings(deadline=None, max_examples=50)
@given(numbers=st.sets(st.integers(0, 300), min_size=1))
def test_ranges_and_their_expansion_are_inverse(numbers: set[int]) -> None:
    assert expanded(f"7_[{ranges(numbers)}%3]") == [f"7_{number}" for number in sorted(numbers)]
    (short,) = compressed([f"7_{number}" for number in numbers])
    assert expanded(short) == [f"7_{number}" for number in sorted(numbers)]


def test_squeue_and_sacct_lines_of_arrays_are_read_element_by_element() -> None:
    text = "\n".join(
        UNIT.join(parts)
        for parts in [
            ("123_[4-9,12%3]", "e.train.aaaaaaaaaa", "PENDING", "JobArrayTaskLimit", "N/A", ""),
            ("123_2", "e.train.aaaaaaaaaa", "RUNNING", "None", "2026-01-02T03:04:05", "a100-1"),
        ]
    )
    found = parse_squeue(text)
    assert {seen.job_id for seen in found.values()} == {
        f"123_{n}" for n in (2, 4, 5, 6, 7, 8, 9, 12)
    }
    assert (found["aaaaaaaaaa_12"].state, found["aaaaaaaaaa_12"].reason) == (
        JobState.PENDING,
        "JobArrayTaskLimit",
    )
    assert (found["aaaaaaaaaa_2"].state, found["aaaaaaaaaa_2"].host) == (JobState.RUNNING, "a100-1")
    over = parse_sacct(
        "123_1|e.train.aaaaaaaaaa|FAILED|3:0|2026-01-02T03:04:05|2026-01-02T03:04:06|a100-1|NonZeroExitCode\n"
        "123_[4-5%3]|e.train.aaaaaaaaaa|CANCELLED by "
        "0|0:0|Unknown|2026-01-02T03:04:06|None assigned|None"
    )
    assert {token: seen.state for token, seen in over.items()} == {
        "aaaaaaaaaa_1": JobState.FAILED,
        "aaaaaaaaaa_4": JobState.CANCELLED,
        "aaaaaaaaaa_5": JobState.CANCELLED,
    }


def test_a_list_of_elements_that_was_cut_off_is_no_answer() -> None:
    with pytest.raises(ValueError, match="not listed whole"):
        parse_squeue(
            UNIT.join(["123_[1,3,5,...]", "e.train.aaaaaaaaaa", "PENDING", "None", "N/A", ""])
        )


def test_the_script_of_an_array_has_its_indexes_its_throttle_and_a_log_per_element() -> None:
    run = run_of(*[job(f"train/{n}") for n in range(4)])
    (batch,), by_name, _ = submitted(run)
    text = script_text(
        Profile(kind="slurm", throttle=2),
        batch.jobs[0].resources,
        JobScript(
            name="e.train.t",
            log=Path("/runs/100%/arrays/t/%a.log"),
            dependency=dependency(waits_for(batch, by_name)),
            command=["true"],
            indexes=batch.indexes,
        ),
    )
    assert "#SBATCH --array=0-3%2\n" in text
    assert "#SBATCH --output=/runs/100%%/arrays/t/%a.log\n" in text


def test_an_element_that_is_nowhere_and_was_never_claimed_was_cancelled_before_it_started() -> None:
    run = run_of(job("train/0"), job("train/1"))
    missing = replace(
        submitted(run)[1]["train/0"], state=JobState.UNKNOWN, doubt=Doubt.NOWHERE, seen=100.0
    )
    soon, later = Observation(now=130.0), Observation(now=200.0)
    assert as_never_started(run, missing, soon, set()) is missing
    assert as_never_started(run, missing, later, set()).state is JobState.CANCELLED
    alone = replace(missing, job_id="17")
    assert as_never_started(run, alone, later, set()) is alone, (
        "accounting tells of a single job what became of it"
    )
    claimed = Observation(now=200.0, claimed={missing.name})
    assert as_never_started(run, missing, claimed, set()) is missing


def test_an_id_that_slurm_has_given_out_again_is_another_job() -> None:
    rows = (
        "17|e.a.aaaaaaaaaa|FAILED|1:0|2026-01-02T03:04:05|2026-01-02T03:04:06|a100-1|None\n"
        "17|other.x.bbbbbbbbbb|RUNNING|0:0|2026-02-02T03:04:05|Unknown|a100-1|None"
    )
    found = parse_sacct(rows)
    assert (found["aaaaaaaaaa"].state, found["bbbbbbbbbb"].state) == (
        JobState.FAILED,
        JobState.RUNNING,
    )


def test_a_launch_that_was_killed_while_it_made_the_folders_of_an_array_can_be_repeated(
    tmp_path: Path,
) -> None:
    run = dataclasses.replace(run_of(job("train/0"), job("train/1")), folder=tmp_path)
    (batch,), _, _ = submitted(run)
    run.array_folder(batch.token).mkdir(parents=True)
    for _ in range(2):
        prepare(run, batch.jobs, batch.records)
    assert set(json.loads((run.array_folder(batch.token) / "members.json").read_text())) == {
        "0",
        "1",
    }
    assert run.log(batch.records[1]).readlink().name == "1.log"
