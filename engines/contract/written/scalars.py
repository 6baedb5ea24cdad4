"""Scalars of YAML: which text is a number, and what a tag in front of it may say.

What goes in: the text of a scalar and its tag. What comes out: the Python value, or ``NotRead``
with the words of the mistake. Called by ``tree``.

YAML 1.1, which PyYAML reads, has traps that cost cluster hours: ``1e-4`` is a string, ``12:30:00``
a number, ``off`` is false. Here scalars follow the core schema of YAML 1.2.
"""

from __future__ import annotations

import math
import re
from typing import Any

from engines.contract.written.nodes import shown

PREFIX = "tag:yaml.org,2002:"
SCALARS: tuple[tuple[str, str, str], ...] = (
    # "\0" among the first characters stands for an empty scalar.
    (f"{PREFIX}null", r"~|null|Null|NULL|", "~nN\0"),
    (f"{PREFIX}bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    # "010" is ten: YAML 1.1 reads it as eight.
    (f"{PREFIX}int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        f"{PREFIX}float",
        # "1e-4", "3." and ".5": YAML 1.1 wants a dot, and a sign in the exponent ("1.0e-4").
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
)
"""Tag, pattern of the whole scalar, first characters: the core schema of YAML 1.2 without octal
numbers."""
KINDS = [(tag.removeprefix(PREFIX), re.compile(pattern), first) for tag, pattern, first in SCALARS]
PATTERNS = {kind: pattern for kind, pattern, _ in KINDS}

LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""Whole numbers that every file of a run holds: 64 bits, with a sign or without."""
LONGEST_NUMBER = 400
"""Characters of a number: 1e308 written out has 309."""
LONGEST_SCALAR = 100_000
"""Characters of a text."""


class NotRead(ValueError):
    """A scalar that cannot be read; the message is what is wrong and what to do."""


def scalar_value(text: str, tag: str | None, is_plain: bool) -> Any:
    """The value of a scalar: None, a boolean, a number or a text. NotRead says why there is none.

    Args:
        text: the scalar without quotes, escapes resolved.
        tag: what stands in front of it, whole (``tag:yaml.org,2002:int``); None: nothing does.
        is_plain: without quotes and tag, so that its text decides its kind.
    """
    text = whole_characters(text)
    # "!" alone says that it is a text, and the parser in C keeps it to itself.
    if tag is None or tag == "!":
        kind = kind_of(text) if is_plain else "str"
    else:
        kind = tagged_kind(text, tag)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in ("int", "float"):
        return number(text, kind)
    if len(text) > LONGEST_SCALAR:
        raise NotRead(
            f"a text of {len(text)} characters, of which {LONGEST_SCALAR} are read at most: "
            f"{shown(text[:GLIMPSE])}; put it into a file of its own"
        )
    return text


GLIMPSE = 100
"""Characters of a long text that are looked at to show it."""


def kind_of(text: str) -> str:
    """What a scalar without quotes is by its text."""
    first = text[:1] or "\0"
    for kind, pattern, starts in KINDS:
        if first in starts and pattern.fullmatch(text):
            return kind
    return "str"


def tagged_kind(text: str, tag: str) -> str:
    """What the tag of a scalar says that it is, if its text is that."""
    kind = tag.removeprefix(PREFIX)
    if kind == "str":
        return kind
    if kind not in PATTERNS:
        name = tag.replace(PREFIX, "!!")
        raise NotRead(f"tag '{name}' is not known (value {shown(text)}); write it without a tag")
    # A whole number is one of the values of a float.
    if not PATTERNS[kind].fullmatch(text) and not (
        kind == "float" and PATTERNS["int"].fullmatch(text)
    ):
        raise NotRead(f"{shown(text)} is no {kind}, as its tag says; write it without a tag")
    return kind


def number(text: str, kind: str) -> int | float:
    """A number that every file of a run can hold."""
    if len(text) > LONGEST_NUMBER:
        raise NotRead(f"{shown(text)} has {len(text)} digits; no number has more than 400 here")
    if kind == "int":
        whole = int(text, 16) if text.lower().startswith("0x") else int(text)
        if not LOWEST <= whole <= HIGHEST:
            raise NotRead(f"{shown(text)} is beyond whole numbers of 64 bits; put text in quotes")
        return whole
    # YAML writes .inf and .nan, Python inf and nan.
    value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise NotRead(f"{shown(text)} is no number that JSON, and so a run, can hold; leave it out")
    return value


def whole_characters(text: str) -> str:
    """A text without halves of characters: JSON writes those beyond U+FFFF as two escapes. NotRead
    where a half stands alone, or a NUL, which no file name and no argument can hold."""
    if "\0" in text:
        raise NotRead(f"{shown(text)} holds a NUL character; take it out")
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise NotRead(
            f"{shown(text)} holds half of a character (a lone surrogate); write the character"
        ) from None
