"""What an answer is, seen from outside: a number or expression, words, a list, a pair, an interval,
a chain of equations.

In: an answer in the spelling of ``latex.tidy``. Out: a ``Form``, a tree whose leaves
are expressions that ``values`` reads. ``same`` compares two of them.
Brackets, commas and relations are read here and not by latex2sympy, because its sets and pairs lose
their order, its intervals and points are one, and its chains keep one side only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from engines.shared.scoring.mathematics.latex import base_of, closing, is_product, split, words_of
from engines.shared.scoring.mathematics.spellings import FUNCTIONS
from engines.shared.scoring.mathematics.units import NO_UNITS, Unit, split_unit
from engines.shared.scoring.numerals import scaled


@dataclass(frozen=True)
class Quantity:
    """A number or an expression, with its unit if it has one."""

    text: str
    unit: Unit | None = None
    bare: str = ""
    """The text with its unit, where that is written like a variable and may be one: "10 m"."""


@dataclass(frozen=True)
class Based:
    """A number in a base: "52_8"."""

    digits: str
    base: str


@dataclass(frozen=True)
class Words:
    """Words, or letters that name something, such as an angle; in any letter's order they would be
    something else."""

    text: str


@dataclass(frozen=True)
class Time:
    """A time of day, or a ratio that looks like one."""

    text: str
    seconds: int
    half: str = ""
    """"a" or "p", in the morning or after noon; empty where nothing is said."""


@dataclass(frozen=True)
class Many:
    """Several answers, a set, a point or an interval."""

    items: tuple[Form, ...]
    brackets: str = ""
    """As written: "(]"; empty for a list without brackets, "::" for a ratio of three or more."""
    joint: str = ","
    """What stands between the items: ",", "and" or "or"."""

    def joint_fits(self, other: Many, words: bool) -> bool:
        """Whether two lists say the same of their items: "A or B" is not "A and B"; with numbers,
        both list the solutions."""
        return not words or (self.joint == "or") == (other.joint == "or")


@dataclass(frozen=True)
class Chain:
    """Sides and the relations between them."""

    sides: tuple[Form, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """Sets and the operations between them."""

    parts: tuple[Form, ...]
    signs: tuple[str, ...]


Form = Quantity | Based | Words | Time | Many | Chain | Joined

LISTED = re.compile(
    r"[,;]?\s*\\text\s*\{[\s,;]*(?:and|or)\s*\}|[,;]?\s*(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|[,;]"
)
RELATION = re.compile(r"=|<|>|\\(?:le|ge|ne|approx|in|equiv|sim)(?![a-zA-Z])")
OPERATION = re.compile(r"\\(?:cup|cap|setminus|backslash)(?![a-zA-Z])")
SIGNED = re.compile(r"\\(?:pm|mp)(?![a-zA-Z])")
BASED = re.compile(
    r"(?:\(|\\(?:text|overline)\s*\{)?\s*([0-9A-F]+)\s*[)}]?\s*(?:_\s*(\d|b|\{\s*\(?(?:\d+|[a-z]+)\)?\s*\}|(?:\{\s*)?\\text\s*\{[^{}]*\}\s*\}?)"
    r"|\(?((?:\\text\s*\{)?\s*(?:in )?base[\s}]*\w+)\)?)"
)
HALF = r"\s*(?:\\text\s*\{)?\s*([aApP])\.?\s?[mM]\.?\s*\}?"
TIME = re.compile(rf"(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?(?:{HALF})?|(\d{{1,2}}){HALF}")
RATIO = re.compile(r":")
MODULO = re.compile(
    r"(.*?\S)\s*\(?\s*(?:\\[pb]?mod|\\text\s*\{\s*\(?mod\s*\}|mod(?![a-z]))\s*\{?\s*(\w+)\s*\}?\s*\)?"
)
# "P(1,2)" says what P is; a vector "(1,2)^T" is the point.
NAMED_POINT = re.compile(r"(?:[A-Z]|\\text\s*\{([A-Za-z ]+)\})\s*(?=\()")
TRANSPOSED = re.compile(
    r"([(\[][^()\[\]]*,[^()\[\]]*[)\]])\s*\^\s*\{?\s*(?:T|\\top|\\intercal|\\text\s*\{T\})\s*\}?"
)
REALS = ("all real numbers", "all reals", "real numbers", "set of all real numbers", "reals")
NOTHING = ("no solution", "no solutions", "no real solution", "no real solutions", "empty set")
FIGURE = re.compile(
    r"\\(angle|triangle|overline|overrightarrow|overleftrightarrow|vec|widehat|square|parallel)"
    r"\s*(?:\{?\s*(?:\\text\s*\{)?\s*([A-Z]{2,})\s*\}?\s*\}?)"
)
CHOICE = re.compile(r"(?:\\text\s*\{)?\(?([A-J])\)?\}?")
CHOSEN = re.compile(
    r"(?:\\text\s*\{\s*)?(?:\(([A-J])\)|([A-J])\s*[.):])(?:\s*\})?(?:\s+|(?=[\d\\$])|$)(.*)"
)
SAYING_CHOICE = re.compile(
    r"(?:\\text\s*\{\s*)?(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s*:?\s*\}?\s*(\(?[A-J]\)?)\s*\}?"
)
LETTERS = re.compile(r"[^\W\d_]+(?:(?:\s+|['-](?=\w{3}))[^\W\d_]+)*")


def read(text: str) -> Form:
    """The form of an answer."""
    text = text.strip()
    if not text or re.fullmatch(r"\\emptyset|\\\{\s*\\\}", text):
        return Many((), "\\{\\}") if text else Words("")
    if text.startswith("\\text") and closing(text, text.find("{")) == len(text) - 1:
        return read_text(text)
    parts, signs = split(text, LISTED)
    if len(parts) > 1:
        return read_list(parts, signs)
    # "x = \pm 2" is two answers, "\{1 \pm \sqrt{5}, 2\}" a set of three.
    if SIGNED.search(text) and "\\{" not in text:
        plus, minus = (signed(text, minus) for minus in (False, True))
        return Many((read(plus), read(minus)))
    for separator, kind in ((RELATION, Chain), (OPERATION, Joined)):
        parts, signs = split(text, separator)
        if len(parts) > 1:
            sides = tuple(read(part) for part in parts)
            return kind(sides, tuple(signs))
    return read_brackets(text)


def signed(text: str, minus: bool) -> str:
    """One of the two readings of plus-minus signs."""
    return SIGNED.sub(lambda match: "-" if (match[0] == "\\mp") != minus else "+", text)


def read_list(parts: list[str], signs: list[str]) -> Form:
    """Answers between commas, "and" and "or"."""
    words = " ".join(signs)
    joint = "or" if re.search(r"\bor\b", words) else "and" if "and" in words else ","
    items = [read(part) for part in parts if part]
    return items[0] if len(items) == 1 and joint == "," else Many(tuple(flat(items)), "", joint)


def flat(items: list[Form]) -> list[Form]:
    """Items with those in the place of a list that plus-minus made of one of them."""
    found: list[Form] = []
    for item in items:
        found += item.items if isinstance(item, Many) and not item.brackets else [item]
    return found


def read_text(text: str) -> Form:
    """An answer that is one ``\\text{...}``: words, and "A and B" are two of them."""
    content = text[text.index("{") + 1 : -1]
    parts, signs = split(content, LISTED)
    if len(parts) > 1 and all(re.search(r"\w", part) for part in parts):
        return read_list([f"\\text{{{part}}}" for part in parts], signs)
    return worded(content)


def worded(text: str) -> Form:
    """Words, unless they are the name of a set: "all real numbers", "no solution"."""
    words = words_of(text)
    if words in NOTHING:
        return Many((), "\\{\\}")
    return Quantity("\\mathbb{R}") if words in REALS else Words(words)


def read_brackets(text: str) -> Form:
    """A set, point or interval, or one answer in brackets."""
    if transposed := TRANSPOSED.fullmatch(text):
        text = transposed[1]
    name, text = point_and_name(text)
    if name:
        return Chain((read(name), read(text)), ("=",))
    opener = re.match(r"\\\{|\\langle|[(\[]", text)
    if opener is None or closing(text, 0) != len(text) - 1:
        return read_one(text)
    closer = re.search(r"\\\}|\\rangle|[)\]]$", text[-7:])
    end = re.search(r"(?:\\\}|\\rangle|[)\]])$", text)
    if closer is None or end is None:
        return read_one(text)
    inner = text[opener.end() : end.start()].strip()
    parts, _ = split(inner, re.compile("[,;]"))
    brackets = (opener[0] + end[0]).replace("\\langle", "(").replace("\\rangle", ")")
    if opener[0] == "\\{":
        return read_set(inner, brackets)
    if len(parts) == 1:
        return read_one(text) if re.search(r"\\\}", brackets) else read(inner)
    if SIGNED.search(inner):
        plus, minus = (signed(text, minus) for minus in (False, True))
        return Many((read(plus), read(minus)))
    if len(parts) > 2 and brackets == "[]":  # [1, 2, 3] is no interval
        brackets = "()"
    return Many(tuple(read(part) for part in parts), brackets)


def point_and_name(text: str) -> tuple[str, str]:
    """The name before a point, "" if there is none, and the point."""
    name = NAMED_POINT.match(text)
    if name is None or "," not in text or closing(text, name.end()) != len(text) - 1:
        return "", text
    words = (name[1] or "").casefold().split()
    said = any(word in NO_UNITS or word in FUNCTIONS for word in words)
    return ("", text) if said else (name[0].strip(), text[name.end() :])


def read_set(inner: str, brackets: str) -> Form:
    """A set by its elements, or by a condition: "\\{x : x > 2\\}"."""
    condition, _ = split(inner, re.compile(r"\\mid(?![a-zA-Z])|[:|]"))
    if len(condition) == 2 and RELATION.search(condition[1]):
        return read(condition[1])
    parts, _ = split(inner, LISTED)
    return Many(tuple(flat([read(part) for part in parts if part])), brackets)


def read_one(text: str) -> Form:
    """A single answer: a number in a base, words, or an expression with or without a unit."""
    if based := BASED.fullmatch(text):
        return Based(based[1], base_of(based[2] or based[3]))
    if time := TIME.fullmatch(text):
        return time_of(time)
    parts, _ = split(text, RATIO)
    if len(parts) > 2:  # 1:2:3 is 2:4:6
        return Many(tuple(Quantity(f"({part})/({parts[0]})") for part in parts), "::")
    if modulo := MODULO.fullmatch(text):
        return Quantity(modulo[1], Unit(Fraction(1), frozenset({(f"mod {modulo[2]}", 1)})))
    text = scaled(text)
    if figure := FIGURE.fullmatch(text):
        # An angle and a segment read the same from either end, a triangle from any corner.
        letters = min(figure[2], figure[2][::-1])
        if figure[1] == "triangle":
            letters = "".join(sorted(letters))
        return Words(f"{figure[1]} {letters}")
    if LETTERS.fullmatch(text) and not is_formula(text):
        return worded(text)
    value, unit = split_unit(text)
    if unit is not None:
        like_a_variable = not re.search(r"\\text|\\circ|[%$]", text)
        return Quantity(value, unit, text if like_a_variable else "")
    # Words beside numbers that are no unit: a hedge, "2 or so".
    if re.search(r"\\text\s*\{[^{}]*[^\W\d_][^{}]*\}", text) and not re.search("[_^]", text):
        return Words(words_of(text))
    return Quantity(text)


def chosen(answer: str) -> str:
    """The letter of a multiple choice that an answer chooses, "" if it is no single one: "(C) 12"
    chooses C; "(C) or (D)", "(C)x" and "(C) + 1" choose nothing."""
    if saying := SAYING_CHOICE.fullmatch(answer):
        return saying[1].strip("()")
    said = CHOSEN.fullmatch(answer)
    more = r"^\s*(?:[,;+=^_*/<>!|&(]|\\(?:cup|cap|cdot|times|le|ge|in|ne|pm)(?![a-z]))"
    if said and not re.search(
        more + r"|\([A-J]\)|\bor\b|\band\b|^\s*\\text\s*\{\s*[A-J]\s*\}", said[3]
    ):
        return said[1] or said[2]
    return re.sub(r"\\text\s*\{\s*([A-J])\s*\}", r"\1", answer)


def time_of(match: re.Match[str]) -> Time:
    """A time by the groups of ``TIME``."""
    hours, minutes, seconds, half, hour_alone, half_of_it = match.groups(default="")
    total = 3600 * int(hours or hour_alone) + 60 * int(minutes or 0) + int(seconds or 0)
    return Time(match[0], total, (half or half_of_it).casefold())


def is_formula(text: str) -> bool:
    """Whether letters are variables that are multiplied or a function's name, and no words."""
    words = text.split()
    if len(text) == 1 or any(word in FUNCTIONS for word in words):
        return True
    # "xyz", or "x y z" with spaces
    apart = all(len(word) == 1 for word in words)
    return is_product("".join(words)) and (apart or len(words) == 1)
