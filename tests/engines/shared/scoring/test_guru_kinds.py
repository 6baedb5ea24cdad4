"""The other kinds as GURU's published scorers judge them: what their own code gave for these
responses."""

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from engines.shared.scoring.table_guru import arithmetic

TABLE = {"header": ["House", "Name"], "rows": [["1", "Ann"], ["2", "Bob"]]}
# Data source, right answer, response, published value.
ANSWERS: list[tuple[str, Any, str, float]] = [
    ("table__hitab", "12", r"\boxed{12.006}", 1),
    ("table__hitab", "12", r"\boxed{12.1}", 0),
    ("table__hitab", "12", r"\boxed{1200}", 1),
    ("table__hitab", "0.12", r"\boxed{12\%}", 1),
    ("table__hitab", "5.2%", r"\boxed{0.052}", 1),
    ("table__hitab", "$1,250", r"\boxed{1250}", 1),
    ("table__hitab", "1250", r"\boxed{\$1,250}", 1),
    ("table__hitab", "1250", r"\boxed{1{,}250}", 0),
    ("table__hitab", "6", r"\boxed{2*3}", 1),
    ("table__hitab", "0.5", r"\boxed{3:6}", 1),
    ("table__hitab", "0.5", r"\boxed{3/6}", 1),
    ("table__hitab", "5", r"\boxed{5 or 6}", 1),
    ("table__hitab", "5", r"\boxed{6 or 5}", 0),
    ("table__hitab", "1", r"\boxed{3 < 4}", 1),
    ("table__hitab", "5", r"\boxed{'5'}", 1),
    ("table__hitab", "5", r"\boxed{5 million}", 0),
    ("table__hitab", "5", r"\boxed{\text{5}}", 0),
    ("table__hitab", "5", r"\boxed{(5)}", 1),
    ("table__hitab", "5", r"\boxed{[5]}", 0),
    ("table__hitab", "5", r"\boxed{abs(-5)}", 1),
    ("table__hitab", "5", r"\boxed{5 # five}", 1),
    ("table__hitab", "8", r"\boxed{2**3}", 1),
    ("table__hitab", "8", r"\boxed{2^3}", 0),
    ("table__hitab", "canada", r"\boxed{Canada}", 1),
    ("table__hitab", "new york|12", r"\boxed{12|New York}", 1),
    ("table__hitab", "new york|12", r"\boxed{12.01 | new york}", 1),
    ("table__hitab", "1|2", r"\boxed{2|1|1}", 0),
    ("table__hitab", "10|9", r"\boxed{9|10}", 1),
    ("table__hitab", "a_b", r"\boxed{a_b}", 1),
    ("table__hitab", "12_5", r"\boxed{12}", 1),
    ("table__hitab", "12", r"\boxed 12$ is it", 1),
    ("table__hitab", "12", "12", 1),
    ("table__hitab", "12", r"<think>\boxed{3}</think>12", 1),
    ("table__hitab", "12", r"\boxed{}", 0),
    ("stem__supergpqa", "C", r"\boxed{C}", 1),
    ("stem__supergpqa", "C", r"\boxed{\text{(C)}}", 1),
    ("stem__supergpqa", "C", r"\boxed{C. Apple}", 0),
    ("stem__supergpqa", "A", r"\boxed{C. Apple}", 1),
    ("stem__supergpqa", "B", r"\boxed{not A but B}", 0),
    ("stem__supergpqa", "C", r"\boxed{{{{C}}}} \boxed{D}", 0),
    ("stem__supergpqa", "C", r"\boxed{D} \boxed{{{{C}}}}", 0),
    ("stem__supergpqa", "C", "Final Answer: C\n", 1),
    ("stem__supergpqa", "C", "The answer is: C\n", 1),
    ("stem__supergpqa", "C", "Final Answer: D\nThe answer is: C\n", 0),
    ("stem__supergpqa", "C", r"<think>\boxed{C}</think> D", 1),
    ("stem__supergpqa", "C", r"Assistant: x \boxed{C}", 1),
    ("stem__supergpqa", "C", r"\boxed{C} Assistant: \boxed{D}", 0),
    ("stem__supergpqa", "C", r"\boxed{C}</s>\boxed{D}", 1),
    ("stem__supergpqa", "D", r"<|im_start|>user \boxed{C}<|im_end|><|im_start|>assistant \boxed{D}<|im_end|>", 1),
    ("stem__gpqa_diamond_no_box", "B", "Answer: B", 1),
    ("stem__gpqa_diamond_no_box", "B", "answer: $B$", 1),
    ("stem__gpqa_diamond_no_box", "B", "Answer B", 0),
    ("stem__gpqa_diamond_no_box", "B", "Answer: C. Answer: B", 0),
    ("stem__gpqa_diamond_no_box", "B", r"\boxed{B}", 0),
    ("stem__gpqa_diamond_no_box", "B", "answer: b", 0),
    ("logic__zebra_puzzle_dataset", TABLE, f"<answer>{TABLE}</answer>", 1),
    ("logic__zebra_puzzle_dataset", TABLE, f"<answer>{json.dumps(TABLE)}</answer>", 1),
    ("logic__zebra_puzzle_dataset", TABLE, f"<answer>\n{TABLE}\n</answer>", 0),
    ("logic__zebra_puzzle_dataset", TABLE, f"<Answer>{TABLE}</Answer>", 0),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>{'rows': [['1', 'Ann'], ['2', 'Cy']]}</answer>", 0.75),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>{'rows': [['1', 'Ann']]}</answer>", 0),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>{'rows': [[1, 'Ann'], [2, 'Bob'], [3, 'Cy']]}</answer>", 0.5),
    ("logic__zebra_puzzle_dataset", TABLE, "<answer>[['1', 'Ann'], ['2', 'Bob']]</answer>", 0),
    ("logic__zebra_puzzle_dataset", TABLE, f"<think><answer>{TABLE}</answer></think> none", 1),
    ("logic__zebra_puzzle_dataset", TABLE, f"<answer>{TABLE}</answer> <answer>none</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[[1,2],[3,4]]</answer>", 1),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>grid:\n[[1, 2],\n [3, 4]]\nthere</answer>", 1),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[[\"1\", 2.0], [3.9, \"4\"]]</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>((1,2),(3,4))</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[[1,2],[3,4],[5]]</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[[0]] [[1,2],[3,4]]</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[[1,2], ... ,[3,4]]</answer>", 0),
    ("simulation__arcagi1", [[1, 2], [3, 4]], "<answer>[ [1,2],[3,4]]</answer>", 0),
    ("simulation__arcagi1", [[0]], "none", 1),
    ("simulation__arcagi1", [[0]], "<answer>[[x]]</answer>", 1),
    ("simulation__arcagi1", [[0]], "<answer>[['x']]</answer>", 1),
    ("simulation__arcagi1", [[0]], "<answer>[[0],[0,1]]</answer>", 0),
    ("simulation__arcagi1", [[1]], "<answer>[[True]]</answer>", 1),
    ("simulation__arcagi1", [[1]], "<answer>[[true]]</answer>", 0),
    ("simulation__arcagi1", [[0, 0]], "<answer>[['x',0]]</answer>", 0),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>['owl', 'red hen']</answer>", 1),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>[Owl, RED HEN]</answer>", 1),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>[owl red hen]</answer>", 0),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>[[owl, red hen]]</answer>", 1),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>['red hen', 'owl']</answer>", 0),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>owl, red hen</answer>", 0),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>[owl,, red hen] [owl, red hen]</answer>", 1),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>('owl', 'red hen')</answer>", 0),
    ("logic__ordering_puzzle_dataset", ["owl", "red hen"], "<answer>['owl', 'red-hen']</answer>", 0),
    ("logic__graph_logical", "Lima", "<answer>LIMA</answer>", 1),
    ("logic__graph_logical", "Lima", "<answer> lima </answer>", 1),
    ("logic__graph_logical", "Lima", "<answer>Lima.</answer>", 0),
    ("logic__graph_logical", "Lima", "<answer>li ma</answer>", 0),
    ("simulation__codeio", "\"output\": 1", "```json\n{\"output\": 1}\n```", 1),
    ("simulation__codeio", "\"output\": 1", "```json\n{\"output\": 1.0}\n```", 1),
    ("simulation__codeio", "\"output\": 1", "{\"output\": true}", 1),
    ("simulation__codeio", "\"output\": 1", "```json\n1\n```", 0),
    ("simulation__codeio", "\"output\": 1", "so {\"output\": 1}. Set {x}", 0),
    ("simulation__codeio", "\"output\": 1", "{x} so {\"output\": 1}", 1),
    ("simulation__codeio", "\"output\": 1", "```json\n{\"output\": 1}\n``` ```json\n{\"output\": 2}\n```", 1),
    ("simulation__codeio", "\"output\": 1", "<think>```json\n{\"output\": 2}\n```</think>{\"output\": 1}", 0),
    ("simulation__codeio", "\"output\": true", "{\"output\": \"True\"}", 1),
    ("simulation__codeio", "\"output\": \"true\"", "{\"output\": true}", 1),
    ("simulation__codeio", "\"output\": {\"a\": \"[1]\"}", "{\"output\": {\"a\": [1]}}", 1),
    ("simulation__codeio", "\"output\": None", "{\"output\": null}", 0),
    ("simulation__codeio", "\"output\": null", "nothing", 1),
    ("simulation__codeio", "{'a': 1}", "{\"a\": 1}", 1),
    ("simulation__codeio", "5", "{\"output\": 5}", 1),
    ("simulation__codeio", "true", "{\"output\": true}", 1),
    ("simulation__codeio", "\"input\": {\"n\": 3}", "{\"n\": 3}", 1),
    ("simulation__codeio", "\"input\": {\"n\": 3}", "{\"output\": {\"n\": 3}}", 1),
    ("simulation__codeio", "\"output\": {\"input\": 2}", "{\"output\": {\"input\": 2}}", 1),
    ("simulation__codeio", "\"output\": 0.1", "{\"output\": 0.10000000001}", 0),
]  # fmt: skip
# Task, right answer, response, published value.
LIVEBENCH: list[tuple[str, str, str, float]] = [
    ("web_of_lies_v2", "yes, no, yes", "**yes**, **no**, **yes**", 1),
    ("web_of_lies_v2", "yes, no, yes", r"\boxed{yes, no, yes}", 1),
    ("web_of_lies_v2", "yes, no, yes", r"\textbf{yes, no, yes}", 1),
    ("web_of_lies_v2", "yes, no, yes", "So yes, no, yes it is", 1),
    ("web_of_lies_v2", "yes, unknown, yes", "<solution>yes, unknown, yes</solution>", 1),
    ("web_of_lies_v2", "yes, no, yes", "<solution>I say yes, no, yes</solution>", 1),
    ("spatial", "4", "**four**", 1),
    ("spatial", "4", r"\boxed{4}", 1),
    ("spatial", "square", "**a red square**", 1),
    ("spatial", "square", "**circle square and triangle**", 0),
    ("spatial", "4", "**4** **a** **b** **c**", 0),
    ("zebra_puzzle", "four", "***4***", 1),
    ("zebra_puzzle", "4", "***four***", 0),
    ("zebra_puzzle", "cat", "It is the cat", 1),
    ("zebra_puzzle", "cat", "<solution>cat</solution>", 0),
    ("zebra_puzzle", "cat", "***dog*** cat", 0),
    ("connections", "a,b,c,d,e,f,g,h", "**b,a,c,d,e,f,g,x**", 0.5),
    ("connections", "a,b,c,d,e,f,g,h", "<solution>a,b,c,d,e,f,g,h</solution>", 0),
    ("plot_unscrambling", "One came. Two saw. Three won.", "Two saw. One came. Three won.", 1 / 3),
    ("plot_unscrambling", "One came. Two saw. Three won.", "Plot. <PLOT_SUMMARY>One came. Two saw. Three won.</PLOT_SUMMARY> Done.", 1),
    ("typos", "We saw it.", "x --- We saw it. --- y", 1),
    ("typos", "We saw it.", "<solution>We see it.</solution> We saw it.", 0),
    ("cta", "Country", "The type is country.", 1),
    ("cta", "Country", "Country name", 0),
    ("cta", "Country", r"\boxed{\text{Country}}", 1),
    ("tablejoin", "{'a': 'x', 'b': 'y', 'c': 'z'}", "```python\n{'a': 'x', 'b': 'y', 'c': 'w'}\n```", 0.67),
    ("tablejoin", "{'a': 'x', 'b': 'y'}", "<solution>{\"a\": \"x\", \"b\": null}</solution>", 0.67),
    ("tablejoin", "{'a': 'x'}", r"\boxed{\{\text{'a'}: \text{'x'}\}}", 1),
    ("tablejoin", "{'a': 'x'}", "The map {'a': 'x'}", 0),
]  # fmt: skip
# Instruction, parameters, response, published value.
IFEVAL: list[tuple[str, dict[str, Any], str, int]] = [
    ("keywords:forbidden_words", {"forbidden_words": ["c.t"]}, "a cat", 0),
    ("keywords:forbidden_words", {"forbidden_words": ["C++"]}, "I like C a lot", 0),
    ("keywords:forbidden_words", {"forbidden_words": ["C++"]}, "I like it", 1),
    ("keywords:existence", {"keywords": ["c.t"]}, "a cat", 1),
    ("keywords:frequency", {"keyword": "  cat ", "frequency": 2.0, "relation": "at least"}, "cat,cat", 1),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": "less than"}, "cat cat", 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b\n**c**", 1),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "---", 1),
    ("detectable_format:title", {}, "<<<>>>", 0),
    ("detectable_format:title", {}, "<< <>>", 1),
    ("detectable_format:json_format", {}, "```json\n{\"a\": NaN}\n```", 1),
    ("detectable_format:json_format", {}, "Here: {}", 0),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "Then"}, "\n\nThen one.\n\nTwo.", 0),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "then"}, "'Then, one.\n\nTwo.", 1),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "hello"}, "**Hello** there.\n\nTwo.", 0),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***\n", 1),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "it's so", 1),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "a p.s. b", 1),
    ("detectable_content:postscript", {"postscript_marker": "NB"}, "a nb b", 1),
    ("combination:two_responses", {}, "a ****** b", 1),
    ("combination:two_responses", {}, "a ****** a", 0),
    ("change_case:english_capital", {}, "12!", 0),
    ("change_case:english_capital", {}, "HELLO WORLD", 0),
    ("change_case:english_lowercase", {}, "this is a sentence in the english language", 1),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}, "SECTION 1 a SECTION 2 b", 1),
    ("punctuation:no_comma", {}, "<think>a, b</think>c", 1),
    ("startend:end_checker", {"end_phrase": "Bye."}, "\"So, bye.\"", 1),
    ("keywords:letter_frequency", {"letter": "Q", "let_frequency": 1, "let_relation": "less than"}, "quiet", 0),
    ("language:response_language", {"language": "de"}, "...", 1),
]  # fmt: skip


@pytest.mark.parametrize(("source", "gold", "text", "published"), ANSWERS)
def test_answers_have_the_published_value(
    source: str, gold: Any, text: str, published: float
) -> None:
    verdict = score(make_problem(source, user("?"), gold), text, "guru")
    assert verdict.value == pytest.approx(published)


@pytest.mark.parametrize(("task", "gold", "text", "published"), LIVEBENCH)
def test_livebench_has_the_published_value(
    task: str, gold: str, text: str, published: float
) -> None:
    for date in ("2024-06-24", "2024-11-25"):
        extra = {"task": task, "date": date}
        asked = make_problem("ood__livebench", user("?"), gold, extra_info=extra)
        assert score(asked, text, "guru").value == pytest.approx(published)


@pytest.mark.parametrize(("name", "parameters", "text", "published"), IFEVAL)
def test_instructions_have_the_published_value(
    name: str, parameters: dict[str, Any], text: str, published: int
) -> None:
    extra = {"instruction_id_list": [name]}
    asked = make_problem("ood__ifeval", user("?"), [parameters], extra_info=extra)
    assert score(asked, text, "guru").value == published


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GO now, PLEASE", 2),
        ("R&B and X-RAY", 3),
        ("I DON'T KNOW", 4),
        ("**BOLD** (A) B, C", 4),
        ("A/B U.S.A. OK. 5M #TAG", 5),
        ("'TIS CANNOT GONNA", 6),
        ("IT'S O'NEIL'S", 4),
        ("A--B C...D E:F", 6),
        ("\u201cQUOTED\u201d 'V x'Y", 3),
        ("none", 0),
    ],
)
def test_words_in_capitals_are_counted_as_the_published_tokenizer_divides_them(
    text: str, words: int
) -> None:
    extra = {"instruction_id_list": ["change_case:capital_word_frequency"]}
    for limit, follows in ((words, 1.0), (words + 1, 0.0)):
        parameters = {"capital_frequency": limit, "capital_relation": "at least"}
        asked = make_problem("ood__ifeval", user("?"), [parameters], extra_info=extra)
        assert score(asked, text, "guru").value == follows


def test_chance_is_an_expectation() -> None:
    parameters = {"letter": "#", "let_frequency": 1, "let_relation": "at least"}
    extra = {"instruction_id_list": ["keywords:letter_frequency"]}
    asked = make_problem("ood__ifeval", user("?"), [parameters], extra_info=extra)
    assert score(asked, "Aabbc", "guru").value == pytest.approx(3 / 26)
    assert score(asked, string.ascii_letters, "guru").value == 1.0
    assert score(asked, "###", "guru").value == 0.0
    for text in ("no idea", "\\boxed{}", "Answer: C", "Final Answer: x\n"):
        assert score(make_problem("stem__supergpqa", user("?"), "C"), text, "guru").value == 0.1


def test_where_the_published_scorer_crashes_there_is_no_value() -> None:
    crashes = [
        (make_problem("table__hitab", user("?"), "5"), "\\fbox{5}"),
        (make_problem("table__hitab", user("?"), "5"), "\\boxed\n{5}"),
    ]
    for name, parameters in (
        ("keywords:existence", {"keywords": ["a("]}),
        ("keywords:forbidden_words", {"forbidden_words": ["*"]}),
    ):
        extra = {"instruction_id_list": [name]}
        asked = make_problem("ood__ifeval", user("?"), [parameters], extra_info=extra)
        crashes.append((asked, "a("))
    for asked, text in crashes:
        verdict = score(asked, text, "guru")
        assert (verdict.value, verdict.status) == (None, "error")


NUMBERS = st.one_of(st.integers(0, 999).map(str), st.floats(0, 999).map(repr))
SUMS = st.recursive(
    NUMBERS,
    lambda inner: st.tuples(
        inner,
        st.sampled_from(["+", "-", "*", "/", "//", "%", " or ", " and ", " < ", " == "]),
        inner,
    ).map("({0[0]}{0[1]}{0[2]})".format),
    max_leaves=6,
)


@given(text=SUMS)
def test_arithmetic_is_python_s(text: str) -> None:
    try:
        wanted = float(eval(text))
    except ArithmeticError:
        with pytest.raises(ArithmeticError):
            arithmetic(text)
    else:
        assert arithmetic(text) == wanted


@given(
    text=st.text(alphabet="\\{}[]<>/|\"':,.*#-`\n answerboxed0123TrueABC()jsonlti"),
    inside=st.booleans(),
)
def test_no_text_makes_the_published_rules_raise(text: str, inside: bool) -> None:
    response = f"<answer>{text}</answer> \\boxed{{{text}}}" if inside else text
    for source, gold, _, _ in ANSWERS[::5]:
        verdict = score(make_problem(source, user("?"), gold), response, "guru")
        assert (verdict.value is None) == (verdict.status == "error")
        assert verdict.status != "error" or source.startswith("table")
    for task, gold, _, _ in LIVEBENCH[::2]:
        asked = make_problem("ood__livebench", user("?"), gold, extra_info={"task": task})
        verdict = score(asked, response, "guru")
        assert verdict.value is None or 0.0 <= verdict.value <= 1.0
