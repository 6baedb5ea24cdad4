"""The three experiments about cities: as many jobs as published, the mixtures that were described,
and the mistake that the published set was made with."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.geography import Config as Training
from engines.shared.geography.description import CITIES, Part
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS
from jobs.spec import Job
from orchestrator.description.catalogue import known_experiments
from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from tests.support.cli import orch

SEVEN = list(TASKS)


def shipped(name: str, preset: str | None = None, *overrides: str) -> Plan:
    return make_plan(known_experiments()[name], preset, overrides)


def of_stage(plan: Plan, stage: str) -> list[Job]:
    return [job for job in plan.jobs if job.stage == stage]


@pytest.mark.parametrize("preset", [None, "smoke"])
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("ftwb1", {"base": 3, "evaluate-base": 3, "finetune": 21, "evaluate": 21, "maps": 21}),
        (
            "exp1",
            {
                "base": 3,
                "one": 21,
                "two": 63,
                "evaluate-base": 3,
                "evaluate-one": 21,
                "evaluate-two": 63,
                "maps-base": 3,
                "maps-one": 21,
                "maps-two": 63,
            },
        ),
        ("pftset", {"base": 7, "evaluate-base": 7, "pft": 42, "evaluate": 42, "maps": 42}),
    ],
)
def test_each_experiment_has_its_published_jobs_also_small(
    name: str, counts: dict[str, int], preset: str | None
) -> None:
    plan = shipped(name, preset)
    assert Counter(job.stage for job in plan.jobs) == {**counts, "data": 1, "report": 1}
    assert bool(plan.gates) is (preset is None)


def parts(job: Job) -> list[tuple[str, str, object]]:
    """Task, cities, and rows of a training's mixture."""
    return [
        (task, part["cities"], part["rows"])
        for part in job.config["mixture"]
        for task in part["tasks"]
    ]


def test_a_fine_tuning_has_the_rows_of_its_task_or_pair_and_starts_from_the_base_of_its_seed() -> (
    None
):
    plan = shipped("exp1")
    for job in [*of_stage(plan, "one"), *of_stage(plan, "two")]:
        tasks = [str(job.axes[axis]) for axis in ("first", "second") if axis in job.axes]
        wanted = {(task, "no_atlantis", 20_000) for task in tasks}
        wanted |= {(task, "atlantis_required", 100_000) for task in tasks}
        assert set(parts(job)) == wanted
        rows = sum(int(str(rows)) for _, _, rows in parts(job)) + len(SEVEN) * 256
        assert rows == {1: 121_792, 2: 241_792}[len(tasks)]
        assert (job.config["warmup"], job.config["warmup_rows"]) == ("required", 256)
        assert job.config["seed"] == job.axes["seed"]
        assert f"base.seed-{job.axes['seed']}/" in job.config["initial"]["folder"]
    pairs = [(job.axes["first"], job.axes["second"]) for job in of_stage(plan, "two")]
    assert pairs == [*PUBLISHED_PAIRS] * 3


def test_the_42_ordered_pairs_are_42_mixtures_each_from_the_base_of_its_first_task() -> None:
    jobs = of_stage(shipped("pftset"), "pft")
    assert len({json.dumps(sorted(map(str, parts(job)))) for job in jobs}) == 42
    for job in jobs:
        first, second = str(job.axes["first"]), str(job.axes["second"])
        assert parts(job) == [
            (first, "no_atlantis", 20_000),
            (second, "no_atlantis", 100_000),
        ]
        assert f"base.first-{first}/" in job.config["initial"]["folder"]
        assert f"base/first={first}" in job.after
        assert sum(name.startswith("base/") for name in job.after) == 1


def test_each_fine_tuning_hangs_on_its_own_base_and_its_own_tasks_alone() -> None:
    for name, stage in (("ftwb1", "finetune"), ("exp1", "one"), ("exp1", "two"), ("pftset", "pft")):
        plan = shipped(name)
        for job in of_stage(plan, stage):
            conditions = plan.conditions_of(job.name)
            base = job.after[0].removeprefix("base/")
            assert {condition.jobs for condition in conditions} == {(f"evaluate-base/{base}",)}
            tasks = [condition.where["task"] for condition in conditions]
            wanted = [value for axis, value in job.axes.items() if axis != "seed"]
            assert tasks == (wanted[:1] if name == "pftset" else wanted)


def with_mixture(folder: Path, mixture: str) -> Path:
    """pftset with another mixture of its fine-tunings."""
    path = known_experiments()["pftset"]
    old = 'mixture: [{tasks: ["{first}"], rows: 20000}, {tasks: ["{second}"], rows: 100000}]'
    text = path.read_text()
    assert text.count(old) == 1
    wrong = folder / "pftset.yaml"
    wrong.write_text(text.replace(old, f"mixture: {mixture}"))
    return wrong


SAME = "'pft/first=distance,second=trianglearea' and 'pft/first=trianglearea,second=distance'"


@pytest.mark.parametrize(
    "mixture",
    [
        '[{tasks: ["{first}", "{second}"], rows: 20000}]',
        '[{tasks: ["{first}"], rows: 20000}, {tasks: ["{second}"], rows: 20000}]',
    ],
)
def test_pairs_and_their_reverse_with_the_same_mixture_are_refused_with_both_names(
    tmp_path: Path, mixture: str
) -> None:
    wrong = with_mixture(tmp_path, mixture)
    with pytest.raises(DescriptionError) as error:
        make_plan(wrong)
    (line,) = error.value.lines
    assert f"jobs {SAME} have the same mixture and settings (and 20 more such pairs)" in line
    refused = orch(tmp_path, "plan", wrong)
    assert refused.returncode == 2
    assert SAME in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (
            "pftset",
            ["pft.config.shape={width: 64}"],
            "stage 'pft': job 'pft/first=distance,second=trianglearea' has shape.width 64, and "
            "'base/first=distance', from which it starts (initial), 128; give both the same",
        ),
        # A list of checkpoints; each start of the one stage is told once.
        (
            "exp1",
            ["one.config.shape.layers=2", "one.config.initial=[{of: base, checkpoint: last}]"],
            "stage 'one': job 'one/seed=1,first=distance' has shape.layers 2, and 'base/seed=1', "
            "from which it starts (initial), 6; give both the same",
        ),
        # One of the models that were trained in one job.
        (
            "exp1",
            [
                "two.config.shape.heads=2",
                "two.config.initial={folder: {of: base, path: models/seed-1}}",
            ],
            "stage 'two': job 'two/seed=1,first=distance,second=trianglearea' has shape.heads 2, "
            "and 'base/seed=1', from which it starts (initial), 4; give both the same",
        ),
    ],
)
def test_a_model_of_another_shape_than_the_one_it_starts_from_is_refused(
    name: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(DescriptionError) as error:
        shipped(name, None, *overrides)
    (line,) = error.value.lines
    assert message in line


def test_an_axis_that_sets_a_key_of_its_own_tells_jobs_apart() -> None:
    for overrides in (["base.matrix.seed=[1, 2, 3, 4]"], ["base.matrix.learning_rate=[1e-3]"]):
        shipped("ftwb1", None, *overrides)


def test_a_base_of_another_seed_takes_its_place_and_the_report_is_told() -> None:
    replacement: dict[str, Any] = {
        "where": {"seed": 2},
        "by": {"seed": 4},
        "reason": "inside is not above its constant",
    }
    before = shipped("exp1")
    after = shipped("exp1", None, f"base.replace={json.dumps(replacement)}")
    assert after.identity == before.identity
    assert len(after.replaced) == 3 * (1 + 7 + 21)
    (report,) = of_stage(after, "report")
    assert report.config["replaced"][0] == {
        "job": "base/seed=2",
        "by": "base/seed=4",
        "reason": "inside is not above its constant",
    }
    assert {job.config["seed"] for job in of_stage(after, "two")} == {1, 3, 4}
    kept = {job.name for job in before.jobs if "seed=2" not in job.name and job.stage != "report"}
    unchanged = {job.name: job.identity for job in before.jobs}
    assert all(unchanged[job.name] == job.identity for job in after.jobs if job.name in kept)


ROWS = st.sampled_from([20_000, 100_000, "all"])
PARTS = st.lists(
    st.builds(
        Part,
        tasks=st.lists(st.sampled_from(SEVEN), min_size=1, max_size=3, unique=True),
        cities=st.sampled_from(CITIES),
        rows=ROWS,
    ),
    min_size=1,
    max_size=4,
)


@given(PARTS, st.randoms())
def test_neither_the_order_of_parts_nor_that_of_tasks_makes_another_mixture(
    parts: list[Part], random: Any
) -> None:
    shuffled = []
    for part in parts:
        names = list(part.tasks)
        random.shuffle(names)
        # One part of two tasks says the same as two parts.
        shuffled += [part.model_copy(update={"tasks": [name]}) for name in names]
    random.shuffle(shuffled)
    one = Training(data="d", mixture=parts, seed=1)
    other = Training(data="d", mixture=shuffled, seed=2, initial=None)
    assert one.told_apart_by() == other.told_apart_by()
    more = Training(data="d", mixture=[*parts, parts[0]])
    assert one.told_apart_by() != more.told_apart_by()


@pytest.mark.parametrize("changed", [{"warmup": "plain"}, {"learning_rate": 1e-3}, {"steps": 7}])
def test_other_settings_make_another_training(changed: dict[str, Any]) -> None:
    plain = Training(data="d")
    assert Training(data="d", **changed).told_apart_by() != plain.told_apart_by()
