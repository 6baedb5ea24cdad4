"""Jobs of a plan: how many, in which order, under which names and hashes."""

import json
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import EngineConfig
from engines.contract.results import ResultSource
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.reading import read
from jobs.stages import fill, folder_names, identity, points
from orchestrator.description.engine_config import validate, wants_results
from orchestrator.description.stage_reader import read_stage
from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from orchestrator.planning.planner import make_plan
from orchestrator.views.plan import plan_lines
from tests.support.builders import planned
from tests.support.paths import ROOT

NAMES = st.sampled_from(["seed", "lr", "arm"])
AXES = st.dictionaries(
    NAMES, st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True), max_size=3
)
EXCLUDE = st.lists(st.dictionaries(NAMES, st.integers(0, 5), min_size=1), max_size=3)


@given(AXES, EXCLUDE)
def test_a_matrix_has_the_product_of_its_axes_less_what_is_excluded(
    matrix: Any, exclude: Any
) -> None:
    found = points(matrix, exclude)
    everything = [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]
    expected = [
        point
        for point in everything
        if not any(entry.items() <= point.items() for entry in exclude)
    ]
    assert found == expected


@given(AXES, AXES)
def test_for_each_has_its_own_product_per_parent(
    parent: dict[str, list[int]], own: dict[str, list[int]]
) -> None:
    own = {f"own_{axis}": values for axis, values in own.items()}
    parents = points(parent)
    assert len(points(own, (), parents)) == len(parents) * len(points(own))


@given(
    st.lists(
        st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), min_size=1),
        unique=True,
        max_size=20,
    )
)
def test_folders_are_unique_and_safe(names: list[str]) -> None:
    folders = folder_names(names)
    assert len({folder.lower() for folder in folders.values()}) == len(names)
    assert all(
        len(folder) <= 100 and "/" not in folder and " " not in folder
        for folder in folders.values()
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3)
    ),
    max_leaves=8,
)
CONFIG = st.dictionaries(st.text(min_size=1, max_size=5), JSON, min_size=1, max_size=4)


@given(CONFIG, st.randoms())
def test_the_identity_does_not_depend_on_the_order_of_keys(
    config: dict[str, Any], random: Any
) -> None:
    items = list(config.items())
    random.shuffle(items)
    assert identity("e", None, dict(items), [], {}) == identity("e", None, config, [], {})


@given(CONFIG, JSON, st.data())
def test_the_identity_changes_with_any_value(config: dict[str, Any], value: Any, data: Any) -> None:
    key = data.draw(st.sampled_from(sorted(config)))
    changed = {**config, key: value}
    same = json.dumps(changed, sort_keys=True) == json.dumps(config, sort_keys=True)
    assert (identity("e", None, changed, [], {}) == identity("e", None, config, [], {})) == same


def test_the_identity_sees_a_parent_and_not_where_it_lies() -> None:
    config = {"data": "{run}/jobs/a/out/data"}
    here = identity("e", None, config, ["1"], {"{run}/jobs/a": "1"})
    assert here == identity(
        "e", None, {"data": "{run}/jobs/b/out/data"}, ["1"], {"{run}/jobs/b": "1"}
    )
    assert here != identity("e", None, config, ["2"], {"{run}/jobs/a": "2"})
    assert here != identity(
        "e", None, {"data": "{run}/jobs/a/out/other"}, ["1"], {"{run}/jobs/a": "1"}
    )


STAGES = st.integers(1, 6).flatmap(
    lambda size: st.permutations(range(size)).flatmap(
        lambda order: st.tuples(
            st.just(order),
            st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size),
            st.lists(st.integers(1, 3), min_size=size, max_size=size),
        )
    )
)


@settings(deadline=None, max_examples=50)
@given(STAGES)
def test_every_job_follows_those_it_waits_for_and_none_is_lost(
    tmp_path_factory: Any, shape: Any
) -> None:
    order, needs, sizes = shape
    stages = {}
    for (
        stage
    ) in order:  # written in any order; needs point to smaller numbers only, so there is no cycle
        after = [f"s{need}" for need in needs[stage] if need < stage]
        stages[f"s{stage}"] = {
            "command": f"echo {stage} {{x}}",
            "matrix": {"x": list(range(sizes[stage]))},
            "after": after,
        }
    plan = planned({"experiment": "x", "stages": stages}, tmp_path_factory.mktemp("plan"))
    seen: set[str] = set()
    for job in plan.jobs:
        assert set(job.after) <= seen
        seen.add(job.name)
    assert len(seen) == len(plan.jobs) == sum(sizes)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


CHAIN = {
    "experiment": "x",
    "stages": {
        "train": {
            "command": "train {arm} {seed}",
            "matrix": {"arm": ["a", "b"], "seed": [0, 1]},
            "resources": {"gpus": 2, "minutes": 90},
        },
        "test": {"command": "test {arm} {seed} {k}", "for_each": "train", "matrix": {"k": [1, 2]}},
        "report": {"command": "report", "after": ["test"]},
    },
}


def test_names_say_what_varies_and_for_each_follows_its_own_parent(tmp_path: Path) -> None:
    plan = planned(CHAIN, tmp_path)
    jobs = {job.name: job for job in plan.jobs}
    child = jobs["test/arm=b,seed=1,k=2"]
    assert child.after == ("train/arm=b,seed=1",)
    assert child.command == ("test", "b", "1", "2")
    assert child.folder == "jobs/test.arm-b_seed-1_k-2"
    assert len(jobs["report"].after) == 8
    assert plan.gpu_hours == 4 * 2 * 1.5


def test_the_plan_is_the_same_for_the_same_work_and_another_for_other_work(tmp_path: Path) -> None:
    plan = planned(CHAIN, tmp_path)
    assert (
        planned(CHAIN, tmp_path, overrides=["train.resources.minutes=100"]).identity
        == plan.identity
    )
    other = planned(CHAIN, tmp_path, overrides=["train.command=train {arm} {seed} --more"])
    assert other.identity != plan.identity
    before, after = ({job.name: job.identity for job in each.jobs} for each in (plan, other))
    assert all(before[name] != after[name] for name in before), (
        "children of other work are other work too"
    )


def test_an_argument_with_spaces_and_shell_signs_stays_one_argument() -> None:
    assert fill(("echo", "--x={x}", "{{x}}", '{"a": 1}'), {"x": "a b; rm -rf $HOME"}) == (
        "echo",
        "--x=a b; rm -rf $HOME",
        "{x}",
        '{"a": 1}',
    )


def test_a_table_of_the_plan_names_every_job_and_the_gpu_hours(tmp_path: Path) -> None:
    plan = planned(CHAIN, tmp_path)
    stages = "\n".join(line.plain for line in plan_lines(plan))
    assert "12 GPU-hours asked for" in stages
    assert len(plan.jobs) > 10
    assert stages.count("\n") < 12
    names = [job.name for job in plan.jobs]
    jobs = "\n".join(line.plain for line in plan_lines(plan, wanted=names))
    assert "test (8 jobs)" in jobs
    assert jobs.count("train/arm=") == 8
    assert sum(line.startswith("train") for line in jobs.splitlines()) == 4


class Inner(EngineConfig):
    method: Literal["sum", "pcgrad"] = "sum"


class Outer(EngineConfig):
    model: str | CheckpointSource
    mtl: Inner = Inner()
    data: str | dict[str, str] = ""
    batch: int = 8
    parts: int = 2
    inputs: list[ResultSource] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> "Outer":
        if self.batch % self.parts:
            raise ValueError(f"batch ({self.batch}) must be a multiple of parts ({self.parts})")
        return self


@pytest.mark.parametrize(
    ("config", "lines"),
    [
        (
            "model: m\nmtl:\n  metod: sum\nbatc: 3",
            [
                "x:5: stage 's': config: unknown key 'mtl.metod' (value 'sum'); did you "
                "mean 'method'?",
                "x:6: stage 's': config: unknown key 'batc' (value 3); did you mean 'batch'?",
            ],
        ),
        (
            "mtl:\n  method: som\nbatch: 1e-4",
            [
                "x:2: stage 's': config.model is missing; the engine needs it",
                "x:4: stage 's': config.mtl.method must be 'sum' or 'pcgrad', got 'som'",
                "x:5: stage 's': config.batch must be a valid integer, got 0.0001",
            ],
        ),
        (
            "model:\n  folder: f\n  chekpoint: last",
            [
                "x:5: stage 's': config: unknown key 'model.chekpoint' (value 'last'); "
                "did you mean 'checkpoint'?"
            ],
        ),
        (
            "model: m\ndata: 5",
            ["x:4: stage 's': config.data must be a valid string or a valid dictionary, got 5"],
        ),
        (
            "model: m\ndata:\n  math: [1]",
            ["x:5: stage 's': config.data.math must be a valid string, got [1]"],
        ),
        (
            "model: m\nbatch: 7",
            ["x:2: stage 's': config: batch (7) must be a multiple of parts (2)"],
        ),
    ],
)
def test_a_config_is_held_against_the_engine_at_the_line_of_its_key(
    config: str, lines: list[str]
) -> None:
    found = Mistakes()
    text = "engine: e\nconfig:\n" + "\n".join(f"  {line}" for line in config.splitlines())
    node = read(text, "x", found)
    assert node is not None
    stage = read_stage("s", node, found)
    assert validate(Outer, stage.config, stage, True, found) is None
    assert found.in_file_order() == lines
    assert wants_results(Outer)


MAIN = ROOT / "jobs" / "mtl-comparison.yaml"


def test_the_smoke_preset_fills_in_checkpoints_references_and_inputs() -> None:
    jobs = {job.name: job for job in make_plan(MAIN, "smoke").jobs}
    train, evaluate = jobs["train/arm=pcgrad,seed=0"], jobs["evaluate/arm=pcgrad,seed=0"]
    assert train.config["mtl"]["method"] == "pcgrad"
    assert jobs["train/arm=baseline,seed=0"].config["mtl"]["method"] == "sum"
    assert train.config["data"] == "{run}/jobs/prepare/out/data"
    assert train.config["model"] == {"folder": "{run}/jobs/prepare/out", "checkpoint": "warm"}
    assert train.after == ("prepare",)
    assert evaluate.config["models"]["folder"] == f"{{run}}/{train.folder}/out"
    assert set(evaluate.after) == {train.name, "prepare"}
    assert [source["job"] for source in jobs["report"].config["inputs"]] == list(jobs)[:-1]
    assert all(job.resources.gpus == 0 and job.resources.cpus <= 2 for job in jobs.values())


def test_paths_of_other_jobs_are_absolute_at_launch(tmp_path: Path) -> None:
    document = make_plan(MAIN, "smoke").below(tmp_path).to_json()
    text = json.dumps(document)
    assert "{run}" not in text
    assert f"{tmp_path}/jobs/prepare/out/data" in text


def test_the_whole_experiment_asks_for_gpus_and_starts_from_the_named_model() -> None:
    plan = make_plan(MAIN)
    assert plan.jobs[0].config["model"] == "Qwen/Qwen2.5-7B"
    assert plan.gpu_hours > 48
    assert [job.name for job in plan.jobs][-1] == "report"


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("train.config.epoch=5", "config: unknown key 'epoch' (value 5); did you mean 'epochs'?"),
        ("train.config.epochs=0", "config.epochs must be greater than or equal to 1, got 0"),
        (
            "train.matrix.sed=[0]",
            "axis 'sed' sets the config key 'sed', which no engine 'ppo' reads; did you "
            "mean 'seed'?",
        ),
        (
            "evaluate.config.data={of: prepar, path: data}",
            "config.data: refers to stage 'prepar', which stage 'evaluate' does not wait "
            "for; did you mean 'prepare'?",
        ),
        (
            "prepare.config.seed={of: train, path: data}",
            "config.seed: refers to stage 'train', which stage 'prepare' does not wait "
            "for; add 'train' to its 'after'",
        ),
        (
            "report.config.inputs=[]",
            "config: 'inputs' is filled in from 'after'; take it out and name the stages there",
        ),
        (
            "report.checkpoints=all",
            "engine 'analysis' takes no 'checkpoints': it has no config key 'models'",
        ),
        ("train.matrix.seed=[0, 0.5]", "config.seed must be a valid integer, got 0.5"),
        (
            "evaluate.config.models=here",
            "config: 'models' is set by 'checkpoints' already; keep one of the two",
        ),
        (
            "train.config.data={of: prepare, path: ../data}",
            "config.data: path '../data' must lie below what the job leaves: no '/' in "
            "front, no '..'",
        ),
        (
            "train.config.data={of: prepare}",
            "config.data: a reference is {of: STAGE, path: P} or {of: STAGE, checkpoint: "
            "C}, got {'of': 'prepare'}",
        ),
        (
            "report.config.metric={of: train, path: x}",
            "config.metric: refers to stage 'train', which has 2 jobs and a reference "
            "means one; use for_each: train",
        ),
    ],
)
def test_a_mistake_in_an_engine_stage_is_told_where_it_was_made(override: str, text: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        make_plan(MAIN, "smoke", [override])
    assert caught.value.lines[-1] == f"--set {override}: stage '{override.split('.')[0]}': {text}"


ARMS = {"baseline": {"mtl": {"method": "sum"}}, "pcgrad": {"mtl": {"method": "pcgrad"}}}
TWO = {
    "experiment": "x",
    "stages": {
        "first": {
            "engine": "ppo",
            "matrix": {"arm": ARMS, "seed": [0, 1]},
            "exclude": [{"arm": "pcgrad", "seed": 1}],
            "config": {"model": "m", "data": "d", "validation_data": "d"},
        },
        "second": {
            "engine": "ppo",
            "for_each": "first",
            "config": {
                "model": {"of": "first", "checkpoint": "best"},
                "data": "d",
                "validation_data": "d",
            },
        },
    },
}


def test_an_axis_sets_the_config_or_brings_its_own_and_a_child_takes_its_own_parents_checkpoint(
    tmp_path: Path,
) -> None:
    jobs = {job.name: job for job in planned(TWO, tmp_path).jobs}
    assert len(jobs) == 6
    first, second = jobs["first/arm=baseline,seed=1"], jobs["second/arm=baseline,seed=1"]
    assert (first.config["mtl"]["method"], first.config["seed"]) == ("sum", 1)
    assert second.config["model"] == {"folder": f"{{run}}/{first.folder}/out", "checkpoint": "best"}
    assert len({job.identity for job in jobs.values()}) == 6


def test_what_a_command_is_told_is_part_of_what_it_is(tmp_path: Path) -> None:
    def identities(matrix: dict[str, Any], command: str) -> list[str]:
        stages = {"a": {"command": command, "matrix": matrix}}
        return [
            job.identity for job in planned({"experiment": "x", "stages": stages}, tmp_path).jobs
        ]

    # It may read ORCH_AXES.
    zero, one = identities({"seed": [0, 1]}, "python3 read.py")
    assert zero != one
    assert identities({"seed": [1]}, "python3 read.py") == [one]
    # What the command names is in it already: it is what it was before.
    assert identities({"seed": [3]}, "echo {seed}") == identities({"x": [3]}, "echo {x}")
    # Of what it follows the identity tells.
    stages = {
        "a": {"command": "echo {seed}", "matrix": {"seed": [0]}},
        "b": {"command": "echo b", "for_each": "a"},
    }
    first, second = planned({"experiment": "x", "stages": stages}, tmp_path).jobs
    assert second.identity == identity(None, ["echo", "b"], {}, [first.identity], {})
