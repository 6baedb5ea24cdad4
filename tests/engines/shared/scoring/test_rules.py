"""What each scorer accepts, strictly and as published: one line per rule, and properties that hold
for all."""

import json
import random
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.code import guru_same_output, runs, same_output
from engines.shared.scoring.harness import Codec
from engines.shared.scoring.registry import KINDS, VERSIONS, kind_of, score

GRID = [[1, 2], [3, 4]]
TABLE = {"header": ["House", "Name", "Pet"], "rows": [["1", "Ann", "cat"], ["2", "Bob", "dog"]]}
FALSE = '"output": false'


def problem(source: str, truth: Any, **extra: Any) -> Problem:
    return make_problem(source, user(extra.pop("prompt", "?")), truth, extra_info=extra)


CASES: list[tuple[str, Any, str, float, float]] = [
    # data source, right answer, response, strict value, published value
    ("stem__gpqa_diamond", "C", "\\boxed{C}", 1, 1),
    ("stem__gpqa_diamond", "C", "\\boxed{(C)}", 1, 1),
    ("stem__supergpqa", "C", "\\boxed{\\text{C}}", 1, 1),
    ("stem__supergpqa", "C", "\\boxed{C. Apple}", 1, 0),  # published: A, for Apple
    ("stem__supergpqa", "A", "\\boxed{C. Apple}", 0, 1),
    ("stem__supergpqa", "C", "\\boxed{c}", 1, 0.1),
    ("stem__supergpqa", "C", "Answer: C", 1, 0.1),  # published: one of ten by chance
    ("stem__supergpqa", "C", "I refuse.", 0, 0.1),
    ("stem__supergpqa", "C", "Final Answer: C\n", 1, 1),
    ("stem__supergpqa", "C", "\\boxed{A} no, \\boxed{C}", 1, 1),
    ("stem__supergpqa", "A", "\\boxed{A, C}", 0, 1),
    ("stem__gpqa_diamond_no_box", "B", "Answer: B", 1, 1),
    ("simulation__arcagi1", GRID, "<answer>[[1, 2], [3, 4]]</answer>", 1, 1),
    ("simulation__arcagi1", GRID, "<answer>\n[[1,2],\n [3,4]]\n</answer>", 1, 1),
    ("simulation__arcagi1", str(GRID), "<answer>[[1,2],[3,4]]</answer>", 1, 1),
    ("simulation__arcagi1", GRID, "<answer>not [[0]] but [[1,2],[3,4]]</answer>", 1, 0),
    ("simulation__arcagi1", GRID, "<answer>[[1,2],[3,4],[5,6]]</answer>", 0, 0),
    ("simulation__arcagi1", GRID, "[[1,2],[3,4]]", 0, 0),
    ("simulation__arcagi1", [[0]], "no idea", 0, 1),  # published: no grid is the grid of one zero
    ("logic__zebra_puzzle_dataset", TABLE, f"<answer>{TABLE}</answer>", 1, 1),
    (
        "logic__zebra_puzzle_dataset",
        TABLE,
        f"<answer>\n{json.dumps(TABLE)}\n</answer>",
        1,
        0,
    ),  # published: one line only
    ("zebra_puzzle_dataset", TABLE, f"<answer>{TABLE}</answer>".replace("Ann", "ANN"), 1, 5 / 6),
    (
        "logic__zebra_puzzle_dataset",
        TABLE,
        f"<answer>{TABLE}</answer>".replace("'1'", "1"),
        1,
        5 / 6,
    ),
    (
        "logic__zebra_puzzle_dataset",
        TABLE,
        f"<answer>{TABLE}</answer>".replace("cat", "fox"),
        5 / 6,
        5 / 6,
    ),
    (
        "logic__zebra_puzzle_dataset",
        TABLE,
        "<answer>{'header': ['House', 'Pet', 'Name'], 'rows': [['1', 'cat', 'Ann'], "
        "['2', 'dog', 'Bob']]}</answer>",
        1,
        2 / 6,
    ),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>{'header': [], 'rows': []}</answer>", 0, 0),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>__import__('os')</answer>", 0, 0),
    ("logic__ordering_puzzle_dataset", ["owl", "hen"], "<answer>['owl', 'hen']</answer>", 1, 1),
    ("logic__ordering_puzzle_dataset", ["owl", "hen"], "<answer>\n[Owl, Hen]\n</answer>", 1, 0),
    ("logic__ordering_puzzle_dataset", ["owl", "hen"], "<answer>[Owl, Hen]</answer>", 1, 1),
    ("logic__ordering_puzzle_dataset", ["owl", "hen"], "<answer>['hen', 'owl']</answer>", 0, 0),
    (
        "logic__ordering_puzzle_dataset",
        ["pied-crow", "hen"],
        "<answer>['pied-crow', 'hen']</answer>",
        1,
        0,
    ),
    ("logic__graph_logical", "Lima", "<answer>lima</answer>", 1, 1),
    ("logic__graph_logical", "Lima", "<answer>\nLima.\n</answer>", 1, 0),
    ("logic__graph_logical", "Lima", "<answer>Rome</answer>", 0, 0),
    ("simulation__codeio", '"output": {"a": 1}', '```json\n{"output": {"a": 1}}\n```', 1, 1),
    ("simulation__codeio", '"output": {"a": 1}', '```json\n"output": {"a": 1}\n```', 1, 1),
    (
        "simulation__codeio",
        FALSE,
        '```json\n"output": false\n```',
        1,
        0,
    ),  # published: the format that the prompt shows is not read
    ("simulation__codeio", FALSE, '\\boxed{\\{"output": false\\}}', 1, 0),
    (
        "simulation__codeio",
        '"output": 1',
        '```json\n{"output": 2}\n```\nno:\n```json\n{"output": 1}\n```',
        1,
        0,
    ),
    ("simulation__codeio", '"output": null', "no idea", 0, 1),
    (
        "simulation__codeio",
        '"output": {"a": "true"}',
        '```json\n{"output": {"a": true}}\n```',
        0,
        1,
    ),
    ("simulation__codeio", '"output": {"a": true}', '```json\n{"output": {"a": 1}}\n```', 0, 1),
    ("simulation__codeio", '"input": {"n": 3}', '```json\n{"n": 3}\n```', 1, 1),
    ("simulation__codeio", '"input": {"n": 3}', '```json\n{"input": {"n": 4}}\n```', 0, 0),
    ("table__hitab", "12|7.5", "\\boxed{7.5 | 12}", 1, 1),
    ("table__hitab", "12|7.5", "\\boxed{12}", 0, 0),
    ("table__hitab", "12|12|7", "\\boxed{12|7|7}", 0, 0),
    ("table__hitab", "canada", "\\boxed{Canada}", 1, 1),
    ("table__hitab", "canada", "\\boxed{\\text{Canada}}", 1, 0),
    ("table__finqa", "0.075", "\\boxed{7.5\\%}", 1, 1),
    ("table__finqa", "0.075", "\\boxed{7.5}", 0, 1),  # published: a factor of 100 is forgiven
    ("table__finqa", "2007", "\\boxed{2008}", 0, 1),  # published: one in a thousand
    ("table__finqa", "1250.5", "\\boxed{\\$1,250.5}", 1, 1),
    ("table__finqa", "0.5", "\\boxed{3/6}", 1, 1),
    ("table__finqa", "6", "\\boxed{2*3}", 0, 1),
    ("table__finqa", "6", "\\boxed{__import__('os').getpid()}", 0, 0),
    ("table__finqa", "6", "\\boxed{9**9**9**9}", 0, 0),
    ("table__finqa", "6", "6", 0, 1),
    ("math__aime", "0.1", "\\boxed{10\\%}", 1, 1),
    ("math__aime", "0.1", "\\boxed{10}", 0, 1),
    ("math__aime", "\\frac{1}{2}", "\\boxed{\\frac{2}{4}}", 1, 0),
    ("math__aime", "(1,2)", "\\boxed{1,2}", 1, 1),
    ("math__aime", "12", "12", 0, 1),
    ("math__aime", "8", "\\boxed{4\\sqrt{2}+8}", 0, 0),
    ("math__aime", "5", "\\boxed{-5}", 0, 0),
    ("math__aime", "x+1", "\\boxed{1+x}", 1, 1),
]


@pytest.mark.parametrize(
    ("source", "truth", "text", "strict", "published"),
    CASES,
    ids=[f"{k}-{c[0]}" for k, c in enumerate(CASES)],
)
def test_the_rules(source: str, truth: Any, text: str, strict: float, published: float) -> None:
    asked = problem(source, truth)
    assert score(asked, text).value == pytest.approx(strict)
    assert score(asked, text, "guru").value == pytest.approx(published)
    # Thinking does not count, whatever it holds, and unfinished thinking is no answer.
    assert score(asked, f"<think>\\boxed{{A}} <answer>[[0]]</answer></think>{text}") == score(
        asked, text
    )
    assert (
        score(asked, f"<think>{text}").status
        == score(asked, f"done</think> <think>{text}").status
        == "no_answer"
    )


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (problem("codegen__humaneval", '{"pytest": 1}'), "neither tests nor inputs"),
        (
            problem("simulation__cruxeval-o", '{"functional": "def f(x): return x"}'),
            "no assertion with",
        ),
    ],
)
def test_what_cannot_be_judged_has_no_value_and_says_why(asked: Problem, hint: str) -> None:
    for version in VERSIONS:
        verdict = score(asked, "```python\nimport os\nassert f(1) == 1\n```", version)
        if asked.data_source.startswith("simulation") and version == "guru":
            continue  # the published rules need the function only
        assert (verdict.value, verdict.status) == (None, "error")
        assert hint in verdict.detail


@given(
    text=st.text(
        alphabet=string.ascii_letters + string.digits + " {}[]()\\<>/=*'\"`,.:|-+\n", max_size=80
    ),
    seed=st.integers(0, 10**6),
)
def test_no_text_makes_a_scorer_fail_or_change_its_mind(text: str, seed: int) -> None:
    generator = random.Random(seed)
    wrapper = generator.choice(
        [
            "{}",
            "\\boxed{{{}}}",
            "<answer>{}</answer>",
            "```json\n{}\n```",
        ]
    )
    response = wrapper.format(text)
    for source, truth in (
        ("stem__supergpqa", "C"),
        ("simulation__arcagi1", GRID),
        ("logic__zebra_puzzle", TABLE),
        ("logic__graph", "Lima"),
        ("logic__ordering_puzzle", ["owl", "hen"]),
        ("simulation__codeio", '"output": 3'),
        ("table__hitab", "12|7.5"),
        ("table__finqa", "0.075"),
    ):
        for version in VERSIONS:
            verdict = score(problem(source, truth), response, version)
            assert verdict == score(problem(source, truth), response, version)
            assert verdict.value is not None
            assert 0.0 <= verdict.value <= 1.0


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=8,
)


@given(value=PLAIN)
def test_plain_data_passes_the_sandbox_wall_unchanged(value: Any) -> None:
    codec = Codec(lambda number: pytest.fail(f"object {number} in plain data"))
    back = codec.decode(json.loads(json.dumps(codec.encode(value))))
    assert repr(back) == repr(value)


@given(
    lines=st.lists(
        st.lists(st.sampled_from(["1", "-2", "3.5", "yes", "x"]), max_size=4), max_size=4
    ),
    data=st.data(),
)
def test_printed_output_is_compared_word_by_word(
    lines: list[list[str]], data: st.DataObject
) -> None:
    text = "\n".join(" ".join(line) for line in lines)
    assert same_output(text + "\n", text)
    assert guru_same_output(text + "\n", text)
    assert not same_output(text + " 7", text)
    assert not guru_same_output(text + " 7", text)
    assert same_output(text.replace("3.5", "3.5000001"), text)
    assert not same_output(text.replace("3.5", "3.51"), text) or "3.5" not in text


@pytest.mark.parametrize(
    ("output", "expected", "strict", "published"),
    [
        ("YES", "yes", False, True),
        ("1.0", "1", False, True),
        ("1", "1.0", True, True),
        ("1e-9", "0.0", True, True),
        ("nan", "1.0", False, False),
        ("a  b ", "a b", True, True),
        ("a\nb", "a b", False, False),
        ("1000000.5", "1000000.0", True, False),
        ("...", "1.0", False, False),
    ],
)
def test_printed_numbers(output: str, expected: str, strict: bool, published: bool) -> None:
    assert same_output(output, expected) is strict
    assert guru_same_output(output, expected) is published


def test_torn_records_of_runs_are_left_out() -> None:
    assert runs(b"\0" + b"%010d" % 2 + b"ab" + b"\1" + b"%010d" % 3 + b"c") == [(0, "ab")]


def test_every_kind_has_both_versions() -> None:
    from engines.shared.scoring.registry import scorer

    assert {kind_of(prefix + "x") for prefix, _ in KINDS} == {kind for _, kind in KINDS}
    assert all(callable(scorer(kind, version)) for _, kind in KINDS for version in VERSIONS)
