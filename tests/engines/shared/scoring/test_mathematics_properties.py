"""What holds for every answer: a right one stays right and a wrong one wrong in another spelling."""

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.mathematics import strict
from tests.support.paths import DATA
from tests.support.scores import boxed

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no benchmark files (ORCH_TEST_DATA)")

WRAPPINGS = [
    r"%s",
    r"$%s$",
    r"\(%s\)",
    r"\displaystyle %s",
    r"{%s}",
    r"\,%s\,",
    r"\mathbf{%s}",
    r"\boldsymbol{%s}",
    r"\text{%s}",
    r"\left(%s\right)",
    r"x = %s",
    r"%s.",
    r"\boxed{%s}",
    r"\color{red}{%s}",
    r"{\bf %s}",
    r"**%s**",
    r"\text{The answer is } %s",
    r"\begin{aligned} x &= %s \end{aligned}",
    r"\therefore %s \quad \blacksquare",
]
THOUSANDS = ["%s", "{,}", ",", r"\,", r",\!", " "]
ANY_NUMBER = st.integers(-(10**7), 10**7)


def value(gold: str, answer: str) -> float | None:
    return strict(make_problem("math__math_500", user("?"), gold), boxed(answer)).value


def grouped(number: int, separator: str) -> str:
    return f"{number:,}".replace(",", separator) if separator != "%s" else str(number)


@settings(deadline=None)
@given(ANY_NUMBER, ANY_NUMBER, st.sampled_from(WRAPPINGS), st.sampled_from(THOUSANDS))
def test_whole_numbers_in_any_spelling(right: int, other: int, wrapping: str, comma: str) -> None:
    # In round brackets "1,000" is a pair.
    separator = "{,}" if "(%s" in wrapping and comma in (",", " ") else comma
    assert value(str(right), wrapping % grouped(right, separator)) == 1.0
    assert value(str(right), wrapping % grouped(other, separator)) == float(right == other)


@settings(deadline=None)
@given(st.fractions(max_denominator=500), st.fractions(max_denominator=500), st.integers(1, 9))
def test_fractions_are_equal_if_their_values_are(
    right: Fraction, other: Fraction, factor: int
) -> None:
    gold = rf"\frac{{{right.numerator}}}{{{right.denominator}}}"
    for number in (right, other):
        top, bottom = number.numerator * factor, number.denominator * factor
        for answer in (
            rf"\frac{{{top}}}{{{bottom}}}",
            f"{top}/{bottom}",
            rf"\dfrac{{{top}}}{{{bottom}}}",
        ):
            assert value(gold, answer) == float(number == right)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 9), st.integers(-30, 30))
def test_a_decimal_is_itself_however_small(digits: int, last: int, exponent: int) -> None:
    gold = rf"{digits}{last} \times 10^{{{exponent}}}"
    assert value(gold, f"{digits}{last}e{exponent}") == 1.0
    assert value(gold, f"{digits}{last % 9 + 1}e{exponent}") == 0.0
    assert value(gold, f"{digits}{last}e{exponent + 1}") == 0.0


@settings(deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5, unique=True), st.randoms())
def test_order_counts_in_points_and_not_in_lists_and_sets(items: list[int], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(items)
    random.shuffle(shuffled)
    gold, other = (", ".join(map(str, row)) for row in (items, shuffled))
    assert value(gold, other) == 1.0
    assert value(rf"\{{{gold}\}}", rf"\{{{other}\}}") == 1.0
    assert value(gold, rf"\{{{other}\}}") == 1.0
    assert value(f"({gold})", f"({other})") == float(items == shuffled)
    assert value(rf"\{{{gold}\}}", f"({other})") == 0.0
    assert value(gold, ", ".join(map(str, items[1:]))) == 0.0


@settings(deadline=None)
@given(st.integers(-50, 50), st.integers(1, 50), st.booleans(), st.booleans())
def test_intervals_are_their_inequalities(low: int, length: int, left: bool, right: bool) -> None:
    high = low + length
    gold = f"{'(['[left]}{low}, {high}{')]'[right]}"
    signs = ["<", r"\le"]
    assert value(gold, rf"{low} {signs[left]} x {signs[right]} {high}") == 1.0
    assert value(gold, rf"{low} {signs[not left]} x {signs[right]} {high}") == 0.0
    assert value(gold, rf"{low} {signs[left]} x {signs[right]} {high + 1}") == 0.0


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="0123456789xyeiCm+-*/^_=<>()[]{},;.:|\\ $%!", max_size=30))
def test_no_text_of_signs_is_the_answer_by_chance_or_an_exception(text: str) -> None:
    verdict = strict(make_problem("math__math_500", user("?"), "918273645"), rf"\boxed{{{text}}}")
    assert verdict.value == 0.0


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                r"\frac",
                r"\sqrt",
                r"\text{",
                r"{",
                r"}",
                r"(",
                r")",
                r"[",
                r"]",
                r",",
                r"=",
                r"\le",
                r"\cup",
                r"\in",
                r"\pm",
                r"\{",
                r"\}",
                r"1",
                r"2",
                r"x",
                r"\pi",
                r"^",
                r"_",
                r"\\",
                r"&",
                r"\begin{pmatrix}",
                r"\end{pmatrix}",
                r"\circ",
                r"or",
                r"and",
                r"\approx",
                r"cm",
                r"\infty",
                r"\mathbb{R}",
                r"|",
                r"!",
                r"%",
                r"\ln",
            ]
        ),
        max_size=12,
    )
)
def test_no_heap_of_commands_is_the_answer_or_an_exception(parts: list[str]) -> None:
    verdict = strict(
        make_problem("math__math_500", user("?"), r"\frac{918273645}{2}"),
        rf"\boxed{{{' '.join(parts)}}}",
    )
    assert verdict.value == 0.0


def spellings(gold: str) -> list[str]:
    """Ten ways to write a gold answer that change nothing."""
    sized = gold if r"\left" in gold else gold.replace("(", r"\left(").replace(")", r"\right)")
    return [
        f"${gold}$",
        rf"\({gold}\)",
        rf"\displaystyle {gold}",
        f"{{{gold}}}",
        rf"\boxed{{{gold}}}",
        f"{gold}.",
        rf"\,{gold}\;",
        gold.replace(r"\frac", r"\dfrac"),
        sized.replace(r"\right]", "]").replace(r"\left[", "["),
        rf"\mathbf{{{gold}}}",
    ]


def golds(name: str) -> list[str]:
    return [str(problem.ground_truth) for problem in read_problems(DATA / name)]


def same_answer(gold: str, other: str) -> bool:
    """Whether two golds of different problems say the same but for a unit or a name."""
    bare = [
        side.replace(r"\$", "").replace(r"^\circ", "").replace(r",\!", "").replace(" ", "")
        for side in (gold, other)
    ]
    plain = [side.removeprefix("x=").split(r"\mbox")[0].split(r"\text{cents}")[0] for side in bare]
    plain = [
        side.replace(r"\frac14", r"\frac{1}{4}").replace(r"\frac34", r"\frac{3}{4}")
        for side in plain
    ]
    lists = [sorted(side.strip("()").split(",")) for side in plain]
    return plain[0] == plain[1] or lists[0] == lists[1]


@needs_data
@pytest.mark.parametrize("name", ["math500.jsonl", "aime24.jsonl", "amc23.jsonl"])
@pytest.mark.parametrize(
    "every", [7, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_published_golds_are_right_in_ten_spellings_and_no_other_gold_is(
    name: str, every: int
) -> None:
    answers = sorted(set(golds(name)), key=lambda gold: json.dumps(gold))
    for number, gold in enumerate(answers[::every]):
        for spelling in spellings(gold):
            assert value(gold, spelling) == 1.0, (gold, spelling)
        for other in answers[number % every :: every]:
            # An angle in radians may be given in degrees: 180 degrees are pi.
            as_degrees = "\\pi" in gold and other.endswith("^\\circ")
            if not same_answer(gold, other) and not as_degrees:
                assert value(gold, other) == 0.0, (gold, other)
