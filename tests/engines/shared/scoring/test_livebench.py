"""LiveBench: what each of its tasks accepts, strictly and as published, and what is no gold."""

import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.livebench import STRICT, gold_of
from engines.shared.scoring.livebench_guru import bold_phrases
from engines.shared.scoring.registry import VERSIONS, score

TO_CSV = "Please convert the Input Table from JSON format to CSV format."
OLD, NEW = "2024-06-24", "2024-11-25"


def problem(truth: Any, **extra: Any) -> Problem:
    prompt = extra.pop("prompt", TO_CSV)
    return make_problem("ood__livebench", user(prompt), truth, extra_info=extra)


LIVEBENCH: list[tuple[str, str, str, str, float, float]] = [
    # task, date, right answer, response, strict value, published value
    ("web_of_lies_v2", "2024-06-24", "yes, no, yes", "So **yes, no, yes**.", 1, 1),
    ("web_of_lies_v2", "2024-06-24", "yes, no, yes", "**yes**, **no**, **no**", 0, 0),
    ("web_of_lies_v2", "2024-06-24", "yes, no, yes", "<solution>yes, no, yes</solution>", 1, 1),
    ("web_of_lies_v2", "2024-06-24", "yes, no, yes", "**yes, no**", 0, 0),
    ("spatial", "2024-06-24", "tetrahedra", "**two tetrahedra**", 1, 1),
    ("spatial", "2024-06-24", "4", "It is **four**", 1, 1),
    ("spatial", "2024-06-24", "triangle", "**circle square and triangle**", 0, 0),
    ("zebra_puzzle", "2024-06-24", "four", "***4***", 1, 1),
    ("zebra_puzzle", "2024-06-24", "action movies", "***action***", 1, 1),
    ("zebra_puzzle", "2024-11-25", "cat, 3, tea", "<solution>cat, 3, tea</solution>", 1, 0),
    ("zebra_puzzle", "2024-11-25", "cat, 3, tea", "<solution>cat, 2, tea</solution>", 1 / 3, 0),
    ("connections", "2024-06-24", "a,b,c,d,e,f,g,h", "**b,a,c,d,e,f,g,x**", 0.5, 0.5),
    ("connections", "2024-11-25", "a,b,c,d,e,f,g,h", "<solution>h,g,f,e,a,b,c,d</solution>", 1, 0),
    (
        "plot_unscrambling",
        "2024-06-24",
        "One came. Two saw. Three won.",
        "<PLOT_SUMMARY>One came. Two saw. Three won.",
        1,
        1,
    ),
    (
        "plot_unscrambling",
        "2024-06-24",
        "One came. Two saw. Three won.",
        "<PLOT_SUMMARY>Two saw. One came. Three won.",
        1 / 3,
        1 / 3,
    ),
    ("typos", "2024-06-24", "We saw it. Then left.", "Here:\nWe saw it.\nThen left.", 1, 1),
    ("typos", "2024-06-24", "We saw it.", "We see it.", 0, 0),
    ("cta", "2024-06-24", "Date of Birth", "date of birth.", 1, 1),
    ("cta", "2024-06-24", "Country", "\\boxed{\\text{Country}}", 1, 1),
    (
        "tablejoin",
        "2024-06-24",
        "{'a': 'x', 'b': 'y', 'c': 'z'}",
        "```python\n{'a': 'x', 'b': 'y', 'c': 'w'}\n```",
        2 / 3,
        0.67,
    ),
    ("tablejoin", "2024-06-24", "{'a': 'x'}", "{'a': 'x'}", 1, 1),
    (
        "tablereformat",
        "2024-06-24",
        "a,b\n1,x\n2,y\n",
        "Here is the table:\n```csv\na,b\n1.0,x\n2,y\n```",
        1,
        0,
    ),
    (
        "tablereformat",
        "2024-06-24",
        "a,b\n1,x\n2,y\n",
        "Here is the table:\na,b\n1,x\n2,y\n\nDone.",
        1,
        0,
    ),
    ("tablereformat", "2024-06-24", "a,b\n1,x\n2,y\n", "a,b\n2,y\n1,x\n", 0, 0),
]


@pytest.mark.parametrize(("task", "date", "truth", "text", "strict", "published"), LIVEBENCH)
def test_livebench(
    task: str, date: str, truth: str, text: str, strict: float, published: float
) -> None:
    asked = problem(truth, task=task, date=date)
    assert score(asked, text).value == pytest.approx(strict)
    assert score(asked, text, "guru").value == pytest.approx(published)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("tsv", "a\tb\n1\tx\n\t y\n"),
        ("jsonl", '{"a": 1, "b": "x"}\n{"b": "y", "a": null}'),
        ("json", '{"0": {"a": 1, "b": "x"}, "1": {"a": null, "b": "y"}}'),
        ("json", '[{"a": 1, "b": "x"}, {"a": NaN, "b": "y"}]'),
        ("markdown", "Table:\n\n|  a | b   |\n|--:|:---|\n| 1 | x |\n|    | y |"),
        (
            "html",
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x</td></tr><tr><td></td><td>y</td></tr></table>",
        ),
    ],
)
def test_every_table_format_is_read_and_a_changed_cell_seen(kind: str, text: str) -> None:
    truth = {
        "csv": "a,b\n1,x\n,y\n",
        "tsv": "a\tb\n1\tx\n\ty\n",
        "jsonl": '{"a":1,"b":"x"}\n{"a":null,"b":"y"}',
        "json": '[{"a":1,"b":"x"},{"a":null,"b":"y"}]',
        "markdown": "| a | b |\n|---|---|\n| 1 | x |\n|  | y |",
        "html": "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>x</td></tr><tr><td>nan</td><td>y</td></tr></table>",
    }
    asked = problem(
        truth[kind],
        prompt=f"Target Format: {kind}",
        task="tablereformat",
        date="2024-06-24",
    )
    assert score(asked, text).value == 1.0
    assert score(asked, text.replace("x", "z")).value == 0.0


DIFFERENT: list[tuple[str, str, Any, str, float, float]] = [
    # task, date, right answer, response, strict value, published value
    ("web_of_lies_v2", OLD, "yes, no, yes", "<solution>\nYes,\nNo, Yes\n</solution>", 1, 0),
    ("web_of_lies_v2", OLD, "yes, no, yes", "\\boxed{\\text{Yes, No, Yes}}", 1, 0),
    ("web_of_lies_v2", OLD, "yes, no, yes", "It is yes, no, yes.", 1, 1),
    ("web_of_lies_v2", OLD, "yes, no, yes", "\\boxed{\\textbf{yes, no, yes}}", 1, 1),
    ("web_of_lies_v2", OLD, "yes, no, yes", "no idea", 0, 0),
    ("spatial", OLD, "4", "\\boxed{4}", 1, 1),
    ("spatial", OLD, "4", "\\boxed{\\text{4}}", 1, 0),
    ("spatial", OLD, "4", "**Answer: four.**", 1, 0),
    ("spatial", OLD, "4", "4", 1, 1),
    ("spatial", OLD, "4", "<solution>4</solution>", 1, 0),
    ("spatial", OLD, "4", "It may be 4 or 5", 0, 0),
    ("spatial", OLD, "4", "**14**", 0, 0),
    ("zebra_puzzle", OLD, "hip-hop", "***hip-hop***", 1, 0),
    ("zebra_puzzle", OLD, "four", "It is four", 1, 1),
    ("zebra_puzzle", OLD, "four", "<solution>4</solution>", 1, 0),
    ("zebra_puzzle", OLD, "four", "***five***", 0, 0),
    ("zebra_puzzle", OLD, "four", "", 0, 0),
    # GURU has none of the newer puzzles, and judges them as the older ones.
    ("zebra_puzzle", NEW, "cat, 3, tea", "\\boxed{\\text{Cat, position 3, tea}}", 1, 0),
    ("zebra_puzzle", NEW, "cat, 3, tea", "<solution>\ncat\nthree\ntea\n</solution>", 1, 0),
    ("zebra_puzzle", NEW, "cat, 3, tea", "</solution>**cat**, 3, tea</solution>", 1, 0),
    ("zebra_puzzle", NEW, "cat, 3, tea", "So the answer is cat, 3, tea.", 1, 0),
    ("zebra_puzzle", NEW, "cat, 3, tea", "<solution>cats, 13, green tea</solution>", 0, 0),
    ("connections", OLD, "a,b,c,d,e,f,g,h", "**b, a, c, d**\n**h, e, f, g**", 1, 0.5),
    ("connections", OLD, "a,b,c,d,e,f,g,h", "<solution>b,a,c,d,h,e,f,g</solution>", 1, 0),
    ("connections", OLD, "a,b,c,d,e,f,g,h", "**a,b,c,e,d,f,g,h**", 0, 0),
    ("connections", NEW, "a,b,c,d,e,f,g,h", "\\fbox{a, b, c, d,\ne, f, g, h}", 1, 0),
    (
        "plot_unscrambling",
        OLD,
        "One came. Two saw.",
        "<PLOT_SUMMARY>One came. Two saw.</PLOT_SUMMARY>\nThat was. Two saw. One came.",
        1,
        1,
    ),
    ("plot_unscrambling", OLD, "One came. Two saw.", "...", 0, 0),
    ("typos", OLD, "It's so. Yes.", "<solution>\nIt\u2019s  so.\nYes.\n</solution>", 1, 0),
    ("typos", OLD, "We saw it.", "We see it. <solution>We saw it.</solution>", 1, 1),
    ("typos", OLD, "We saw it.", "We saw it. <solution>We see it.</solution>", 0, 0),
    ("cta", OLD, "Country", "The column's type is **Country**.", 1, 1),
    ("cta", OLD, "Country", "Type: Country\n", 1, 1),
    ("cta", OLD, "Country", "<solution>Country</solution>", 1, 0),
    ("cta", OLD, "Name", "Last Name", 0, 1),
    ("cta", OLD, "Name", "It is not Name", 0, 1),
    ("cta", OLD, "Name", "", 0, 0),
    ("tablejoin", OLD, {"a": "x", "b": "y", "c": None}, "{'a': 'x', 'b': 'y'}", 1, 0.8),
    ("tablejoin", OLD, {"a": "x", "c": None}, '```json\n{"a": "x", "c": null}\n```', 1, 0.67),
    ("tablejoin", OLD, {"a": "x", "c": None}, "{'a': 'x', 'c': 'y'}", 2 / 3, 0.67),
    ("tablejoin", OLD, {"a": None}, "{'a': None}", 1, 0),
    ("tablejoin", OLD, {"a": "x"}, "{}", 0, 0),
    ("tablejoin", OLD, "{'a': 'x'}", "<solution>{'a': 'x'}</solution>", 1, 1),
    ("tablejoin", OLD, "{'a': 'x'}", "So {'b': 1} is wrong: {'a': 'x'}", 1, 0),
    ("tablereformat", OLD, "a,b\n1,x\n2,\n", "a,b\n1,x\n2\n", 1, 0),
    ("tablereformat", OLD, "a,b\n1,x\n2,y\n", "Here it is:\nb,a\nx,1\ny,2\n\nDone.", 1, 0),
    ("tablereformat", OLD, "a,b\n1,x\n2,y\n", "a,b\n1,x,3\n2,y\n", 0, 0),
]


@pytest.mark.parametrize(("task", "date", "truth", "text", "strict", "published"), DIFFERENT)
def test_the_published_scorers_and_what_is_right(
    task: str, date: str, truth: Any, text: str, strict: float, published: float
) -> None:
    asked = problem(truth, task=task, date=date)
    assert score(asked, text).value == pytest.approx(strict)
    assert score(asked, text, "guru").value == pytest.approx(published)


@pytest.mark.parametrize(
    ("kind", "truth"),
    [
        ("json", '[{"a": 1, "b": "x"}, {"a": 2, "b": ""}]'),
        ("jsonl", '{"a": 1, "b": "x"}\n{"a": 2, "b": ""}'),
        ("tsv", "a\tb\n1\tx\n2\t\n"),
        ("markdown", "| a | b |\n|---|---|\n| 1 | x |\n| 2 |  |"),
    ],
)
def test_a_sentence_before_a_table_does_not_hide_it(kind: str, truth: str) -> None:
    asked = problem(truth, prompt=f"Target Format: {kind}", task="tablereformat", date=OLD)
    assert score(asked, truth).value == 1.0
    assert score(asked, f"Here is the table:\n\n{truth}").value == 1.0
    assert score(asked, f"Here is the table:\n\n{truth.replace('x', 'z')}").value == 0.0


NO_GOLDS: list[tuple[str | None, Any, str]] = [
    ("poetry", "x", "poetry"),
    (None, "x", "known are"),
    ("spatial", None, "None"),
    ("typos", "", "no answer can equal"),
    ("zebra_puzzle", float("nan"), "nan"),
    ("connections", [], "no answer can equal"),
    ("web_of_lies_v2", "maybe", "maybe"),
    ("cta", "--", "without letters"),
    ("plot_unscrambling", "...", "without sentences"),
    ("tablejoin", "[1]", "no mapping"),
    ("tablejoin", {}, "no answer can equal"),
    ("tablejoin", "not a mapping", "neither"),
    ("tablereformat", "a,b\n1,2,3\n", "no csv"),
    ("tablereformat", "a,b\n", "no rows"),
]


@pytest.mark.parametrize(("task", "truth", "hint"), NO_GOLDS)
def test_what_is_no_gold_is_refused_whatever_the_response(
    task: str | None, truth: Any, hint: str
) -> None:
    asked = problem(truth, task=task, date=OLD)
    with pytest.raises(ValueError, match=hint):
        gold_of(asked)
    for version in VERSIONS:
        for text in ("**x**", ""):
            verdict = score(asked, text, version)
            assert (verdict.value, verdict.status) == (None, "error")
            assert hint in verdict.detail


def test_a_table_without_a_known_format_cannot_be_judged() -> None:
    asked = problem("a,b\n1,2\n", prompt="Target Format: yaml", task="tablereformat", date=OLD)
    assert score(asked, "a,b\n1,2\n").status == "error"


@given(
    columns=st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.none() | st.text("xyz", min_size=1, max_size=3),
        min_size=1,
        max_size=5,
    ),
    data=st.data(),
)
def test_a_mapping_scores_fully_if_and_only_if_the_columns_that_have_one_have_it(
    columns: dict[str, str | None], data: st.DataObject
) -> None:
    asked = problem(columns, task="tablejoin", date=OLD)
    left_out = {
        key: value
        for key, value in columns.items()
        if value is not None or data.draw(st.booleans())
    }
    assert score(asked, f"```python\n{left_out}\n```").value == 1.0
    key = data.draw(st.sampled_from(sorted(columns)))
    changed = columns | {key: "other"}
    assert (score(asked, f"```python\n{changed}\n```").value or 0.0) < 1.0


WRAPPERS = (
    "{}",
    "**{}**",
    "***{}***",
    "\\boxed{{{}}}",
    "\\fbox{{{}}}",
    "\\boxed {}",
    "```json\n{}\n```",
    "<solution>{}</solution>",
    "</solution>{}</solution>",
)

GOLDS: dict[str, Any] = {
    "web_of_lies_v2": "yes, no, yes",
    "web_of_lies_v3": "yes, no, yes",
    "house_traversal": "Ann Bob",
    "spatial": "tetrahedra",
    "zebra_puzzle": "cat, 3, tea",
    "connections": "a,b,c,d,e,f,g,h",
    "plot_unscrambling": "One came. Two saw.",
    "typos": "We saw it.",
    "cta": "Country",
    "tablejoin": {"yes": "no", "a": None},
    "tablereformat": "a,b\n1,x\n",
}


@settings(deadline=None)
@given(
    text=st.text(alphabet="abyesno13 {}[]()\\<>/=*'\"`,.:|-+\n", max_size=80),
    seed=st.integers(0, 10**6),
)
def test_no_text_makes_a_task_fail(text: str, seed: int) -> None:
    assert set(GOLDS) == set(STRICT)
    wrapper = random.Random(seed).choice(WRAPPERS)
    response = wrapper.format(text)
    for task, truth in GOLDS.items():
        for date in (OLD, NEW):
            for version in VERSIONS:
                verdict = score(problem(truth, task=task, date=date), response, version)
                assert verdict.value is not None
                assert 0.0 <= verdict.value <= 1.0


LATER: list[tuple[str, str, str, float, float]] = [
    # task, right answer, response, strict value, published value
    ("web_of_lies_v3", "yes, no, yes", "<solution>yes, no, yes</solution>", 1, 1),
    ("web_of_lies_v3", "yes, no, yes", "<solution>yes, no, no</solution>", 1 / 3, 1 / 3),
    ("web_of_lies_v3", "yes, no, yes", "<SOLUTION>\nYes,No,Yes\n</SOLUTION>", 1, 0),
    ("web_of_lies_v3", "yes, no, yes", "So **yes, no, yes**.", 1, 1),
    ("web_of_lies_v3", "yes, no, yes", "\\boxed{\\text{yes, no, yes}}", 1, 1 / 6),
    ("web_of_lies_v3", "yes, no, yes", "<solution>yes, no, yes, no</solution>", 3 / 8, 1),
    ("web_of_lies_v3", "yes, no, yes, no", "They are yes, no, yes, no.", 1, 0),
    ("web_of_lies_v3", "yes, no, yes", "no idea", 0, 0),
    ("house_traversal", "Ann Bob", "**Ann**, **Bob**", 1, 1),
    ("house_traversal", "Ann Bob", "**Answer: Ann, Bob**", 1, 1),
    ("house_traversal", "Ann Bob", "**Bob Ann**", 0, 0),
    ("house_traversal", "Ann Bob", "**Anna Bobby**", 0, 1),
    ("house_traversal", "Ann Bob", "**Ann Eve Bob**", 0, 1),
    ("house_traversal", "Ann Bob", "<solution>Ann, Bob</solution>", 1, 0),
    ("house_traversal", "Ann Bob", "The order:\nAnn, Bob", 1, 0),
    ("house_traversal", "O'Neil Bob", "**O\u2019Neil \u2192 Bob**", 1, 0),
    ("house_traversal", "Ann Bob", "no idea", 0, 0),
]


@pytest.mark.parametrize(("task", "truth", "text", "strict", "published"), LATER)
def test_later_reasoning_tasks(
    task: str, truth: str, text: str, strict: float, published: float
) -> None:
    asked = problem(truth, task=task, date=NEW)
    assert score(asked, text).value == pytest.approx(strict)
    assert score(asked, text, "guru").value == pytest.approx(published)


@given(st.text(alphabet="*ab\n", max_size=24))
def test_bold_phrases_are_those_of_the_published_pattern(text: str) -> None:
    assert bold_phrases(text) == re.findall(r"(\*{2,})(.*?)\1", text)


@pytest.mark.parametrize(
    ("task", "date", "truth", "text", "value"),
    [
        ("spatial", OLD, "tetrahedron", "**not a tetrahedron**", 0),
        ("zebra_puzzle", NEW, "cat, 3, tea", "<solution>1. cat\n2. 3\n3. tea</solution>", 1),
        ("zebra_puzzle", NEW, "cat, 3, tea", "<solution>cat; 3; tea</solution>", 1),
        ("zebra_puzzle", NEW, "cat, 3, tea", "<Solution>cat, 3, tea</Solution>", 1),
        ("zebra_puzzle", NEW, "cat, 3, tea", "<solution>cat, 3, tea, milk</solution>", 3 / 8),
        ("connections", NEW, "a,b,c,d,e,f,g,h", "<solution>a,b,c,d; e,f,g,h</solution>", 1),
        (
            "connections",
            OLD,
            "a,b,c,d,e,f,g,h",
            "**Group 1: a, b, c, d**\n**Group 2: e, f, g, h**",
            1,
        ),
        ("tablejoin", OLD, '{"a": "x"}', "{\u201ca\u201d: \u201cx\u201d}", 1),
        ("typos", OLD, "We saw it.", "<SOLUTION>\nWe saw it.\n</SOLUTION>", 1),
        (
            "plot_unscrambling",
            OLD,
            "One came. Two saw.",
            "In <PLOT_SUMMARY> tags.\n<plot_summary>One came. Two saw.</plot_summary>",
            1,
        ),
    ],
)
def test_livebench_answers_in_other_dresses(
    task: str, date: str, truth: str, text: str, value: float
) -> None:
    assert score(problem(truth, task=task, date=date), text).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("task", "truth"),
    [
        ("web_of_lies_v2", "yes, no, maybe"),
        ("web_of_lies_v3", "5"),
        ("spatial", "**"),
        ("zebra_puzzle", "cat,,tea"),
        ("connections", "a,b,c"),
        ("connections", "a,a,a,a"),
        ("house_traversal", "5"),
    ],
)
def test_what_can_be_no_answer_of_a_task_is_an_error(task: str, truth: str) -> None:
    for version in VERSIONS:
        verdict = score(problem(truth, task=task, date=NEW), f"**{truth}**", version)
        assert (verdict.value, verdict.status) == (None, "error")
