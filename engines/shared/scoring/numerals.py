"""Numbers in words, "minus twenty-one", "three fourths", "two million", and in other languages'
digits, "0,75".

In: words without LaTeX in lower case, or an answer in the spelling of ``mathematics.latex.tidy``.
Out: the number, or the answer with the number in digits. Called by ``mathematics``.
"""

from __future__ import annotations

import re
from fractions import Fraction

SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NUMBERS = {word: number for number, word in enumerate(SMALL)} | {
    word: 10 * number for number, word in enumerate(TENS, 2)
}
LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
PARTS = {
    "half": 2, "halves": 2, "third": 3, "fourth": 4, "quarter": 4, "fifth": 5, "sixth": 6,
    "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "hundredth": 100,
    "thousandth": 1000,
}  # fmt: skip
SCALES = {"dozen": "12", "hundred": "100"} | {
    word: f"10^{{{len(str(number)) - 1}}}" for word, number in LARGE.items()
}
SCALED = re.compile(
    r"(?P<value>.*[\d}])\s*(?P<text>\\text\s*\{)?\s*"
    rf"(?:(?P<scale>{'|'.join(SCALES)})s?|(?P<part>halves|(?:{'|'.join(PARTS)})s))(?![a-z])\s*"
    r"(?P<rest>.*)"
)
COINS = "quarters"

COMMA = re.compile(r"(?<![\d.,])(\d{1,3}(?:[. ]\d{3})+|\d+),(\d*[1-9])(?![\d.,])")
DOTS = re.compile(r"(?<![\d.,])([1-9]\d{0,2}(?:\.\d{3}){2,}|[1-9]\d?(?:,\d{2})+,\d{3})(?![\d.,])")


def in_words(text: str) -> Fraction | None:
    """The number that words spell out; None if they spell none."""
    words = text.replace("-", " ").split()
    sign = -1 if words[:1] in (["negative"], ["minus"]) else 1
    words = words[1:] if sign < 0 else words
    if not words:
        return None
    over = PARTS.get(words[-1]) or PARTS.get(words[-1].removesuffix("s"))
    if over is None:
        found = cardinal(words)
        return None if found is None else Fraction(sign * found)
    over_one = words[:-1] in (["a"], ["an"])
    parts = 1 if over_one else cardinal(words[:-1])
    return None if parts is None else Fraction(sign * parts, over)


def cardinal(words: list[str]) -> int | None:
    """A whole number by its words; None if they are none, "two three" among them."""
    if len(words) == 1 and words[0].isdecimal():
        return int(words[0])
    total, group, below = 0, 0, 100
    for word in words:
        number = NUMBERS.get(word)
        if number is not None and number < below and (number > 0 or len(words) == 1):
            group += number
            below = 10 if number > 19 else 0  # "twenty-one", and nothing behind "one"
        elif word == "hundred" and 0 < group < 10:
            group, below = 100 * group, 100
        elif word in LARGE and group:
            total, group, below = total + group * LARGE[word], 0, 100
        else:
            return None
    return total + group if words else None


def scaled(text: str) -> str:
    """An answer with the number that a word behind it multiplies by: "2.5 million dollars"."""
    match = SCALED.fullmatch(text)
    if match is None or match["part"] == COINS:
        return text
    word, rest = match["part"], match["rest"]
    part = PARTS.get(word) or PARTS[word.removesuffix("s")] if word else 1
    factor = f"\\frac{{1}}{{{part}}}" if word else SCALES[match["scale"]]
    if match["text"]:
        rest = rest[1:] if rest.startswith("}") else f"\\text{{ {rest}"
    return f"{match['value']}\\cdot {factor}{rest}"


def in_english(answer: str) -> str:
    """A number as it is written in English, where a single one is asked for: "0,75", "1.234,5",
    "1.234.567" and "12,34,567". "7,0" may be two numbers, "1,234" and "1.234" are English already.
    """
    if re.search(r"[(\[;]|\\\{|,\s", answer):
        return answer
    answer = DOTS.sub(lambda match: re.sub("[.,]", "", match[0]), answer)
    if answer.count(",") != 1:
        return answer
    return COMMA.sub(lambda match: f"{re.sub('[. ]', '', match[1])}.{match[2]}", answer)
