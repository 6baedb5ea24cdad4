"""A number as people write it in an answer: in LaTeX or plain, with thousands in any style, a unit,
a currency, a percent sign or a word such as "million".

In: one answer as text. Out: an ``Amount``, or None if it is not one number. Called by ``table.py``.
What has more to it than a number and its unit ("2 or 3", "5 dozen", "5x") is no amount.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from engines.shared.scoring.mathematics.dressing import DOUBTFUL
from engines.shared.scoring.numerals import in_words
from engines.shared.scoring.text import SWITCH, TYPED, unwrapped

SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12} | {
    # As the finance pages abbreviate them.
    "k": 1e3, "m": 1e6, "mn": 1e6, "mm": 1e6, "mln": 1e6, "b": 1e9, "bn": 1e9, "tn": 1e12,
}  # fmt: skip
CURRENCIES = {
    "$": "dollar", "dollar": "dollar", "usd": "dollar", "€": "euro", "euro": "euro", "eur": "euro",
    "£": "pound", "gbp": "pound", "¥": "yen", "yen": "yen", "jpy": "yen", "₹": "rupee",
    "inr": "rupee", "rs": "rupee", "rupee": "rupee", "cent": "cent",
}  # fmt: skip
# Words that change the number, or add another one.
CHANGING = """or and to not than nor but plus minus over under below above negative between versus
    decrease decreased decline declined loss drop dropped lower less fewer down reduction fell
    zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
    sixty seventy eighty ninety half halves third thirds fourth fourths fifth fifths tenth tenths
    hundredth hundredths thousandth thousandths dozen score squared cubed factorial point pi mod
    vs possibly maybe perhaps probably"""
NO_UNITS = frozenset(CHANGING.split())
MOST_UNIT_WORDS = 5
LONGEST_AMOUNT = 300
"""Characters; nobody writes a number and its unit with more."""
ONE_LETTER_UNITS = "ghlstvw"
"""An "e", "i" or "x" behind a number multiplies it."""
STYLE = re.compile(r"(?:\\(?:display|text)style(?![a-zA-Z])\s*)+")
DECIMAL = r"(?:\d+(?:\.\d*)?|\.\d+)"
NUMBER = (
    rf"(?:(?P<whole>\d+) (?P<part>\d+) ?/ ?(?P<of>\d+)"
    rf"|(?P<over>{DECIMAL}) ?/ ?(?P<under>{DECIMAL})"
    rf"|(?P<plain>{DECIMAL})(?:[eE](?P<e>[-+]?\d+)| ?\* ?10\^\{{?(?P<power>[-+]?\d+)\}}?)?)"
)
CURRENCY = r"(?:(?:US|C|A|HK)?[$€£¥₹]|(?:USD|EUR|GBP|JPY|INR|Rs\.?)(?![A-Za-z]))"
WRITTEN = re.compile(
    rf"(?P<sign>[-+]?) ?(?P<money>{CURRENCY})? ?(?P<sign2>[-+]?) ?{NUMBER}(?P<rest>(?!\d).*)", re.I
)
# "(1,250)" and "$(1,250)": a negative number in a balance sheet.
BRACKETED = re.compile(rf"({CURRENCY})? ?\(([^()]*\d[^()]*)\)([^()\d]*)", re.I)
# "\left(5\right)" is typeset mathematics: the number itself.
SIZED = re.compile(r"([-+]?)\\left ?\(([^()]*)\\right ?\)(?= *(?:$|\\?%|\\?[a-zA-Z]))")
FRACTION = re.compile(r"\\[dtc]?frac *(?:\{([^{}]*)\}|(\d)) *(?:\{([^{}]*)\}|(\d))")
# "x =", "Total \approx": words, and what says that the number follows.
RELATION = re.compile(r"(?:[a-zA-Z][a-zA-Z_ ]*)?(?:=|≈|~|\\approx|\\simeq|\\sim)+ *")
# "The total is 5", "Answer: 5"; "The answer is not 5" stays "not 5".
ANNOUNCED = re.compile(
    r"[a-zA-Z][a-zA-Z' ]* (?:is|are|was|were|equals)(?: equal to)?:? +|[A-Za-z ]*[a-z]{3}: +"
)
YEAR = re.compile(r"(?:in +)?(?:the +)?(?:(?:fiscal )?year|fy|fiscal)? *(?=(?:19|20)\d\d$)", re.I)
NEGATIVE = re.compile(r"(?:negative|minus) +(?=[$\d.])", re.I)
COLOUR = re.compile(r"\\(?:text)?color *\{\w*\}")
SHARE = re.compile("[\u00bc-\u00be\u2150-\u215e]")
ABOUT = re.compile(r"(?:approximately|approx\.?|about|around|roughly) +", re.I)
PERCENT = re.compile(r"(?<![a-z])(?:per ?cent|pct\.?|percentage(?: points?)?|pp)(?![a-z])", re.I)
DEGREES = re.compile(r"\^ ?(?:\\circ|\{ ?\\circ ?\})|°")
SPACES = re.compile(r"(?:\\[,;: ]|\\q?quad(?![a-zA-Z])|~|\s)+")
# Groups of three, all divided by the same mark; the first group does not begin with a zero.
THOUSANDS = re.compile(
    r"(?<![\d.,'])[1-9]\d{0,2}(?:(?:,\d{3})+(?![\d',])|(?:'\d{3})+(?![\d',])"
    r"|(?: \d{3})+(?! ?[\d/]|[',]\d))"
)
REST = re.compile(r"([a-zA-Z]+)\.?(?:\^\{?[23]\}?)?|([%$€£¥₹])|\s+|[-/](?=[a-zA-Z$€£¥₹])|(.)")


@dataclass(frozen=True)
class Amount:
    """A number and what stands beside it."""

    value: float
    percent: bool = False
    scale: float = 1.0
    """What a word such as ``million`` multiplies ``value`` by."""
    currency: str = ""
    unit: tuple[str, ...] = ()
    """Other words, in lower case and without a plural's s."""


def amount(text: str) -> Amount | None:
    """The number that a text is; None if it is none, or more than one."""
    if len(text) > LONGEST_AMOUNT:
        return None
    plain = typed(text)
    bracketed = BRACKETED.fullmatch(plain)
    if bracketed is None:
        number = in_words(plain.casefold()) if plain[:1].isalpha() else None
        return parsed(plain) if number is None else Amount(float(number))
    money, inner, rest = bracketed.groups(default="")
    found = parsed(f"{money}{inner.strip()}{rest}")
    # "(-5)" is minus five, not five.
    if found is None or re.search("[-+]", inner):
        return found
    return replace(found, value=-found.value)


def typed(text: str) -> str:
    """A number as a keyboard writes it: without LaTeX's type and blanks, with one division for a
    fraction, without marks between thousands, ``x =`` and "about"."""
    plain = SHARE.sub(share, COLOUR.sub("", text.translate(TYPED)))
    plain = re.sub(r"\{([,.'])\}", r"\1", plain).replace(r"\!", "")
    plain = re.sub(r"\\(?:times|cdot)(?![a-zA-Z])", "*", unwrapped(plain)).replace("\u00d7", "*")
    plain = DEGREES.sub(" degrees", unwrapped(FRACTION.sub(r" \1\2/\3\4 ", plain)))
    plain = number_part(plain.strip().strip('*_`" ').removesuffix(".").strip())
    plain = SPACES.sub(" ", SWITCH.sub("", plain)).replace(r"\%", "%").replace(r"\$", "$").strip()
    if re.fullmatch(r"\{[^{}]*\}", plain):
        plain = plain[1:-1].strip()
    plain = PERCENT.sub("%", plain)
    return THOUSANDS.sub(lambda number: re.sub("[,' ]", "", number[0]), plain)


def share(match: re.Match[str]) -> str:
    """One character that is a fraction, as three."""
    over, _, under = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return f" {over}/{under}"


def number_part(plain: str) -> str:
    """A text without the dollar signs of a formula, "The total is", ``x =``, "about", the word
    before a year, and sized parentheses; with a minus sign for the word."""
    formula = re.fullmatch(r"\$(.*)\$|\\\((.*)\\\)", plain)
    if formula is not None:
        plain = (formula[1] or formula[2] or "").strip()
    announced = ANNOUNCED.match(plain)
    if announced and not DOUBTFUL.search(announced[0]):
        plain = plain[announced.end() :]
    for beginning in (STYLE, RELATION, ABOUT, YEAR):
        match = beginning.match(plain)
        plain = plain[match.end() :] if match else plain
    plain = NEGATIVE.sub("-", plain) if NEGATIVE.match(plain) else plain
    return SIZED.sub(r"\1\2", plain) if SIZED.match(plain) else plain


def parsed(plain: str) -> Amount | None:
    """The number and the words of a typed text."""
    match = WRITTEN.fullmatch(plain)
    number = valued(match) if match else None
    if match is None or number is None:
        return None
    found = Amount(number, currency=currency_of(match["money"] or ""))
    units = re.sub(r"[()]", " ", match["rest"])
    for word, sign, other in REST.findall(units):
        known = with_word(found, word.lower() or sign) if not other else None
        if known is None:
            return None
        found = known
    too_long = len(found.unit) > MOST_UNIT_WORDS
    return None if too_long or (found.percent and found.scale != 1.0) else found


def with_word(found: Amount, word: str) -> Amount | None:
    """An amount with one more word or sign behind its number; None if that cannot be a unit."""
    stem = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
    if stem in ("", "us"):  # a blank; "US dollars"
        return found
    if stem == "%":
        return None if found.percent else replace(found, percent=True)
    if stem in SCALES:
        return replace(found, scale=SCALES[stem]) if found.scale == 1.0 else None
    if stem in CURRENCIES:
        return replace(found, currency=CURRENCIES[stem])
    if word in NO_UNITS or (len(word) == 1 and word not in ONE_LETTER_UNITS):
        return None
    return replace(found, unit=(*found.unit, stem))


def valued(match: re.Match[str]) -> float | None:
    """The number of a match; None for a division by zero."""
    sign = -1.0 if (match["sign"] == "-") != (match["sign2"] == "-") else 1.0
    if match["plain"]:
        # As one text: 10.0**999 would be an error, "1e999" is infinite.
        return sign * float(f"{match['plain']}e{match['e'] or match['power'] or 0}")
    whole, over, under = (
        match["whole"] or 0,
        match["part"] or match["over"],
        match["of"] or match["under"],
    )
    if float(under) == 0:
        return None
    return sign * (float(whole) + float(over) / float(under))


def currency_of(written: str) -> str:
    """The name of a currency before a number; empty if there is none."""
    known = written.lower().removesuffix(".")
    return CURRENCIES.get(known) or CURRENCIES.get(known[-1:], known)
