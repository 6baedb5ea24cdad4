"""What each scorer accepts, strictly and as published: one line per rule, and properties that hold
for all."""

import json
import random
import string
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.code import guru_same_output, runs, same_output
from engines.shared.scoring.harness import Codec
from engines.shared.scoring.instructions import GURU, STRICT, sentences
from engines.shared.scoring.json_answer import same
from engines.shared.scoring.registry import KINDS, VERSIONS, kind_of, score
from engines.shared.scoring.text import last_boxed, last_tag, literal

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
    # published: every release by the rules of the oldest
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
    prompt = "Please convert the Input Table from JSON format to CSV format."
    asked = problem("ood__livebench", truth, prompt=prompt, task=task, date=date)
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
        "ood__livebench",
        truth[kind],
        prompt=f"Target Format: {kind}",
        task="tablereformat",
        date="2024-06-24",
    )
    assert score(asked, text).value == 1.0
    assert score(asked, text.replace("x", "z")).value == 0.0


FOLLOWING: list[tuple[str, dict[str, Any], str, str]] = [
    # instruction, parameters, a response that follows it, one that does not
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "GO NOW please",
        "GO now",
    ),
    (
        "change_case:english_capital",
        {},
        "THIS IS A SENTENCE IN THE ENGLISH LANGUAGE AND NOTHING ELSE",
        "This is English",
    ),
    (
        "change_case:english_lowercase",
        {},
        "this is a sentence in the english language and nothing else",
        "This is English",
    ),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say hi."}, "say hi. Hi!", "Hi!"),
    ("combination:two_responses", {}, "One\n******\nTwo", "One\n******\nOne"),
    (
        "detectable_content:number_placeholders",
        {"num_placeholders": 2},
        "[name] and [street]",
        "[name]",
    ),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP.S. More", "Bye."),
    (
        "detectable_content:postscript",
        {"postscript_marker": "P.P.S"},
        "Bye.\np. p. s more",
        "P.S. more",
    ),
    ("detectable_format:constrained_response", {}, "My answer is no.", "No."),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    (
        "detectable_format:multiple_sections",
        {"num_sections": 2, "section_spliter": "SECTION"},
        "SECTION 1 a SECTION 2 b",
        "SECTION 1",
    ),
    (
        "detectable_format:number_bullet_lists",
        {"num_bullets": 2},
        "* one\n- two",
        "* one\n- two\n* three",
    ),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "*one* and *two*",
        "*one* and * *",
    ),
    ("detectable_format:title", {}, "<<Song>>", "<< >>"),
    ("keywords:existence", {"keywords": ["cat", "dog"]}, "Cats and dogs", "Cats"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "category", "A CAT."),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "at least"},
        "cat, Cat",
        "cat",
    ),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": "less than"},
        "cat",
        "cat cat",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "e", "let_frequency": 2, "let_relation": "at least"},
        "Eel",
        "el",
    ),
    (
        "language:response_language",
        {"language": "de"},
        "Das ist ein Satz in deutscher Sprache, und er ist lang genug.",
        "This one is not.",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"first_word": "then", "nth_paragraph": 2, "num_paragraphs": 2},
        "One.\n\nThen, two.",
        "Then",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo", "One\n\nTwo"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 3, "relation": "less than"},
        "Dr. A came. He left!",
        "One. Two. Three.",
    ),
    (
        "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"},
        "one two three",
        "one two",
    ),
    ("punctuation:no_comma", {}, "one two", "one, two"),
    (
        "startend:end_checker",
        {"end_phrase": "The end."},
        'So it goes. the end."',
        "The end. Or not",
    ),
    ("startend:quotation", {}, '"All of it"', '"Part" of it'),
]


@pytest.mark.parametrize(
    ("name", "parameters", "good", "bad"),
    FOLLOWING,
    ids=[f"{k}-{c[0]}" for k, c in enumerate(FOLLOWING)],
)
def test_instructions(name: str, parameters: dict[str, Any], good: str, bad: str) -> None:
    # In parquet files all parameters of all instructions are there, most of them null, and numbers
    # may be floats.
    every = {"num_words": None, "keywords": None} | {
        key: float(n) if isinstance(n, int) else n for key, n in parameters.items()
    }
    asked = problem("ood__ifeval", [every], instruction_id_list=[name])
    for version in VERSIONS:
        assert score(asked, good, version).value == 1.0
        assert score(asked, bad, version).value == 0.0


def test_every_instruction_has_a_case_and_both_versions_know_all() -> None:
    assert {case[0] for case in FOLLOWING} == set(STRICT) == set(GURU)
    assert len(STRICT) == 25


def test_instructions_differ_where_the_published_ones_are_careless() -> None:
    dotted = problem(
        "ood__ifeval", [{"keywords": ["c.t"]}], instruction_id_list=["keywords:existence"]
    )
    assert (score(dotted, "cat").value, score(dotted, "cat", "guru").value) == (0.0, 1.0)
    ruled = problem(
        "ood__ifeval",
        [{"num_bullets": 1}],
        instruction_id_list=["detectable_format:number_bullet_lists"],
    )
    for text in ("* one\n---", "- **One**: first\n\n*so it is*\n* * *"):
        assert (score(ruled, text).value, score(ruled, text, "guru").value) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (problem("ood__ifeval", [{}]), "instruction_id_list"),
        (problem("ood__ifeval", [{}], instruction_id_list=["new:one"]), "new:one"),
        (problem("codegen__humaneval", '{"pytest": 1}'), "neither tests nor inputs"),
        (
            problem("simulation__cruxeval-o", '{"functional": "def f(x): return x"}'),
            "no assertion with",
        ),
        (problem("ood__livebench", "x", task="poetry"), "poetry"),
        (problem("ood__livebench", "x"), "known are"),
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
            "**{}**",
            "<solution>{}</solution>",
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
    for task in (
        "web_of_lies_v2",
        "spatial",
        "zebra_puzzle",
        "connections",
        "plot_unscrambling",
        "typos",
        "cta",
        "tablejoin",
    ):
        for date in ("2024-06-24", "2024-11-25"):
            verdict = score(
                problem("ood__livebench", "{'yes': 'no'}", task=task, date=date), response
            )
            assert verdict.value is not None
            assert 0.0 <= verdict.value <= 1.0


@given(letters=st.permutations("ABCDEFGHIJ"))
def test_only_the_right_letter_scores(letters: list[str]) -> None:
    asked = problem("stem__supergpqa", letters[0])
    assert score(asked, f"\\boxed{{{letters[0]}}}").value == 1.0
    assert {score(asked, f"\\boxed{{{letter}}}").value for letter in letters[1:]} == {0.0}


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
        assert score(
            problem("logic__ordering_puzzle", names), f"<answer>{other}</answer>", version
        ).value == float(other == names)


@given(
    answers=st.lists(st.decimals(0, 10**6, places=2).map(str), min_size=1, max_size=5),
    data=st.data(),
)
def test_table_answers_score_in_any_order_and_not_with_one_changed(
    answers: list[str], data: st.DataObject
) -> None:
    asked = problem("table__hitab", "|".join(answers))
    shuffled = data.draw(st.permutations(answers))
    assert score(asked, f"\\boxed{{{'|'.join(shuffled)}}}").value == 1.0
    changed = [f"{float(shuffled[0]) * 3 + 5:.2f}", *shuffled[1:]]
    assert score(asked, f"\\boxed{{{'|'.join(changed)}}}").value == 0.0


@given(
    rows=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=5),
    data=st.data(),
)
def test_a_zebra_table_scores_its_share_of_right_cells(
    rows: list[list[int]], data: st.DataObject
) -> None:
    header = ["a", "b", "c"]
    asked = problem("logic__zebra_puzzle", {"header": header, "rows": rows})
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(value=JSON, other=JSON)
def test_json_golds_score_and_equality_is_symmetric(value: Any, other: Any) -> None:
    asked = problem("simulation__codeio", f'"output": {json.dumps(value)}')
    assert score(asked, f"```json\n{json.dumps({'output': value})}\n```").value == 1.0
    assert same(value, other) == same(other, value)
    assert score(asked, f"```json\n{json.dumps({'output': other})}\n```").value == float(
        same(value, other)
    )


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


def test_sentences_are_counted_past_abbreviations_and_numbers() -> None:
    assert sentences("Dr. Ho paid 3.50 at 5 p.m. today. Why? Well... because!") == 4
    assert sentences("no full stop") == 1
    assert sentences("") == 0


def test_boxes_tags_and_literals_at_their_edges() -> None:
    assert last_boxed("\\boxed{\\frac{1}{2}} and \\boxed{open") == "\\frac{1}{2}"
    assert last_tag("<answer>a</answer><answer>b</answer>") == "b"
    assert literal('{"a": true}') == {"a": True}
    for text in (
        "(" * 5000,
        "-" * 50_000 + "1",
        "[" * 100_000,
        "{}" * 200_000,
        "1 if",
        "9" * 10_000,
    ):
        with pytest.raises(ValueError, match=r"neither a Python nor a JSON value|too many"):
            literal(text)


def test_every_kind_has_both_versions() -> None:
    from engines.shared.scoring.registry import scorer

    assert {kind_of(prefix + "x") for prefix, _ in KINDS} == {kind for _, kind in KINDS}
    assert all(callable(scorer(kind, version)) for _, kind in KINDS for version in VERSIONS)


def test_languages_need_their_library_only_where_nothing_else_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["language:response_language", "punctuation:no_comma"]
    asked = problem("ood__ifeval", [{"language": "de"}, {}], instruction_id_list=names)
    mixed = "Das ist gut und this is good and c'est bon"
    assert len({score(asked, mixed).value for _ in range(10)}) == 1
    monkeypatch.setitem(sys.modules, "langdetect", None)
    assert score(asked, "Das ist ein deutscher Satz, mit Komma.").value == 0.0
    verdict = score(asked, "Das ist ein deutscher Satz.")
    assert (verdict.value, verdict.status) == (None, "error")
    assert "install langdetect" in verdict.detail
