"""What a person writes and what they are told when it is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.contract.written.mistakes import Mistakes
from engines.contract.written.reading import read
from orchestrator.description.catalogue import find_experiment, known_experiments
from orchestrator.description.checking import keys_of
from orchestrator.description.keys import ExperimentFile, StageFile
from orchestrator.errors import DescriptionError
from orchestrator.planning.planner import make_plan


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mistakes(text: str, preset: str | None = None, overrides: list[str] | None = None) -> list[str]:
    path = Path("x.yaml")
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        make_plan(path, preset, overrides or [])
    return list(caught.value.lines)


def values(text: str) -> Any:
    found = Mistakes()
    node = read(text, "x.yaml", found)
    assert node is not None
    assert found.lines == []
    return node.plain()


MANY = """\
experiment: bad
abuot: what
stages:
  train:
    command: python a.py --lr {lr} --seed {sed}
    matrx: {lr: [1e-4]}
    matrix: {lr: [], seed: [0, 0]}
    resources: {cpu: 2, gpus: two, minutes: 0}
    after: [nobody]
  a: {command: echo, after: [b]}
  b: {command: echo, after: [a]}
  c:
    engine: no_such_engine
    checkpoints: evry:2
    after: a
    after: b
presets:
  full: {}
  smoke: {stage: {}}
"""


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    lines = mistakes(MANY, "smok", ["trai.config.x=1", "train.confg.x=2", "train.config"])
    engines = lines.pop(9)
    assert engines.startswith("x.yaml:13: stage 'c': unknown engine 'no_such_engine'; known: ")
    assert lines == [
        "x.yaml:2: unknown key 'abuot' (value 'what'); did you mean 'about'?",
        "x.yaml:6: stage 'train': unknown key 'matrx' (value {'lr': [0.0001]}); did you "
        "mean 'matrix'?",
        "x.yaml:7: stage 'train': axis 'lr' is empty, so the stage has no job; give it a "
        "value or take it out",
        "x.yaml:7: stage 'train': axis 'seed' has the value 0 twice; remove one",
        "x.yaml:8: stage 'train': resources: unknown key 'cpu' (value 2); did you mean 'cpus'?",
        "x.yaml:8: stage 'train': resources: gpus must be a whole number from 0 to 10000000, got 'two'",
        "x.yaml:8: stage 'train': resources: minutes must be a whole number from 1 to 10000000, got 0",
        "x.yaml:9: stage 'train': after: no stage 'nobody'; known: a, b, c, train",
        "x.yaml:10: stage 'a' waits for itself: a -> b -> a; take one of them out of 'after'",
        "x.yaml:14: stage 'c': checkpoints: 'evry:2' is none of last, best, all, "
        "every:N, [epoch, ...]",
        "x.yaml:16: key 'after' is here twice, first at x.yaml:15; remove one of the two",
        "x.yaml:17: no preset 'smok'; did you mean 'smoke'?",
        "x.yaml:18: preset 'full': not a name for a preset ('full' means no preset); use "
        "another word",
        "x.yaml:19: preset 'smoke': unknown key 'stage' (value {}); did you mean 'stages'?",
        "--set trai.config.x=1: no stage 'trai'; did you mean 'train'?",
        "--set train.confg.x=2: stage 'train' has no key 'confg'; did you mean 'config'?",
        "--set train.config: must be STAGE.KEY...=VALUE, as in --set train.config.epochs=5",
    ]


HEAD = "experiment: x\nstages:\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            HEAD + "  a: {command: 'echo {lr} {sed}', matrix: {lr: [1], seed: [0]}}",
            "x.yaml:3: stage 'a': command: no axis 'sed' to put in place of {sed}; did "
            "you mean 'seed'? (for a literal: {{sed}})",
        ),
        (
            HEAD + "  a: {command: echo hi}\n  b: {command: echo hi}",
            "x.yaml:4: stage 'b': jobs 'a' and 'b' have the same content; "
            "take one out, or let what tells them apart reach the config or the command",
        ),
        (
            HEAD + "  a: {command: 'echo {s}', matrix: {s: [0]}, exclude: [{s: 0}]}",
            "x.yaml:3: stage 'a': 'exclude' leaves no job; exclude less, or take the stage out",
        ),
        (
            HEAD + "  a: {command: 'echo {s}', matrix: {s: [0, 1]}, exclude: [{s: 2}]}",
            "x.yaml:3: stage 'a': exclude: axis 's' has no value 2; its values: 0, 1",
        ),
        (
            HEAD + '  a: {command: "echo \'open"}',
            "x.yaml:3: stage 'a': 'command' cannot be split into arguments (No closing "
            'quotation): "echo \'open"; '
            "close the quote, or write a list",
        ),
        (
            HEAD + "  a: {command: 'python t.py > log.txt'}",
            "x.yaml:3: stage 'a': 'command' has '>', and no shell reads it: "
            "'python t.py > log.txt'; write a list, [bash, -c, \"...\"], or quotes around what is "
            "meant as it stands",
        ),
        (
            HEAD + "  a: {command: echo, zz: {metric: x}}",
            f"x.yaml:3: stage 'a': unknown key 'zz' (value {{'metric': 'x'}}); known: "
            f"{', '.join(sorted(keys_of(StageFile)))}",
        ),
        (
            HEAD + "  a: {resources: {cpus: 1}}",
            "x.yaml:3: stage 'a': needs exactly one of 'engine' and 'command'; add one",
        ),
        (
            HEAD + "  a: {command: echo, checkpoints: all}",
            "x.yaml:3: stage 'a': 'checkpoints' needs 'for_each', which says whose checkpoints",
        ),
        (
            HEAD + "  a: {command: echo 1}\n  b: {command: echo, for_each: a, checkpoints: [5, x]}",
            "x.yaml:4: stage 'b': checkpoints: [5, 'x'] is none of last, best, all, "
            "every:N, [epoch, ...]",
        ),
        (
            "experiment: a b\nstages: {a: {command: echo}}",
            "x.yaml:1: 'experiment' must be a name of letters, digits, '_' and '-', at most 100 of them, got 'a b'",
        ),
        (
            "experiment: a\nstages: {}",
            "x.yaml:2: 'stages' must name at least one stage, and 500 at most",
        ),
        (
            "",
            "x.yaml:1: must be a mapping with the keys experiment, about, include, "
            "vars, stages, notify, retry, budget, track, snapshot, presets, got None",
        ),
        (
            "a: [1\nb: 2",
            "x.yaml:2: not YAML: expected ',' or ']', but got ':'; check indentation, "
            "quotes and colons there",
        ),
        (
            HEAD + "  a: &a {command: echo, config: *a}",
            "x.yaml:3: an alias that contains itself; write the values out",
        ),
    ],
)
def test_a_mistake_is_one_line_with_place_value_and_remedy(text: str, line: str) -> None:
    assert line in mistakes(text)


LINES = """\
experiment: x
stages:
  a:
    command:
      - echo
      - [lr]
    matrix:
      lr:
        - 1
        - {x: 1}
        - 1
      model:
        lstm: 5
    exclude:
      - {lr: 1}
      - lr
    after:
      - b
      - 3
    when:
      - metric: accuracy
        of: b
        at_least: 0.5
        for: two
      - metric: accuracy
        of: b
    resources:
      gpus: 1
      cpu: 2
notify:
  mail: a@b
  on:
    - done
"""


def test_a_mistake_inside_a_list_or_mapping_is_told_at_its_own_line() -> None:
    assert mistakes(LINES) == [
        "x.yaml:6: stage 'a': 'command' must be a text or a list of arguments, each a text "
        "or a number, got ['lr']",
        "x.yaml:10: stage 'a': axis 'lr': {'x': 1} is no text, number or boolean; give such "
        "values names: {name: {key: value}}",
        "x.yaml:11: stage 'a': axis 'lr' has the value 1 twice; remove one",
        "x.yaml:13: stage 'a': axis 'model', value lstm: must bring a mapping of config keys, "
        "got 5",
        "x.yaml:16: stage 'a': 'exclude' must be a list of mappings axis: value, got 'lr'",
        "x.yaml:17: stage 'a': after: no stage 'b'; known: a",
        "x.yaml:19: stage 'a': 'after' must be a stage or a list of stages, got 3",
        "x.yaml:22: stage 'a': when: no stage 'b'; known: a",
        "x.yaml:24: stage 'a': when: 'for' must be such as 2 of 3, got 'two'",
        "x.yaml:25: stage 'a': when: needs exactly one of 'at_least' and 'at_most', got none",
        "x.yaml:26: stage 'a': when: no stage 'b'; known: a",
        "x.yaml:29: stage 'a': resources: unknown key 'cpu' (value 2); did you mean 'cpus'?",
        "x.yaml:32: notify: 'on' must be a list of end, fail, decision, got ['done']",
    ]


def test_scalars_are_read_as_a_person_means_them() -> None:
    assert values(
        "[1e-4, 12:30:00, off, no, yes, true, ~, 010, 0x10, 1.10, .5, 2020-01-01, 3e]"
    ) == [
        0.0001,
        "12:30:00",
        "off",
        "no",
        "yes",
        True,
        None,
        10,
        16,
        1.1,
        0.5,
        "2020-01-01",
        "3e",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_python_writes_is_read_as_that_float(number: float) -> None:
    assert values(f"x: {number!r}") == {"x": number}


@given(st.integers(-(2**63), 2**64 - 1))
def test_every_integer_is_read_as_that_integer(number: int) -> None:
    assert values(f"- {number}") == [number]


PRESETS = """\
experiment: x
stages:
  a: {command: echo one, resources: {cpus: 2, memory_gb: 3}}
presets:
  small:
    about: small one
    stages:
      a: {resources: {cpus: 1, memory_gb: null}}
      b: {command: echo two, after: a}
"""


def test_a_preset_merges_replaces_removes_and_adds() -> None:
    Path("x.yaml").write_text(PRESETS)
    plan = make_plan("x.yaml", "small")
    assert [job.name for job in plan.jobs] == ["a", "b"]
    assert (plan.jobs[0].resources.cpus, plan.jobs[0].resources.memory_gb) == (1, 4)
    assert (plan.about, plan.preset) == ("small one", "small")
    assert [job.name for job in make_plan("x.yaml").jobs] == ["a"]
    assert make_plan("x.yaml", "full") == make_plan("x.yaml")


def test_set_comes_after_the_preset_and_reads_yaml() -> None:
    Path("x.yaml").write_text(PRESETS)
    plan = make_plan(
        "x.yaml", "small", ["a.resources.cpus=7", "a.matrix={s: [1e-3]}", "a.command=echo {s}"]
    )
    assert plan.jobs[0].resources.cpus == 7
    assert plan.jobs[0].command == ("echo", "0.001")


def test_an_unknown_experiment_names_the_nearest() -> None:
    assert {"hello-command", "mtl-comparison"} <= known_experiments().keys()
    with pytest.raises(DescriptionError, match="did you mean 'hello-command'"):
        find_experiment("hello-comand")
    with pytest.raises(DescriptionError, match="no such file"):
        find_experiment("nowhere.yaml")


def test_an_experiment_in_the_jobs_folder_here_hides_the_packaged_one() -> None:
    Path("jobs").mkdir()
    Path("jobs/hello-command.yaml").write_text("experiment: mine\nstages: {a: {command: echo}}\n")
    assert make_plan(find_experiment("hello-command")).experiment == "mine"


@pytest.mark.parametrize("text", ["!!int two", "!!float 1,5", "1" * 5000])
def test_a_number_that_is_none_is_one_line(text: str) -> None:
    found = Mistakes()
    read(f"x: {text}", "x.yaml", found)
    assert len(found.lines) == 1
    assert found.lines[0].startswith("x.yaml:1: ")


def mapping(values: Any) -> Any:
    """Mappings of the words that mean something somewhere in a file."""
    names = ["of", "metric", "at_least", "for", "where", "path", "seed", "gpus", "on", "mail", "a"]
    return st.dictionaries(st.sampled_from(names) | st.integers(0, 1), values, max_size=3)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.floats(0, 2)
    | st.sampled_from(["a", "{x}"]),
    lambda below: st.lists(below, max_size=2) | mapping(below),
    max_leaves=6,
)


def some_of(right: dict[str, Any], keys: list[str]) -> Any:
    """``right`` with some of its values, and some of ``keys``, set to anything."""
    changes = st.dictionaries(st.sampled_from([*right, *keys]), ANYTHING, max_size=3)
    return changes.map(lambda changed: {**right, **changed})


STAGE = some_of({"engine": "probe", "config": {}}, list(keys_of(StageFile))) | some_of(
    {"command": "echo {x}", "matrix": {"x": [1]}}, list(keys_of(StageFile))
)
DOCUMENT = st.dictionaries(st.sampled_from(["a", "b"]), STAGE | ANYTHING, min_size=1).flatmap(
    lambda stages: some_of({"experiment": "x", "stages": stages}, list(keys_of(ExperimentFile)))
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENT)
def test_whatever_a_file_says_it_is_planned_or_its_mistakes_are_told(document: Any) -> None:
    Path("any.yaml").write_text(json.dumps(document))
    told: list[str] = []
    jobs: tuple[Any, ...] = ()
    try:
        jobs = make_plan("any.yaml").jobs
    except DescriptionError as error:
        told += error.lines
    assert bool(jobs) != bool(told)
    assert [line for line in told if not line.startswith("any.yaml:1: ")] == []


def test_values_that_names_of_jobs_cannot_tell_apart_are_named_both() -> None:
    text = "stages:\n  a:\n    command: echo {x}\n    matrix:\n      x: [é, ß]\n"
    assert mistakes(f"experiment: x\nabout: x\n{text}") == [
        "x.yaml:7: stage 'a': axis 'x': é and ß would both be _ in the names of jobs, which have "
        "a to z, digits and ._+:@/- alone; write one otherwise"
    ]
