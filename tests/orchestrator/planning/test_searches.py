"""A stage whose points are drawn in rounds: its jobs, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from tests.support.builders import planned

SEARCH = {
    "metric": "loss",
    "rounds": 3,
    "n": 2,
    "seed": 4,
    "axes": {"lr": {"log_uniform": [1e-4, 0.1]}},
}
TRAIN = {
    "command": "train {lr} {seed} {point}",
    "search": SEARCH,
    "matrix": {"seed": [0, 1]},
    "metrics": {"loss": {"better": "lower"}, "steps": {}},
}
FSM = {
    "engine": "fsm",
    "search": {
        "metric": "test_accuracy",
        "rounds": 2,
        "n": 2,
        "axes": {"epochs": {"integers": [3, 9]}},
    },
}


def searched_plan(folder: Path, **stages: dict[str, Any]) -> Plan:
    return planned({"experiment": "e", "stages": stages}, folder)


def refused(folder: Path, **stages: dict[str, Any]) -> str:
    with pytest.raises(DescriptionError) as error:
        searched_plan(folder, **stages)
    return "\n".join(error.value.lines)


def test_there_is_a_job_for_each_point_and_seed_from_the_start(tmp_path: Path) -> None:
    plan = searched_plan(tmp_path, train=TRAIN)
    names = [f"train/point={point},seed={seed}" for point in range(6) for seed in (0, 1)]
    assert [job.name for job in plan.jobs] == names
    assert [plan.round_of(job) for job in plan.jobs] == [1] * 4 + [2] * 4 + [3] * 4
    # What is not drawn yet waits in the command.
    assert plan.jobs[5].command == ("train", "{lr}", "1", "2")
    assert not plan.searches["train"].higher
    assert Plan.from_json(plan.to_json()) == plan
    more = searched_plan(tmp_path, train={**TRAIN, "search": {**SEARCH, "rounds": 5}})
    assert [job.identity for job in more.jobs[:12]] == [job.identity for job in plan.jobs]


def test_what_follows_the_best_one_may_name_what_is_drawn(tmp_path: Path) -> None:
    final = {"command": "final {lr} {seed}", "for_each": {"of": "train", "best": "loss"}}
    plan = searched_plan(tmp_path, train=TRAIN, final={**final, "matrix": {"again": [1]}})
    assert plan.jobs[-1].command == ("final", "{lr}", "{seed}")
    assert len(plan.choices["final/again=1"].jobs) == 12
    each = {"command": "each {lr}", "for_each": "train"}
    assert "no axis 'lr'" in refused(tmp_path, train=TRAIN, each=each)


def test_an_axis_of_a_search_sets_the_config_key_of_an_engine(tmp_path: Path) -> None:
    plan = searched_plan(tmp_path, train=FSM)
    assert all(3 <= job.config["epochs"] <= 9 for job in plan.jobs)
    assert len({job.identity for job in plan.jobs}) == 4
    wrong = {**FSM, "search": {**FSM["search"], "axes": {"epoch": {"integers": [3, 9]}}}}  # type: ignore[dict-item]
    assert "sets the config key 'epoch', which no engine 'fsm' reads" in refused(
        tmp_path, train=wrong
    )
    twice = {**FSM, "config": {"eval_every": "{epochs}"}}
    assert "sets the key 'epochs' alone" in refused(tmp_path, train=twice)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "los"}, "search: metric: unknown metric 'los'; did you mean 'loss'?"),
        ({"metric": "steps"}, "'steps' must say which values are better"),
        ({"rounds": 1}, "say how many rounds there are, at least two"),
        ({"n": 0}, "say how many points each round has"),
        ({"axes": {}}, "name at least one axis"),
        ({"axes": {"lr": {"uniform": [2, 1]}}}, "must be the least and the largest"),
        ({"axes": {"seed": {"integers": [1, 9]}}}, "axis 'seed' has another meaning"),
        ({"axes": {"lr": {"choice": [1, 2]}, "b": {"integers": [1, 2]}}}, "no more than 4"),
        ({"sampler": "tpe"}, "sampler"),
    ],
)
def test_a_wrong_search_is_told(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in refused(tmp_path, train={**TRAIN, "search": {**SEARCH, **changes}})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"matrix": {"seed": [0], "data": ["a"]}}, "axis 'data' would multiply with the points"),
        ({"zip": {"a": [1, 2], "b": [1, 2]}}, "'zip' and 'search' do not go together"),
        ({"exclude": [{"seed": 0}]}, "'exclude' and 'search' do not go together"),
        ({"command": "train {lr} {width}"}, "no axis 'width'"),
    ],
)
def test_what_does_not_go_with_a_search_is_told(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert said in refused(tmp_path, train={**TRAIN, **changes})


def test_seeds_may_come_from_the_stage_before_and_nothing_else(tmp_path: Path) -> None:
    data = {"command": "data {seed}", "matrix": {"seed": [0, 1]}}
    train = {**TRAIN, "for_each": "data"}
    del train["matrix"]
    plan = searched_plan(tmp_path, data=data, train=train)
    assert plan.jobs[-1].name == "train/seed=1,point=5"
    other = {"command": "data {kind}", "matrix": {"kind": ["a"]}}
    said = refused(tmp_path, data=other, train={**train, "command": "train {lr}"})
    assert "axis 'kind' would multiply with the points" in said
