"""Answers about tables: a number in any dress stays itself, and never becomes another."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import Verdict


def judged(gold: Any, answer: str, prompt: str = "?") -> Verdict:
    return score(make_problem("table__hitab", user(prompt), gold), f"Hence \\boxed{{{answer}}}.")


DRESSES = [
    "@",
    " @ ",
    "@.",
    "{@}",
    "$@$",
    "**@**",
    "\\text{@}",
    "\\mathbf{@}",
    "\\mathrm{\\text{@}}",
    "\\displaystyle @",
    "{\\bf @}",
    "\\boxed{@}",
    "\\underline{@}",
    "\\textcolor{blue}{@}",
    "\\(@\\)",
    "\\left(@\\right)",
    "x=@",
    "x = @",
    "\\text{Total} = @",
    "\\approx @",
    "x \\approx @",
    "~@",
    "about @",
    "\\$@",
    "USD @",
    "@ \\text{ units}",
    "@ units",
    "@ \\text{ (units)}",
    "@\\,\\text{dollars per share}",
    "@~\\text{m}^2",
    "\\$@ \\text{ million}",
    "@ billion",
    "@ \\text{ million dollars}",
]
THOUSANDS = [",", "{,}", "\\,", " ", "\\ ", "'", "\u2019", "~", ",\\!", "\u202f", "\u00a0", "\\;"]
numbers = st.integers(-(10**9), 10**9).map(str) | st.decimals(-(10**6), 10**6, places=2).map(str)


@pytest.mark.parametrize("dress", DRESSES)
@given(number=numbers)
def test_a_dressed_number_is_itself_and_no_other(dress: str, number: str) -> None:
    answer = dress.replace("@", number)
    assert judged(number, answer).value == 1.0
    wrong = f"{float(number) + 0.01 * abs(float(number)) + 0.02:.4f}"
    assert judged(wrong, answer).value == 0.0
    if float(number) != 0:
        assert judged(f"{-float(number):f}", answer).value == 0.0


@given(
    number=st.integers(1000, 10**10),
    mark=st.sampled_from(THOUSANDS),
    dress=st.sampled_from(DRESSES),
    sign=st.sampled_from(["", "-", "\u2212"]),
)
def test_thousands_may_be_divided_in_any_style(
    number: int, mark: str, dress: str, sign: str
) -> None:
    answer = dress.replace("@", sign + f"{number:,}".replace(",", mark))
    gold = -number if sign else number
    assert judged(gold, answer).value == 1.0
    assert judged(gold + 1, answer).value == 0.0
    assert judged(gold * 1000, answer.replace("illion", "")).value == 0.0


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (0.5, "\\frac{1}{2}"),
        (0.5, "\\dfrac12"),
        (0.5, "\\text{\\frac{1}{2}}"),
        (-0.5, "-\\frac{1}{2}"),
        (-0.5, "\\frac{-1}{2}"),
        (2.5, "2\\frac{1}{2}"),
        (2.5, "2 1/2"),
        (10.5, "21/2"),
        (3.8, "\\approx 3.8"),
        (12.34, "12.34\\text{ percent}"),
        (0.1234, "12.34\\text{ per cent}"),
        (0.1234, "12.34\\ \\%"),
        (0.1234, "12.34 percentage points"),
        (-1250, "(1,250)"),
        (-1250, "\\$(1{,}250)"),
        (-1250, "(\\$1,250)"),
        (-0.052, "(5.2\\%)"),
        (-0.052, "(5.2)\\%"),
        (-5, "(-5)"),
        (120000, "1.2 \\times 10^5"),
        (5200000, "5.2 million"),
        (5.2, "5.2M"),
        ("5.2 million", "5.2"),
        ("5.2 million", "5,200,000"),
        ("12%", "12"),
        ("12%", "0.12"),
        ("$5", "5 dollars"),
        ("12 months", "12\\text{ months}"),
        ("canada", "\\textbf{Canada}."),
        ("2007-2008", "2007\u20132008"),
        ("12|7.5", "7.5 \\mid 12"),
        ("12|7.5", "\\text{7.5 | 12 units}"),
        (0, "0\\%"),
        (0, "0.00"),
    ],
)
def test_what_equals_the_right_answer(gold: Any, answer: str) -> None:
    assert judged(gold, answer).value == 1.0


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (5, "5 or 6"),
        (5, "5 \\text{ or six}"),
        (5, "5 | 6"),
        (5, "5, 6"),
        (5, "5 6"),
        (5, "5 to 6"),
        (5, "5\u20136"),
        (5, "5/6"),
        (5, "5+1"),
        (5, "5^2"),
        (5, "5!"),
        (5, "5\\pi"),
        (5, "5e"),
        (5, "5x"),
        (5, "5\\sqrt{2}"),
        (5, "5\\pm 1"),
        (5, "5 dozen"),
        (5, "5 hundred"),
        (5, "5 \\text{ hundredths}"),
        (5, "5 \\text{ and a half}"),
        (5, "\\text{not } 5"),
        (5, "\\neq 5"),
        (5, "x > 5"),
        (6, "5 = 6"),
        (5, "\\frac{5}{0}"),
        (5, "1e999"),
        (2345, "2\\left(345\\right)"),
        (1250, "(1,250)"),
        (0.05, "5\\% \\text{ decrease}"),
        (123, "1,23"),
        (234, "0,234"),
        (0.12, "12"),
        ("12%", "0.12\\%"),
        ("$5", "\u20ac5"),
        ("5 km", "5 miles"),
        ("5.2 million", "5.2 billion"),
        ("2007 total", "2007"),
        ("12|7.5", "12"),
    ],
)
def test_what_does_not(gold: Any, answer: str) -> None:
    verdict = judged(gold, answer)
    assert (verdict.value, verdict.status) == (0.0, "ok")


@pytest.mark.parametrize(
    ("gold", "answer", "value"),
    [
        (0, "0.004", 0),
        (0, "0.00001", 0),
        (0, "0.000001", 1),
        (1, "1.004", 0),
        (1, "1.0009", 1),
        (94, "94.004", 1),
        (94, "94.006", 0),
        (2007, "2008", 0),
        (0.075, "0.07507", 1),
        (0.075, "0.0752", 0),
    ],
)
def test_the_tolerance_is_relative_and_never_more_than_a_share_of_the_whole(
    gold: float, answer: str, value: float
) -> None:
    assert judged(gold, answer).value == value


@pytest.mark.parametrize(
    ("gold", "answer", "prompt", "value"),
    [
        (94, "94 million", "Revenue (in millions)", 1),
        (5200, "5.2 billion", "Revenue (in millions)", 1),
        (5.2, "5.2 billion", "Revenue (in millions)", 0),
        (94000, "94 million", "Revenue, in thousands", 1),
        (94, "94 million", "Revenue, in thousands", 0),
    ],
)
def test_a_word_for_the_size_is_read_in_the_unit_of_the_table(
    gold: float, answer: str, prompt: str, value: float
) -> None:
    assert judged(gold, answer, prompt).value == value


@pytest.mark.parametrize("gold", [None, "", " ", float("nan"), [], ["5"], {}, "1||2", "|"])
def test_a_right_answer_that_can_be_none_is_an_error(gold: Any) -> None:
    for answer in ("5", "", "None", "nan"):
        verdict = judged(gold, answer)
        assert (verdict.value, verdict.status) == (None, "error")


@given(
    answers=st.lists(st.decimals(0, 10**6, places=2).map(str), min_size=1, max_size=5),
    data=st.data(),
)
def test_table_answers_score_in_any_order_and_not_with_one_changed(
    answers: list[str], data: st.DataObject
) -> None:
    gold = "|".join(answers)
    shuffled = data.draw(st.permutations(answers))
    assert judged(gold, "|".join(shuffled)).value == 1.0
    changed = [f"{float(shuffled[0]) * 3 + 5:.2f}", *shuffled[1:]]
    assert judged(gold, "|".join(changed)).value == 0.0
