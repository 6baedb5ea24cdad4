"""Letters of multiple choice: every usual dress of one letter is read, two letters never are."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.choice import gold_of
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict

LETTERS = "ABCDEFGHIJ"


def judged(gold: Any, response: str) -> Verdict:
    return score(make_problem("stem__supergpqa", user("?"), gold), response)


DRESSES = [
    "\\boxed{@}",
    "\\boxed{ @ }",
    "\\boxed{(@)}",
    "\\boxed{@.}",
    "\\boxed{@) 12 J}",
    "\\boxed{@. Vitamins A and D}",
    "\\boxed{\\text{(@) Robert A. Millikan}}",
    "\\boxed{{@}}",
    "\\boxed{\\text{@}}",
    "\\boxed{\\textsf{@}}",
    "\\boxed{\\mathbf{\\text{@}}}",
    "\\boxed{\\boldsymbol{@}}",
    "\\boxed{\\textbf{(@)}\\ 12}",
    "\\boxed{\\displaystyle @}",
    "\\boxed{\\left(@\\right)}",
    "\\boxed{\\boxed{@}}",
    "\\boxed{**@**}",
    "\\boxed{Option @}",
    "\\boxed{\\text{Choice @: Apple}}",
    "\\boxed{\\text{Answer: @}}",
    "$\\boxed @$",
    "\\fbox{@}",
    "\\boxed{@} It is in the box: \\boxed{}",
    "I find \\boxed{\\langle H\\rangle \\ll \\Delta E}. **Answer: @**",
    "**Answer: @**, as \\boxed{E = mc^2} says",
    "ANSWER: @",
    "answer: @.",
    "**Final Answer:** @",
    "**Final Answer**: @",
    "### Answer\n\n@",
    "Answer: $\\text{@}$",
    "Answer: $\\mathrm{(@)}$",
    "Answer: \u201c@\u201d",
    "Answer: [@]",
    "Answer: @) Apple",
    "Answer: @. Vitamins A and D",
    "The answer is @",
    "The answer is (@), since nothing else is left.",
    "The answer is therefore @.",
    "The answer is:\n\n**@. Apple**",
    "The answer is option @",
    "The correct option is @.",
    "I choose @",
    "I will go with option @.",
    "<answer>@</answer>",
    "So it stays.\n\n**@**",
    "**@**",
    "Thus @ is correct.",
    "We choose @",
    "\\boxed{\\underline{@}}",
    "(@)",
    "Option @",
    "Answer: A\nNo.\nAnswer: @",
]

SMALL = ["\\boxed{%}", "\\boxed{(%)}", "\\boxed{option (%)}", "Answer: (%)", "Answer: %\n"]

PAIRS = [
    "@ or #",
    "@ and #",
    "@, #",
    "@/#",
    "@ # @",
    "@ #",
    "(@) or (#)",
    "(@), (#)",
    "(@) (#)",
    "@. #.",
    "@ & #",
    "@; #",
    "@ | #",
    "@ \\text{ or } #",
    "@ (or #)",
    "@, possibly #",
    "option @ or option #",
    "@\n#",
    "@#",
    "@, # or @",
    "@ = #",
    "@ \u2192 #",
    "@ '#'",
    "@ ... #",
    "@ \u2013 #",
    "\\text{@}\\text{#}",
]
AROUND = ["\\boxed{%}", "\\boxed{\\text{%}}", "Answer: %", "The answer is %", "I choose %", "**%**"]


@pytest.mark.parametrize("dress", DRESSES)
def test_a_letter_in_any_dress_is_that_letter_and_no_other(dress: str) -> None:
    for letter in LETTERS:
        response = dress.replace("@", letter)
        assert [gold for gold in LETTERS if judged(gold, response).value == 1.0] == [letter]


@pytest.mark.parametrize("dress", SMALL)
def test_a_small_letter_that_stands_alone_counts(dress: str) -> None:
    for letter in LETTERS:
        assert judged(letter, dress.replace("%", letter.lower())).value == 1.0


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("pair", PAIRS)
def test_two_letters_are_no_answer(around: str, pair: str) -> None:
    for one, other in itertools.permutations(LETTERS, 2):
        response = around.replace("%", pair.replace("@", one).replace("#", other))
        assert (response, judged(one, response).status) == (response, "no_answer")
        assert judged(other, response).value == 0.0


@pytest.mark.parametrize(
    "response",
    [
        "\\boxed{A} or \\boxed{B}",
        "$\\boxed{A}$ and $\\boxed{B}$",
        "\\boxed{A. Apple or B. Banana}",
        "\\boxed{A) 5 B) 6}",
        "Answer: A-level",
        "Answer: A vector has a direction",
        "answer: A's",
        "Carbon",
        "\\boxed{Carbon}",
        "I refuse.",
        "Answer: A. \\boxed{x = 1}. Answer: A or B",
        "Answer: A\nAnswer: A B C",
        "If the answer is A then x. \\boxed{4.5}",
    ],
)
def test_what_names_no_single_letter_is_no_answer(response: str) -> None:
    for gold in LETTERS:
        verdict = judged(gold, response)
        assert (verdict.value, verdict.status) == (0.0, "no_answer")


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("Answer: C, I think", "C"),
        ("The answer is A because it is", "A"),
        ("Therefore the correct choice is B, not C.", "B"),
        ("Answer: B\n\nC is wrong because", "B"),
        ("\\boxed{A}. No, \\boxed{B}", "B"),
        ("\\boxed{B}\n\nAnswer: C", "B"),  # the box is what the prompt asks for
        ("\\boxed{C. C}", "C"),  # the letter of carbon
    ],
)
def test_a_second_letter_in_the_sentence_is_no_second_answer(response: str, letter: str) -> None:
    assert [gold for gold in LETTERS if judged(gold, response).value == 1.0] == [letter]


@given(choice=st.permutations(LETTERS))
def test_only_the_right_letter_scores(choice: list[str]) -> None:
    assert judged(choice[0], f"\\boxed{{{choice[0]}}}").value == 1.0
    assert {judged(choice[0], f"\\boxed{{{letter}}}").value for letter in choice[1:]} == {0.0}


@pytest.mark.parametrize(
    "gold", [None, "", " ", float("nan"), "K", "(C)", "C. Apple", "AB", 2, ["A"], {"A": 1}]
)
def test_what_is_no_letter_cannot_be_the_right_answer(gold: Any) -> None:
    verdict = judged(gold, "\\boxed{C}")
    assert (verdict.value, verdict.status) == (None, "error")
    with pytest.raises(ValueError, match="right answer"):
        gold_of(make_problem("stem__supergpqa", user("?"), gold))


@pytest.mark.parametrize(
    "text",
    ["answer " * 20_000, "\\boxed{" * 20_000 + "}" * 20_000, "\\boxed{" + "B. " * 20_000 + "x}"],
    ids=["answers", "boxes", "letters"],
)
def test_a_long_text_is_read_in_one_pass(text: str) -> None:
    # Letters are judged outside of the pool: nothing would stop a search that never ends.
    assert judged("A", text).value == 0.0


@pytest.mark.parametrize(
    "response",
    [
        "The answer is D; B is wrong",
        "Answer: D, B has no meaning here",
        "Answer: D, A being wrong",
        "Option: D",
        "Choice: (D)",
        "The correct answer to the question is D.",
        "The best answer here is D.",
        "\\boxed{D\\text{ (Apple)}}",
        "\\boxed{D (Apple)}",
        "\\boxed{D \\text{. Apple}}",
        "\\boxed{D - Apple}",
        "Answer\uff1aD",
        "Answer: \uff24",
    ],
)
def test_a_letter_is_read_beside_what_is_said_of_it(response: str) -> None:
    assert [gold for gold in LETTERS if judged(gold, response).value == 1.0] == ["D"]


@pytest.mark.parametrize(
    "response",
    [
        "Answer: D; A is also possible",
        "Answer: D; B is also right",
        "Answer: D, A is equally possible",
        "Answer: D or A is right",
        "Answer: D and A are right",
        "\\boxed{D(x)}",
        "\\boxed{D - A}",
        "\\boxed{D (or A)}",
    ],
)
def test_a_letter_with_a_second_one_or_in_a_formula_is_no_answer(response: str) -> None:
    assert [gold for gold in LETTERS if judged(gold, response).value == 1.0] == []
