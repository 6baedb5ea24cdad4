"""Variables and included files: the same plan as if all had been written out, and both places of
what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.contract.written.mistakes import Mistakes
from engines.contract.written.reading import read, yaml_text
from orchestrator.description.joining.includes import joined_text
from orchestrator.errors import DescriptionError
from orchestrator.planning.planner import make_plan


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text)


def told(name: str = "x", preset: str | None = None, *overrides: str) -> list[str]:
    with pytest.raises(DescriptionError) as caught:
        make_plan(f"{name}.yaml", preset, list(overrides))
    return list(caught.value.lines)


VARIABLES = """\
experiment: x
vars: {lr: 1e-4, rates: [1, "${lr}"], program: "a.py --lr ${lr}", on: true}
stages:
  train:
    command: python ${program} --on ${on} --home ${{HOME}} --seed {seed}
    matrix: {seed: "${rates}"}
presets:
  smoke: {vars: {lr: 2}}
"""


def commands(preset: str | None = None, *overrides: str) -> list[str]:
    plan = make_plan("x.yaml", preset, list(overrides))
    return [" ".join(job.command or ()) for job in plan.jobs]


def test_a_variable_is_a_value_as_a_whole_and_words_inside_a_text() -> None:
    write(x=VARIABLES)
    assert commands() == [
        "python a.py --lr 0.0001 --on true --home ${HOME} --seed 1",
        "python a.py --lr 0.0001 --on true --home ${HOME} --seed 0.0001",
    ]
    assert commands("smoke")[1] == "python a.py --lr 2 --on true --home ${HOME} --seed 2"
    # --set has the last word, and may use a variable itself.
    assert commands("smoke", "vars.lr=3")[1].endswith("--lr 3 --on true --home ${HOME} --seed 3")
    assert commands(None, "train.command=echo ${lr}", "vars.rates=[0]") == ["echo 0.0001"]


def test_a_file_without_variables_is_left_as_it_is() -> None:
    write(x="experiment: x\nstages:\n  a: {command: [echo, '$${{x}}', '${{y}}']}\n")
    assert make_plan("x.yaml").jobs[0].command == ("echo", "$${x}", "${y}")


def test_mistakes_with_variables_name_both_places() -> None:
    write(
        x="experiment: x\n"
        "vars:\n"
        "  minutes: soon\n"
        "  a: ${b}\n"
        "  b: ${a}\n"
        "  many: [1, 2]\n"
        "stages:\n"
        "  train:\n"
        "    command: echo ${lr} ${many}\n"
        "    resources:\n"
        '      minutes: "${minutes}"\n'
        "presets: {smoke: {vars: {minuets: 3}}}\n"
    )
    assert told("x", "smoke", "vars.lr=3") == [
        "x.yaml:3 (${minutes} at x.yaml:11): stage 'train': resources: minutes must be a whole "
        "number from 1 to 10000000, got 'soon'",
        "x.yaml:4: vars: a -> b -> a use each other; give one of them a value",
        "x.yaml:9: no variable 'lr' in 'vars'; known: a, b, many, minuets, minutes (for a literal: $${lr})",
        "x.yaml:9: variable 'many' of x.yaml:6 is no text, number or boolean, got [1, 2]; it may "
        'only be a value as a whole: "${many}"',
        "x.yaml:12: preset 'smoke': no variable 'minuets' in 'vars'; did you mean 'minutes'?",
        "--set vars.lr=3: no variable 'lr'; known: a, b, many, minuets, minutes",
    ]


BASE = """\
experiment: base
about: base
vars: {lr: 1, data: there}
stages:
  train: {command: "train ${lr} ${data}", resources: {minutes: 7}}
  old: {command: old}
presets: {smoke: {vars: {lr: 0}}}
"""


def test_a_file_lies_over_what_it_includes() -> None:
    Path("parts").mkdir()
    Path("parts/base.yaml").write_text(BASE)
    Path("parts/more.yaml").write_text("include: base.yaml\nvars: {lr: 2}\n")
    write(
        last="vars: {data: here}",
        x="experiment: x\n"
        "include: [parts/base.yaml, parts/more.yaml, last.yaml]\n"
        "stages:\n  old: null\n  train: {resources: {cpus: 3}}\n",
    )
    plan = make_plan("x.yaml")
    (job,) = plan.jobs
    assert (plan.experiment, plan.about, job.command) == ("x", "base", ("train", "2", "here"))
    assert (job.resources.minutes, job.resources.cpus) == (7, 3)
    assert make_plan("x.yaml", "smoke").jobs[0].command == ("train", "0", "here")


def test_a_circle_of_files_and_a_missing_one_are_told_with_both_places() -> None:
    write(
        x="experiment: x\ninclude: b.yaml\nstages: {a: {command: echo}}\n",
        b="about: b\nvars: {}\ninclude:\n- x.yaml\n- nowhere.yaml\n",
    )
    circle, missing = told()
    assert circle == (
        "x.yaml:2: include: b.yaml:4: include: x.yaml -> b.yaml -> x.yaml is a circle; take one of "
        "them out"
    )
    assert missing.startswith("x.yaml:2: include: b.yaml:5: include: nowhere.yaml: cannot be read")


def test_a_mistake_in_an_included_file_has_both_places() -> None:
    write(
        x="experiment: x\ninclude: b.yaml\nstages: {c: {command: echo}}\n",
        b="stages:\n  a: {command: echo, after: 4}\n  b:\n    comand: echo\n",
        c="include: 4",
    )
    assert told() == [
        "b.yaml:2 (included at x.yaml:2): stage 'a': 'after' must be a stage or a list of stages, "
        "got 4",
        "b.yaml:3 (included at x.yaml:2): stage 'b': needs exactly one of 'engine' and 'command'; "
        "add one",
        "b.yaml:4 (included at x.yaml:2): stage 'b': unknown key 'comand' (value 'echo'); "
        "did you mean 'command'?",
    ]
    assert (
        "c.yaml:1: 'include' must be a file or a list of files, relative to this one, got 4"
    ) in told("c")


WHOLE = st.integers(-(2**63), 2**64 - 1)
SCALARS = (
    st.none()
    | st.booleans()
    | WHOLE
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="\ufeff\ufffe\uffff")
    )
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab1e-.~") | WHOLE, inner),
)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(TREES)
def test_what_is_written_is_read_as_the_same_value(tree: object) -> None:
    mistakes = Mistakes()
    node = read(yaml_text(tree), "x.yaml", mistakes)
    assert mistakes.lines == []
    assert node is not None
    assert repr(node.plain()) == repr(tree)


def test_the_text_that_a_launch_keeps_leads_to_the_same_plan_without_the_files() -> None:
    write(
        base=BASE, x='include: base.yaml\nexperiment: x\nstages: {train: {matrix: {a: ["1e-4"]}}}'
    )
    text = joined_text(Path("x.yaml"))
    before = make_plan("x.yaml", "smoke").to_json()["jobs"]
    Path("kept").mkdir()
    Path("kept/x.yaml").write_text(text)
    assert make_plan("kept/x.yaml", "smoke").to_json()["jobs"] == before
    # Word for word where nothing is included, with its comments.
    assert joined_text(Path("base.yaml")) == BASE
