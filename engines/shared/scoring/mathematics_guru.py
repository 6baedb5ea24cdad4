"""Mathematical answers as GURU's published scorer reads them; ``mathematics`` hands this out as its
version ``guru``, and the table scorer borrows the normal form and the comparison of numbers."""

from __future__ import annotations

import math
import re
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics_gold import gold_of
from engines.shared.scoring.text import last_boxed
from engines.shared.scoring.verdict import Verdict

FRACTION = re.compile(r"(-?)(?:\\frac\{(\d+)\}\{(\d+)\}|(\d+)/(\d+))")
UNITS = re.compile(
    r"(?:degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard|liter)"
    r"(?:es)?s? *(?:\^\d+)?"
)


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: without a box the whole text is the answer; 10 % equals 0.1 and 10; a
    fraction must be written as the gold one.

    The symbolic step is math-verify's instead of sympy's parser, which evaluates what it reads.
    """
    boxed = last_boxed(text)
    return Verdict(
        float(guru_equal(boxed or text.strip(), gold_of(problem))),
        "ok" if boxed else "no_answer",
        boxed,
    )


def guru_equal(answer: str, gold: str) -> bool:
    """Equality of two answers as GURU's mathematics scorer has it."""
    if normal(answer) == normal(gold) or everyday(answer) == everyday(gold):
        return True
    if "\\pi" in answer or "\\pi" in gold:
        return False  # a misspelt argument ends GURU's comparison of answers with pi
    # 2/4 is not 1/2 in GURU's scorer.
    if FRACTION.fullmatch(normal(answer)) and FRACTION.fullmatch(normal(gold)):
        return False
    if (close := numbers_close(answer, gold, 1e-4)) is not None:
        return close
    bare, bare_gold = (re.sub(r"[\[\](){}]", "", side).replace(" ", "") for side in (answer, gold))
    if bare == bare_gold:
        return True
    if "," in bare and "," in bare_gold:
        parts, gold_parts = bare.split(","), bare_gold.split(",")
        return len(parts) == len(gold_parts) and all(map(guru_equal, parts, gold_parts))
    return len(answer) <= 1000 and equivalent(gold, answer)


def numbers_close(answer: str | float, gold: str, tolerance: float) -> bool | None:
    """Whether two numbers are equal within a relative tolerance, a factor of 100 either way
    allowed; None if they are no numbers."""
    # "1{,}000", "1,000", "$5", "50\%".
    try:
        value, wanted = (
            float(re.sub(r"\{,\}|,|^\$|\\?%$", "", str(side).strip())) for side in (answer, gold)
        )
    except ValueError:
        return None
    return any(
        math.isclose(reading, value, rel_tol=tolerance)
        for reading in (wanted / 100, wanted, wanted * 100)
    )


def normal(answer: str) -> str:
    """The usual normal form of MATH answers: spacing, units in text, spellings of fractions and
    roots."""
    text = re.sub(
        r"\\(?:[,;! ]|left|right|\$|%|text\{[^{}]*\}$)|\s|\$|%|\^\\circ|\^\{\\circ\}|\.$",
        "",
        answer,
    )
    text = re.sub(r"\\[td]frac", r"\\frac", text)
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    # TeX allows "\frac12" and "\frac1{72}", and "\sqrt3" below.
    text = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac(\d)\{", r"\\frac{\1}{", text)
    text = re.sub(r"\\sqrt(\w)", r"\\sqrt{\1}", text)
    # "x=5" is 5, ".5" is 0.5, "3/4" is a fraction.
    text = re.sub(r"^[a-zA-Z]{1,2}=", "", text)
    text = re.sub(r"(?<![\d.])\.(\d)", r"0.\1", text)
    if fraction := re.fullmatch(r"(-?)(\d+)/(\d+)", text):
        return f"{fraction[1]}\\frac{{{fraction[2]}}}{{{fraction[3]}}}"
    return "\\frac{1}{2}" if text == "0.5" else text


def everyday(answer: str) -> str:
    """A second normal form: no units, no case, whole numbers without thousands' commas and
    decimals."""
    text = re.sub(r"^\\text\{(.+?)\}$", r"\1", answer)
    text = re.sub(r"\\?[%$]|\^ *\\circ|,\\! *", "", text)
    text = UNITS.sub("", re.sub(r" (?:or|and) ", " , ", text)).strip()
    text = text[1:-1] if text[:1] + text[-1:] == "{}" else text
    text = re.sub(r"- *", "-", text).lower().strip()
    number = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", text)
    return str(int(float(number))) if re.fullmatch(r"-?\d{1,15}(\.0*)?", number) else text


def equivalent(gold: str, answer: str) -> bool:
    """Equality as mathematics, by math-verify."""
    from math_verify import verify

    # The gold answer comes first: for inequalities math-verify's answer depends on the side.
    return bool(verify(parsed(gold), parsed(answer), timeout_seconds=None))


def parsed(answer: str) -> list[Any]:
    """math-verify's readings of an answer."""
    from math_verify import LatexExtractionConfig, parse

    readings: list[Any] = parse(
        f"\\boxed{{{answer}}}", [LatexExtractionConfig()], parsing_timeout=None
    )
    return readings
