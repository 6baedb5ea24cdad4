"""Answers between tags: grids, zebra tables, orders and words, in any dress of the tag."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import VERSIONS, score
from engines.shared.scoring.verdict import Verdict

GRID = "simulation__arcagi1"
ZEBRA = "logic__zebra_puzzle_dataset"
ORDER = "logic__ordering_puzzle_dataset"
WORD = "logic__graph_logical"

TABLE = {"header": ["House", "Pet"], "rows": [["1", "cat"], ["2", "dog"]]}
WRONG_TABLE = {"header": ["House", "Pet"], "rows": [["8", "owl"], ["9", "hen"]]}
# data source, right answer, the same as a response writes it, a wrong one
KINDS: list[tuple[str, Any, str, str]] = [
    (GRID, [[1, 2], [3, 4]], "[[1, 2],\n [3, 4]]", "[[1, 2], [3, 5]]"),
    (ZEBRA, TABLE, json.dumps(TABLE, indent=1), json.dumps(WRONG_TABLE)),
    (ORDER, ["owl", "hen"], '["owl", "hen"]', '["hen", "owl"]'),
    (WORD, "Lima", "Lima", "Rome"),
]
DRESSES = [
    "<answer>@</answer>",
    "<answer>\n@\n</answer>",
    "<Answer>@</Answer>",
    "<ANSWER>@</ANSWER>",
    '<answer id="1">@</answer>',
    "<answer >@</ answer>",
    "<answer>\n```json\n@\n```\n</answer>",
    "<answer>```\n@\n```</answer>",
    "<answer>~~~python\n@\n~~~</answer>",
    "```\n<answer>@</answer>\n```",
    "I put it between <answer> tags. <answer>@</answer>",
    "<answer>@</answer> That was <answer></answer>",
    "<answer>nothing yet</answer> <answer>@</answer>",
]


def judged(source: str, gold: Any, response: str) -> Verdict:
    return score(make_problem(source, user("?"), gold), response)


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize(("source", "gold", "right", "wrong"), KINDS, ids=[k[0] for k in KINDS])
def test_the_dress_of_a_tag_decides_nothing(
    source: str, gold: Any, right: str, wrong: str, dress: str
) -> None:
    assert judged(source, gold, dress.replace("@", right)).value == 1.0
    verdict = judged(source, gold, dress.replace("@", wrong))
    assert (verdict.value, verdict.status) == (0.0, "ok")


@pytest.mark.parametrize("response", ["@", "<answers>@</answers>", "<answer>@", "```json\n@\n```"])
@pytest.mark.parametrize(("source", "gold", "right", "wrong"), KINDS, ids=[k[0] for k in KINDS])
def test_without_a_closed_tag_there_is_no_answer(
    source: str, gold: Any, right: str, wrong: str, response: str
) -> None:
    verdict = judged(source, gold, response.replace("@", right))
    assert (verdict.value, verdict.status) == (0.0, "no_answer")


@pytest.mark.parametrize("dress", ["\\text{Lima}", "**Lima**", "`lima`", '"Lima."', "$Lima$"])
def test_a_word_is_read_in_its_type(dress: str) -> None:
    assert judged(WORD, "Lima", f"<answer>{dress}</answer>").value == 1.0
    assert judged(WORD, "Rome", f"<answer>{dress}</answer>").value == 0.0


@pytest.mark.parametrize(
    ("source", "gold"),
    [
        *[(source, None) for source in (GRID, ZEBRA, ORDER, WORD)],
        *[(source, "") for source in (GRID, ZEBRA, ORDER, WORD)],
        *[(source, float("nan")) for source in (GRID, ZEBRA, ORDER, WORD)],
        (GRID, []),
        (GRID, [[]]),
        (GRID, [["x"]]),
        (GRID, [[1.5]]),
        (GRID, "None"),
        (ZEBRA, []),
        (ZEBRA, {"header": ["a"], "rows": []}),
        (ZEBRA, {"header": [], "rows": [[]]}),
        (ZEBRA, "{'header': ['a']}"),
        (ORDER, []),
        (ORDER, ["owl", None]),
        (ORDER, ["owl", " "]),
        (ORDER, {"owl": 1}),
        (ORDER, "no list"),
        (WORD, "  "),
    ],
)
@pytest.mark.parametrize(
    "response", ["", "<answer>[[0]]</answer>", "<answer>{'rows': []}</answer>"]
)
def test_a_right_answer_that_can_be_none_is_an_error(source: str, gold: Any, response: str) -> None:
    verdict = judged(source, gold, response)
    assert (verdict.value, verdict.status) == (None, "error")
    assert verdict.detail


@given(
    names=st.lists(
        st.text("abcdefgh", min_size=1, max_size=6), min_size=2, unique=True, max_size=6
    ),
    dress=st.sampled_from(DRESSES),
    data=st.data(),
)
def test_no_dress_makes_another_order_right(
    names: list[str], dress: str, data: st.DataObject
) -> None:
    other = data.draw(st.permutations(names))
    response = dress.replace("@", json.dumps(other))
    assert judged(ORDER, names, response).value == float(other == names)


@given(
    names=st.lists(
        st.text(string.ascii_lowercase, min_size=1, max_size=6), min_size=2, max_size=6, unique=True
    ),
    data=st.data(),
)
def test_an_order_scores_if_and_only_if_it_is_the_right_one(
    names: list[str], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(names))
    for version in VERSIONS:
        asked = make_problem("logic__ordering_puzzle", user("?"), names)
        found = score(asked, f"<answer>{other}</answer>", version)
        assert found.value == float(other == names)


@given(
    rows=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=5),
    data=st.data(),
)
def test_a_zebra_table_scores_its_share_of_right_cells(
    rows: list[list[int]], data: st.DataObject
) -> None:
    header = ["a", "b", "c"]
    asked = make_problem("logic__zebra_puzzle", user("?"), {"header": header, "rows": rows})
    given_rows = [[data.draw(st.integers(0, 9)) for _ in row] for row in rows]
    right = sum(
        x == y
        for row, other in zip(rows, given_rows, strict=True)
        for x, y in zip(row, other, strict=True)
    )
    for version in VERSIONS:
        found = score(
            asked, f"<answer>{ {'header': header, 'rows': given_rows} }</answer>", version
        )
        # Float64, on numbers below 2; the quantiles above have four digits.
        assert found.value == pytest.approx(right / (3 * len(rows)))


@pytest.mark.parametrize(
    "dress",
    [
        "Here it is: @",
        "**@**",
        "`@`",
        "\\boxed{@}",
        "$@$",
        "@.",
    ],
)
@pytest.mark.parametrize(("source", "gold", "right", "wrong"), KINDS, ids=[k[0] for k in KINDS])
def test_what_stands_around_an_answer_in_its_tag_decides_nothing(
    source: str, gold: Any, right: str, wrong: str, dress: str
) -> None:
    # A word has no brackets by which it could be told from a sentence.
    if source == WORD and dress.startswith("Here"):
        dress = "The answer is @"
    for answer, value in ((right, 1.0), (wrong, 0.0)):
        verdict = judged(source, gold, f"<answer>{dress.replace('@', answer)}</answer>")
        assert (verdict.value, verdict.status) == (value, "ok")


@pytest.mark.parametrize(
    "answer",
    [
        "[1, 2]\n[3, 4]",
        "1 2\n3 4",
        "1, 2\n3, 4",
        "((1, 2), (3, 4))",
        "[[1.0, 2.0], [3.0, 4.0]]",
        "[['1', '2'], ['3', '4']]",
        "[[1 2]\n [3 4]]",
        "\\left[[1, 2], [3, 4]\\right]",
        "The grid:\n| 1 | 2 |\n| 3 | 4 |",
    ],
)
def test_a_grid_is_read_however_its_rows_are_written(answer: str) -> None:
    assert judged(GRID, [[1, 2], [3, 4]], f"<answer>{answer}</answer>").value == 1.0
    assert judged(GRID, [[1, 2], [3, 5]], f"<answer>{answer}</answer>").value == 0.0


@pytest.mark.parametrize(
    "answer", ["1 2 3 4", "12\n34", "1 2\nand\n3 4", "[1, 2, 3, 4]", "[[1, 2], [3, 4.5]]", "1"]
)
def test_cells_without_rows_are_no_grid(answer: str) -> None:
    assert judged(GRID, [[1, 2], [3, 4]], f"<answer>{answer}</answer>").value == 0.0


def test_a_cell_that_is_a_whole_float_is_the_number() -> None:
    answer = json.dumps(TABLE).replace('"1"', "1.0").replace('"2"', "2.0")
    assert judged(ZEBRA, TABLE, f"<answer>{answer}</answer>").value == 1.0
    curly = json.dumps(TABLE).replace('"', "\u201c")
    assert judged(ZEBRA, TABLE, f"<answer>{curly}</answer>").value == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "- red car\n- bus\n- o'neil's van",
        "1. red car\n2. bus\n3. o'neil's van",
        "red car, bus, o'neil's van",
        "(red car, bus, o'neil's van)",
        "[red  car, bus, o'neil's van]",
        "[\u201cred car\u201d, \u201cbus\u201d, \u201co\u2019neil\u2019s van\u201d]",
        "order = ['red car', 'bus', \"o'neil's van\"]",
    ],
)
def test_an_order_is_read_however_its_list_is_written(answer: str) -> None:
    order = ["red car", "bus", "o'neil's van"]
    assert judged(ORDER, order, f"<answer>{answer}</answer>").value == 1.0
    assert judged(ORDER, order[::-1], f"<answer>{answer}</answer>").value == 0.0


@pytest.mark.parametrize(
    "answer", ["\u201chat\u201d", "(hat)", "['hat']", "hat!", "_hat_", "hat,", "Answer: **hat**"]
)
def test_a_word_is_read_without_the_signs_around_it(answer: str) -> None:
    assert judged(WORD, "hat", f"<answer>{answer}</answer>").value == 1.0
    assert judged(WORD, "cat", f"<answer>{answer}</answer>").value == 0.0


def test_accents_are_the_same_composed_or_not() -> None:
    assert judged(WORD, "na\u00efve", "<answer>nai\u0308ve</answer>").value == 1.0


@pytest.mark.parametrize(
    ("source", "gold"),
    [
        (GRID, [[1], [2, 3]]),
        (ZEBRA, {"header": ["a"], "rows": [[""], [None]]}),
        (ZEBRA, {"header": ["a", "b"], "rows": [["1", "x"], ["2"]]}),
        (ZEBRA, {"header": ["a"], "rows": [["1", "x"]]}),
        (WORD, " ."),
        (WORD, "**"),
    ],
)
def test_a_gold_that_no_answer_could_be_has_no_value(source: str, gold: Any) -> None:
    for response in ("<answer>[[1], [2, 3]]</answer>", "<answer>a</answer>", ""):
        assert [judged(source, gold, response).value, judged(source, gold, response).status] == [
            None,
            "error",
        ]
