"""The unit of an answer: centimetres, dollars, degrees, per cent, or what is counted.

In: one answer in the spelling of ``latex.tidy``. Out: the answer without its unit, and
the unit as a factor and powers of base units, so that 1 m and 100 cm are the same length.
``forms`` calls this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from engines.shared.scoring.mathematics.spellings import FUNCTIONS

TABLE = """
m 1: m meter metre
m 1/1000: mm millimeter millimetre
m 1/100: cm centimeter centimetre
m 1/10: dm decimeter decimetre
m 1000: km kilometer kilometre
m 254/10000: in inch inches
m 3048/10000: ft foot feet
m 9144/10000: yd yard
m 1609344/1000: mi mile
s 1: s sec second
s 60: min minute
s 3600: h hr hour
s 86400: day
s 604800: week wk
month 1: month
month 12: year yr
m^3 1/1000: l L liter litre
m^3 1/1000000: ml mL milliliter millilitre cc
g 1: g gram
g 1/1000: mg milligram
g 1000: kg kilogram
lb 1: lb lbs pound
lb 1/16: oz ounce
dollar 1: $ dollar usd buck
dollar 1/100: cent ¢
euro 1: € euro eur
sterling 1: £
yen 1: ¥ yen
rupee 1: ₹ rupee rs
degree 1: degree deg
radian 1: radian rad
percent 1: % percent percentage pct
unit 1: unit
point 1: point pt
ohm 1: ohm
N 1: N newton
J 1: J joule
W 1: W watt
V 1: V volt
Hz 1: Hz hertz
"""

VARIABLES = re.compile("[a-d]{3,4}|[w-z]{3,4}|[b-df-hj-np-tv-z]{3}")
"""Letters behind a number that are multiplied: "5 xyz"."""
SQUARES = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3, "cu": 3}
QUANTITIES = {"mph": "mile/hour", "kmph": "km/hour", "kph": "km/hour"}
SAYING_MORE = (
    "or and not no if maybe possibly perhaps probably either neither but unless else versus vs "
    "than wrong incorrect zero one two three four five six seven eight nine ten half more less "
    "i think sure guess believe hope is are where for when with plus minus times over "
    "approximately about roughly least most negative positive factorial fold pi infinity mod "
    "squared cubed excluded excluding except without fails impossible undefined rejected "
    "invalid false"
)
NO_UNITS = frozenset(SAYING_MORE.split())
"""Words that no unit has: what holds one says more about the number, such as another number."""
LONGEST_UNIT = 4
"""Words; more are a sentence."""

CURRENCIES = "$%€£¥₹¢"
MONEY = re.compile(
    r"^(?P<sign>[+-]?)\s*(?P<unit>(?:\\text\s*\{\s*|\b)(?:USD|US|EUR|GBP)\s*\}?|\\\$|[€£¥₹])\s*"
    r"(?P<value>[+-]?\s*(?=[\d.\\]).*)$"
)
MONEY_AFTER = re.compile(r"^(?P<value>.*[\d}])\s*(?P<unit>\\\$|[€£¥₹])$")
PERCENT = re.compile(r"^(?P<value>.*\S)\s*(?P<unit>\\?%)$")
DEGREES = re.compile(r"^(?P<value>.*\S)\s*\^\s*\\circ\s*(?:\\text)?\{?\s*(?P<unit>[CFK]?)\s*\}?$")
ANGLE_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
IN_TEXT = re.compile(
    r"^(?P<value>.*?\S)\s*(?P<unit>(?:\\frac\s*\{\s*)?\\text\s*\{.*)$",
)
FRACTION = re.compile(
    r"^(?P<value>.*\d)(?P<unit>\s*\\frac\s*\{\s*[A-Za-z]+\s*\}\s*\{\s*[A-Za-z]+\s*\})$"
)
PLAIN = re.compile(
    r"^(?P<value>[+-]?[\d.,/\s]*\d|.*[)}])(?P<unit>\s*[A-Za-z]+(?:[ ./^{}-]+[A-Za-z0-9]+)*\}?)$"
)


@dataclass(frozen=True)
class Unit:
    """Powers of base units, and the factor between this unit and them."""

    factor: Fraction
    powers: frozenset[tuple[str, int]]

    @property
    def modulus(self) -> int | None:
        """The number n of "(mod n)", which is written like a unit; None if it is none."""
        name = next(iter(self.powers))[0]
        return int(name[4:]) if re.fullmatch(r"mod [1-9]\d{0,9}", name) else None

    @property
    def counts_anything(self) -> bool:
        """Whether it is the unit "unit", "square unit", ..., which fits any other."""
        return {name for name, _ in self.powers} == {"unit"}


def table() -> dict[str, tuple[str, int, Fraction]]:
    """Unit -> base unit, its power, and the factor."""
    rows: dict[str, tuple[str, int, Fraction]] = {}
    for line in TABLE.strip().splitlines():
        head, names = line.split(": ")
        base, factor = head.split()
        name, _, power = base.partition("^")
        rows |= {known: (name, int(power or 1), Fraction(factor)) for known in names.split()}
    return rows


UNITS = table()


def split_unit(text: str) -> tuple[str, Unit | None]:
    """An answer without its unit, and the unit; None where it has none that could be one."""
    for pattern in (MONEY, MONEY_AFTER, PERCENT, DEGREES, IN_TEXT, FRACTION, PLAIN):
        match = pattern.match(text)
        if match is None or (pattern is DEGREES and ANGLE_FUNCTION.search(match["value"])):
            continue
        written = match["unit"]
        if pattern is DEGREES:
            written = f"degree{written}"
        unit = plain_unit(written) if pattern in (FRACTION, PLAIN) else unit_of(written)
        if unit is None:
            continue
        sign = match["sign"] if pattern is MONEY else ""
        return f"{sign}{match['value']}".strip().rstrip("\\").strip(), unit
    return text, None


def plain_unit(written: str) -> Unit | None:
    """A unit that is written like a variable: known ones, "10 m^3" and "10cm", or a whole word
    after a space, "10 apples"."""
    apart = written[:1].isspace()
    words = re.findall(r"[A-Za-z]+", written.replace("\\frac", ""))
    known = all(singular(word) in UNITS or word in QUANTITIES or word in SQUARES for word in words)
    first = words[0]
    if known and (apart or len(first) > 1):
        return unit_of(written)
    whole_words = "^" not in written and not any(
        len(word) < 3 or VARIABLES.fullmatch(word) or word in FUNCTIONS for word in words
    )
    return unit_of(written) if apart and whole_words else None


def unit_of(written: str) -> Unit | None:
    """The unit that a text spells out; None if it says something else."""
    bare = re.sub(r"\\text|[{}~]|\\(?=[$%])|\\cdot", " ", written)
    bare = re.sub(r"\\frac\s+(.*?\S)\s\s+(\S.*)", r"\1 / \2", bare)
    bare = re.sub(r"\bper\b", "/", re.sub(r"\bper\s+cent\b", "percent", bare))
    for name, meaning in QUANTITIES.items():
        bare = re.sub(rf"\b{name}\b", meaning, bare)
    tokens = re.findall(r"[^\W\d_]+(?:[.'\u2019-][^\W\d_]+)*|[/$%€£¥₹¢]|\^\s*-?\s*\d|\S", bare)
    words = [part for part in tokens if part[0].isalpha()]
    if len(words) > LONGEST_UNIT or any(word.casefold() in NO_UNITS for word in words):
        return None
    powers = powers_of([part for part in tokens if part not in ".,()"])
    return None if powers is None else in_base_units(powers)


def powers_of(tokens: list[str]) -> dict[str, int] | None:
    """Units and their powers: "square", "cubed", "^2" and "/" are about the one beside them."""
    powers: dict[str, int] = {}
    last, sign, next_power = "", 1, 1
    for part in tokens:
        if part == "/":
            sign = -1
        elif part.casefold() in SQUARES and not (last and part.casefold().endswith("ed")):
            next_power = SQUARES[part.casefold()]
        elif last and ((part[1:] and part[0] == "^") or part.casefold() in SQUARES):
            power = SQUARES.get(part.casefold()) or int(part[1:].replace(" ", ""))
            powers[last] *= power
        elif part[0].isalpha() or part in CURRENCIES:
            last = singular(part)
            powers[last] = powers.get(last, 0) + sign * next_power
            next_power = 1
        else:
            return None
    return powers


def in_base_units(powers: dict[str, int]) -> Unit | None:
    """A unit in base units; None if nothing is left of it."""
    factor, bases = Fraction(1), dict[str, int]()
    for name, power in powers.items():
        base, own_power, times = UNITS.get(name, (name, 1, Fraction(1)))
        factor *= times**power
        bases[base] = bases.get(base, 0) + own_power * power
    found = frozenset((name, power) for name, power in bases.items() if power)
    return Unit(factor, found) if found else None


def singular(word: str) -> str:
    """A unit's name as the table has it: letters that are units by themselves keep their case."""
    if word in UNITS:
        return word
    lower = word.casefold()
    for name in (lower, lower.removesuffix("s"), lower.removesuffix("es")):
        if name in UNITS:
            return name
    return lower.removesuffix("s")
