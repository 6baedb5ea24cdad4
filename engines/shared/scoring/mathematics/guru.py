"""Mathematical answers as GURU's published scorer judges them; ``mathematics`` hands this out as
its version ``guru``, and ``table`` borrows the comparison of numbers.

In: a problem and a response. Out: a verdict, 1.0 or 0.0. Two stages, either of which is enough.
First, two normal forms, one of them through pylatexenc's plain text, and where both sides are
formulas in at most two letters, sympy's ``simplify`` of their difference. Second, numbers within
1e-4, a hundredfold either way forgiven, brackets dropped, lists part by part.

Of the published defects these are the widest: the second stage never gets to its symbolic step (a
decorator is used as a context manager), never sees an answer with ``\\pi`` (a misspelt argument),
and drops the base of a number.

Not as published: nothing is evaluated (``algebra``), where sympy's ``parse_expr`` runs Python:
names of sympy's that are no functions of numbers, subscripts, attributes and texts in quotes are no
formulas here. A formula whose ``simplify`` takes longer than the pool gives it has no value, where
the published scorer goes on to its second stage after ten seconds; a number of more than 10,000,000
bits goes on there at once. Gold matrices whose backslash was read as a backspace are not matched
with lists.
"""

from __future__ import annotations

import contextlib
import logging
import math
import re

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics.strict import gold_of
from engines.shared.scoring.published import last_box, normal_form, unwrapped
from engines.shared.scoring.verdict import Verdict

TOLERANCE = 1e-4
UNITS = (
    *("degree", "cm", "centimeter", "meter", "mile", "second", "minute", "hour", "day", "week"),
    *("month", "year", "foot", "feet", "inch", "yard", "liter"),
)
# pylatexenc's plain text, as sympy spells it.
SPELLINGS = {
    "\u221a": "sqrt",
    "\u03c0": "pi",
    "\u221e": "inf",
    "\u222a": "U",
    "\u00b7": "*",
    "\u00d7": "*",
}
SCALES = {"million": "*10^6", "billion": "*10^9", "trillion": "*10^12"}
THOUSANDS = re.compile(r"(\d),(\d\d\d)(?=$|\D)")
FRACTION = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?$")
NO_FORMULA = re.compile(r"\^[{(]|\^[0-9]+\^|\^[0-9][0-9]+")
MOST_LETTERS = 2
LONGEST_ANSWER = 1000
INTERVALS = (
    (re.compile(r"Interval\((.*)\)$"), "[", "]"),
    (re.compile(r"Interval\.Ropen\((.*)\)$"), "[", ")"),
    (re.compile(r"Interval\.Lopen\((.*)\)$"), "(", "]"),
    (re.compile(r"Interval\.open\((.*)\)$"), "(", ")"),
)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: without a box the whole text after the thinking is the answer; 10 % equals
    0.1 and 10; a fraction must be written as the gold one."""
    response = text.rpartition("</think>")[2]
    boxed = last_box(response)
    right = guru_equal(boxed or response, gold_of(problem))
    return Verdict(float(right), "ok" if boxed else "no_answer", boxed)


def guru_equal(answer: str, gold: str) -> bool:
    """Equality of two answers as GURU's mathematics scorer has it."""
    if same_form(answer, gold):
        return True
    if "\\pi" in answer or "\\pi" in gold:
        return False
    try:
        return same_value(answer, gold, TOLERANCE)
    except (ValueError, IndexError, OverflowError):
        return False  # what the published comparison raises is a wrong answer there


def same_form(answer: str, gold: str) -> bool:
    """The first stage: equal normal forms, or a difference that sympy finds to be zero."""
    if whole_normal_form(answer) == whole_normal_form(gold):
        return True
    given, wanted = everyday_form(answer), everyday_form(gold)
    if given == wanted:
        return True
    if not given:
        return False
    parts, wanted_parts = tuple_parts(given), tuple_parts(wanted)
    if len(parts) != len(wanted_parts):
        return False
    if len(wanted_parts) > 1 and (given[0] != wanted[0] or given[-1] != wanted[-1]):
        return False
    return all(map(same_part, parts, wanted_parts))


def whole_normal_form(answer: str) -> str:
    """MATH's normal form of an answer, or the answer where that fails."""
    text = unwrapped(answer.strip()).strip()
    try:
        return normal_form(text)
    except ValueError:
        return text


def everyday_form(answer: str) -> str:
    """The second normal form: no units, no case, LaTeX as plain text, whole numbers without
    decimals and thousands' commas."""
    text = unwrapped(answer)
    for sign in ("\\%", "\\$", "$", "%"):
        text = text.replace(sign, "")
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    for word, factor in SCALES.items():
        text = text.replace(word, factor)
    for unit in UNITS:
        text = re.sub(rf"{unit}(?:es)?s? *(?:\^[0-9]+)?", "", text)
    text = re.sub(r"\^ *\\circ", "", text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    if is_whole(text):
        text = str(round(float(text)))
    if "\\" in text:
        text = plain_text(text)
    # "7 3/4" is a mixed number.
    text = re.sub(r"([0-9]) +([0-9])", r"\1+\2", re.sub("- *", "-", text)).lower()
    return str(int(float(text.replace(",", "")))) if is_whole(without_thousands(text)) else text


def plain_text(latex: str) -> str:
    """LaTeX as plain text, by pylatexenc, in sympy's spelling; as it is where it cannot be
    read."""
    from pylatexenc.latex2text import LatexNodes2Text

    # It warns of every formula that it does not know, on the error stream.
    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)
    # A space before every fraction keeps mixed numbers apart.
    spaced = re.sub(r"\\[td]?frac", lambda _: " \\frac", latex)
    try:
        text: str = LatexNodes2Text().latex_to_text(spaced)
    # pylatexenc raises whatever its macros do on arguments of a strange kind.
    except Exception:
        return latex
    for sign, spelling in SPELLINGS.items():
        text = text.replace(sign, spelling)
    return text.strip()


def is_whole(text: str) -> bool:
    """Whether a text is a number within 1e-7 of a whole one."""
    try:
        value = float(text)
        return abs(value - round(value)) <= 1e-7
    except (ValueError, OverflowError):  # no number; NaN or infinity
        return False


def without_thousands(text: str) -> str:
    """A text without the commas between a number's thousands."""
    while (shorter := THOUSANDS.sub(r"\1\2", text)) != text:
        text = shorter
    return text


def tuple_parts(text: str) -> list[str]:
    """The parts of a tuple or an interval; else the text alone, or nothing if it is empty."""
    text = without_thousands(text)
    if not text:
        return []
    inner = text[1:-1]
    if (
        len(text) > 2
        and text[0] in "()[]"
        and text[-1] in "()[]"
        and not re.search(r"[()\[\]]", inner)
    ):
        return [part.strip() for part in inner.split(",")]
    return [text]


def same_part(answer: str, gold: str) -> bool:
    """Equality of two parts: fractions as they are written, whole numbers only to whole numbers,
    else a difference of zero."""
    if FRACTION.match(answer) and FRACTION.match(gold):
        return answer == gold
    if is_whole(without_thousands(answer)) != is_whole(without_thousands(gold)):
        return False
    difference = f"({gold})-({answer})"
    letters = {sign for sign in re.sub("sqrt|frac", "", difference) if sign.isalpha()}
    if len(letters) > MOST_LETTERS or NO_FORMULA.search(difference):
        return False
    from engines.shared.scoring.algebra import is_zero

    return is_zero(difference.replace("^", "**"))


def same_value(answer: str | float, gold: str, tolerance: float) -> bool:
    """The second stage, and the comparison of a table's numbers. ValueError, IndexError or
    OverflowError where the published comparison raises."""
    given, wanted = as_number(answer), as_number(gold)
    if isinstance(given, str):
        given = given[:LONGEST_ANSWER]
        if isinstance(wanted, str) and same_text(given, wanted):
            return True
    value, target = digits(given), digits(wanted)
    if value is not None and target is not None:
        return any(
            math.isclose(reading, value, rel_tol=tolerance)
            for reading in (target / 100, target, target * 100)
        )
    if given == "":
        return False
    return same_parts(bracketed(str(given).strip()), str(wanted).strip(), tolerance)


def same_text(one: str, other: str) -> bool:
    """Equality without case and outer spaces, or without any spaces."""
    return one.strip().lower() == other.strip().lower() or one.replace(" ", "") == other.replace(
        " ", ""
    )


def as_number(answer: str | float) -> str | float:
    """An answer without a dollar sign before or a percent sign behind a number, and a number with a
    base as the whole number before the underscore, whatever the base."""
    if not isinstance(answer, str):
        return answer
    if re.match(r"\$\d", answer):
        return answer[1:]
    if re.match(r"\d+(\.\d+)?\\?%$", answer):
        return answer.replace("\\%", "").replace("%", "")
    return int(float(answer.partition("_")[0])) if "_" in answer else answer


def digits(answer: str | float) -> float | None:
    """The number that an answer is; None if it is none."""
    text = str(answer)
    text = text.replace("{,}", "") if "{,}" in text else text.replace(",", "")
    with contextlib.suppress(ValueError):
        return float(text)
    return None


def bracketed(answer: str) -> str:
    """sympy's way to write an interval, with brackets."""
    for pattern, opening, closing in INTERVALS:
        if match := pattern.match(answer):
            return f"{opening}{match[1]}{closing}"
    return answer


def same_parts(answer: str, gold: str, tolerance: float) -> bool:
    """Equality without brackets, or part by part."""
    if without_brackets(answer, gold):
        return True
    if answer and gold and answer[0] in "([" and answer[-1] in ")]":
        same_ends = answer[0] == gold[0] and answer[-1] == gold[-1]
        if same_ends and each_same(answer[1:-1], gold[1:-1], tolerance):
            return True
    if "," in answer and "," in gold and answer.count(",") == gold.count(","):
        parts, wanted = (",".join(map(str.strip, side.split(","))) for side in (answer, gold))
        return each_same(parts, wanted, tolerance)
    if answer.startswith("Point") and gold[0] == "(" and gold[-1] == ")":
        return each_same(answer[answer.find("(") + 1 : -1], gold[1:-1], tolerance)
    return False


def without_brackets(answer: str, gold: str) -> bool:
    """Equality without braces and parentheses, and without outer brackets unless the gold ones are
    of the other kind."""
    squared = answer.startswith("[") and answer.endswith("]") and not gold.startswith("(")
    rounded = answer.startswith("(") and answer.endswith(")") and not gold.startswith("[")
    outer = "[]()" if squared or rounded else ""
    bare = [re.sub(r"[{}()]", "", side.strip(outer)) for side in (answer, gold)]
    return bare[0] == bare[1]


def each_same(answer: str, gold: str, tolerance: float) -> bool:
    """Equality of two lists divided by commas, part by part."""
    parts, wanted = answer.split(","), gold.split(",")
    if len(parts) != len(wanted):
        return False
    # All of them, also after a wrong one: the published comparison raises at any part.
    found = [
        same_value(part, target, tolerance) for part, target in zip(parts, wanted, strict=True)
    ]
    return all(found)
