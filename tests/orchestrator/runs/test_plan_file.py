"""plan.json and state.json: what is written is read again, what is not ours is refused with a
remedy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobs.spec import Job, Resources
from orchestrator.cli.completion import NAME_AND_STAGE
from orchestrator.errors import RunError
from orchestrator.planning.plan import Plan
from orchestrator.runs.lookup import open_run
from orchestrator.runs.plan_file import PlanFile, read_plan, write_plan
from orchestrator.runs.record import JobState, Record, unchanged
from orchestrator.runs.run import Run

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
TIME = st.none() | st.floats(0, 2e9)


def made(folder: Path, config: dict[str, object] | None = None) -> Run:
    """A run of two jobs, read from its folder."""
    jobs = tuple(
        Job(
            name=f"a/n={n}",
            stage="a",
            axes={"n": n},
            engine="x" if config else None,
            command=None if config else ("true", "ä"),
            config=config or {},
            resources=Resources(cpus=2),
            identity=f"i{n}",
            folder=f"jobs/a.n-{n}",
            after=("a/n=0",) * n,
        )
        for n in range(2)
    )
    plan = Plan(
        experiment="e", about="", preset=None, source=Path("e.yaml"), jobs=jobs, identity="p"
    )
    write_plan(
        folder, PlanFile(plan=plan, profile={"kind": "local"}, uid="u", cwd="/", created=1.0)
    )
    assert read_plan(folder).plan == plan or config is not None
    return open_run(folder)


@given(
    st.lists(
        st.tuples(
            TEXT,
            TEXT,
            st.sampled_from(JobState),
            TIME,
            st.booleans(),
            st.none() | st.integers(0, 255),
        ),
        min_size=2,
        max_size=2,
    )
)
def test_records_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple]
) -> None:
    run = made(tmp_path_factory.mktemp("run"))
    records = [
        Record(
            name=job.name,
            stage=job.stage,
            identity=job.identity,
            folder=job.folder,
            reason=reason,
            host=host,
            state=state,
            ended=ended,
            held=held,
            exit_code=code,
        )
        for job, (reason, host, state, ended, held, code) in zip(run.plan.jobs, drawn, strict=True)
    ]
    run.save(records)
    assert run.load() == records
    assert all(
        "state" in job for job in json.loads((run.folder / "state.json").read_text())["jobs"]
    )


def test_a_job_has_a_line_after_every_save_so_that_the_shell_finds_it(tmp_path: Path) -> None:
    run = made(tmp_path)
    run.save(run.load())
    run.save(run.load())
    found = NAME_AND_STAGE.findall((tmp_path / "state.json").read_text())
    assert [json.loads(name) for name, _ in found] == [job.name for job in run.plan.jobs]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"stage":', '"stag":'),
        ('"WAITING"', '"WAITIN"'),
        ('"folder":"', '"folder":7,"x":"'),
        ("]}", ""),
    ],
)
def test_a_state_file_that_is_none_names_the_remedy(
    tmp_path: Path, before: str, after: str
) -> None:
    run = made(tmp_path)
    run.save(run.load())
    path = tmp_path / "state.json"
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(RunError, match="--rescan"):
        run.load()


def test_a_number_that_strict_json_has_not_is_read_again(tmp_path: Path) -> None:
    config = (
        made(tmp_path, {"most": math.inf, "none": math.nan, "large": 2**80}).plan.jobs[1].config
    )
    assert (config["most"], math.isnan(config["none"]), config["large"]) == (math.inf, True, 2**80)
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(RunError, match="not a plan file"):
        read_plan(tmp_path)


def test_a_value_of_an_axis_is_no_list(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "plan.json"
    values = json.loads(path.read_text())
    values["plan"]["jobs"][0]["axes"] = {"n": [1]}
    path.write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"plan\.json: not a plan file .*axes"):
        read_plan(tmp_path)


def test_a_record_that_was_only_seen_again_is_unchanged() -> None:
    record = Record(name="a", stage="a", identity="i", folder="f", seen=1.0)
    later = replace(record, seen=30.0)
    assert (later.seen, later.name, replace(later, seen=1.0) == record) == (
        30.0,
        "a",
        True,
    )
    assert unchanged([record], [later])
    assert not unchanged([record], [replace(later, seen=90.0)])
    assert not unchanged([record], [replace(later, state=JobState.FAILED)])


def test_resources_that_a_plan_does_not_name_are_those_by_default() -> None:
    """msgspec leaves them to the class, where ``vars`` does not see them."""
    assert msgspec.convert({"cpus": 3}, Resources).to_dict() == vars(Resources(cpus=3))
