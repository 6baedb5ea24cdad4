"""What cannot be a right answer is an error wherever it is met, and never a score."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.registry import (
    KINDS,
    VERSIONS,
    check_gold,
    module_of,
    score,
)

NAN = float("nan")
NOTHING: list[Any] = [None, "", " \n", NAN, float("inf"), [], {}]
"""What is no right answer of any kind."""

SOURCES = {
    "math__math_500": "\\boxed{5}",
    "table__hitab": "\\boxed{5}",
    "stem__gpqa": "\\boxed{C}",
    "logic__graph": "<answer>ada</answer>",
    "simulation__arcagi1": "<answer>[[1, 2]]</answer>",
    "logic__zebra_puzzle": '<answer>{"header": ["a"], "rows": [["1"]]}</answer>',
    "logic__ordering_puzzle": "<answer>['a', 'b']</answer>",
    "simulation__codeio": '```json\n{"output": 3}\n```',
    "codegen__mbpp": "```python\ndef f():\n    return 1\n```",
    "simulation__cruxeval-o": "```python\nassert f(1) == 2\n```",
    "ood__ifeval": "a response",
    "ood__livebench": "<solution>yes, no, yes</solution>",
    "math__miniature": "3",
}
"""A data source of every kind, and a response with an answer in it."""

ASKED = "```python\ndef f(x):\n    return x + 1\nassert f(1) == ??\n```"
GOOD: dict[str, list[Any]] = {
    "math__math_500": ["5", 5, 0, 0.5, 27.0, "\\frac12"],
    "table__hitab": ["5", "a | b", 0.0],
    "stem__gpqa": ["C", "c", " J "],
    "logic__graph": ["ada", "none"],
    "simulation__arcagi1": [[[1, 2]], "[[0]]"],
    "logic__zebra_puzzle": [{"header": ["a"], "rows": [["1"]]}],
    "logic__ordering_puzzle": [["a", "b"], "['a', 'b']"],
    "simulation__codeio": ['"output": 3', '{"input": {"a": null}}', '"output": ""'],
    "codegen__mbpp": [{"tests": "assert f() == 1"}, {"inputs": [""], "outputs": ["1"]}],
    "simulation__cruxeval-o": [{"functional": "def f(): return 1", "input": "", "output": "1"}],
    "ood__ifeval": [[{}], "[null]"],
    "ood__livebench": ["yes, no, yes"],
    "math__miniature": ["3"],
}


def problem(source: str, truth: Any) -> Problem:
    about = {"instruction_id_list": ["punctuation:no_comma"], "task": "web_of_lies_v2"}
    return make_problem(source, user(ASKED), truth, extra_info=about)


def judged_without_a_score(asked: Problem, response: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_gold(asked)
    for version in VERSIONS:
        for text in (response, "", "<think>never ends"):
            verdict = score(asked, text, version)
            assert (verdict.value, verdict.status) == (None, "error"), (version, text)
            assert verdict.detail


@pytest.mark.parametrize("truth", NOTHING, ids=repr)
@pytest.mark.parametrize("source", SOURCES)
def test_nothing_is_no_right_answer_of_any_kind(source: str, truth: Any) -> None:
    judged_without_a_score(problem(source, truth), SOURCES[source])


@pytest.mark.parametrize(
    ("source", "truth"),
    [
        ("math__math_500", ["5", "6"]),
        ("table__hitab", "5 | "),
        ("stem__gpqa", "K"),
        ("stem__gpqa", "(C)"),
        ("stem__gpqa", "C. Apple"),
        ("stem__gpqa", 2),
        ("simulation__arcagi1", [[]]),
        ("simulation__arcagi1", 5),
        ("simulation__arcagi1", "no grid"),
        ("logic__zebra_puzzle", {"header": ["a"], "rows": []}),
        ("logic__zebra_puzzle", {"header": ["a"], "rows": None}),
        ("logic__zebra_puzzle", {"header": [], "rows": [[]]}),
        ("logic__zebra_puzzle", "five houses"),
        ("logic__ordering_puzzle", "a, b"),
        ("logic__ordering_puzzle", 3),
        ("logic__ordering_puzzle", ["a", None]),
        ("simulation__codeio", "output 3"),
        ("codegen__mbpp", {"tests": "  "}),
        ("codegen__mbpp", {"inputs": [], "outputs": []}),
        ("codegen__mbpp", {"inputs": ["1", "2"], "outputs": ["1"]}),
        ("codegen__mbpp", {"prefix": "def f():"}),
        ("codegen__mbpp", "[1, 2]"),
        ("codegen__mbpp", 7),
        ("simulation__cruxeval-o", {"functional": None, "input": "1", "output": "2"}),
        ("simulation__cruxeval-i", {"functional": "def f(): 1", "input": "", "output": None}),
        ("simulation__cruxeval-o", {"input": "1", "output": "2"}),
        ("ood__ifeval", [{}, {}]),
        ("ood__ifeval", 5),
        ("code__miniature", "print(3)"),
    ],
)
def test_what_a_kind_cannot_read_is_no_right_answer(source: str, truth: Any) -> None:
    judged_without_a_score(problem(source, truth), SOURCES.get(source, "x+1"))


def test_what_extra_info_must_say_belongs_to_the_right_answer() -> None:
    for source, truth in (("ood__ifeval", [{}]), ("ood__livebench", "yes")):
        judged_without_a_score(make_problem(source, user("?"), truth), "a response")


@pytest.mark.parametrize("source", SOURCES)
def test_usual_right_answers_are_some(source: str) -> None:
    for truth in GOOD[source]:
        check_gold(problem(source, truth))


def test_of_a_data_source_without_a_scorer_of_ours_something_is_asked_and_no_more() -> None:
    check_gold(problem("poetry__haiku", {"syllables": [5, 7, 5]}))
    with pytest.raises(ValueError, match="the right answer is None"):
        check_gold(problem("poetry__haiku", None))


def test_every_kind_tells_what_its_right_answer_is() -> None:
    kinds = {"miniature", *(kind for _, kind in KINDS)}
    assert [kind for kind in sorted(kinds) if not callable(module_of(kind).gold_of)] == []


TRUTHS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["header", "rows", "tests", "inputs", "outputs", "functional"]), inner
        )
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), TRUTHS, st.booleans())
def test_no_ground_truth_makes_a_scorer_raise(source: str, truth: Any, as_text: bool) -> None:
    try:
        asked = problem(source, json.dumps(truth) if as_text else truth)
    # Text that UTF-8 cannot hold is in no file.
    except UnicodeEncodeError:
        return
    # A response without an answer, where one with it would start programs in the sandbox.
    runs = source.startswith(("codegen", "simulation__cruxeval"))
    for version in VERSIONS:
        verdict = score(asked, "nothing" if runs else SOURCES[source], version)
        assert verdict.status in ("ok", "no_answer", "error")
        assert (verdict.value is None) == (verdict.status == "error")


def test_what_trips_a_scorer_is_told_in_the_verdict() -> None:
    # Outputs that are lists and not text.
    asked = problem("codegen__mbpp", {"inputs": [1], "outputs": [["1"]]})
    verdict = score(asked, "```python\nprint(input())\n```")
    assert verdict.value is None
    assert verdict.status == "error"


def test_looking_at_right_answers_loads_no_heavy_library() -> None:
    program = (
        "import sys\n"
        "from engines.shared.data.problems import make_problem, user\n"
        "from engines.shared.scoring.registry import KINDS, check_gold, module_of\n"
        "check_gold(make_problem('math__x', user('?'), '5'))\n"
        "check_gold(make_problem('stem__gpqa', user('?'), 'C'))\n"
        "for _, kind in KINDS:\n"
        "    module_of(kind)\n"
        "heavy = {'torch', 'math_verify', 'sympy', 'numpy', 'langdetect', 'transformers'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
