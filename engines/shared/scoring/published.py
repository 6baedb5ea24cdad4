"""How GURU's published scorers find an answer and bring it into MATH's normal form.

In: a response, or an answer. Out: text, or None where there is no answer. Called by the ``guru``
versions only. Ours, in ``text.py``, read more, and change when an answer in another dress turns up;
these stay as they were published.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

UNIT = "\\text{ "
"""Text that begins with a space is a unit."""


def closed_braces(text: str, start: int) -> tuple[int, int] | None:
    """Where the first brace after ``start`` opens and where as many are closed as are open; None if
    that never happens."""
    opening = text.find("{", start)
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return opening, position
    return None


def last_box(text: str) -> str | None:
    """Mathematics: what the last ``\\boxed`` holds, without one the last ``\\fbox``. A last box
    that is never closed hides those before it."""
    start = text.rfind("\\boxed")
    if start < 0:
        start = text.rfind("\\fbox")
    braces = closed_braces(text, start) if start >= 0 else None
    return None if braces is None else text[braces[0] + 1 : braces[1]].strip()


def spaced_box(text: str, framed: bool = False) -> str | None:
    """Tables and LiveBench: a ``\\boxed `` with a space holds all up to a dollar sign, else the
    last ``\\boxed{...}``; with ``framed`` also an ``\\fbox{...}``.

    ValueError where the published scorer crashes: a box that is not followed by a brace.
    """
    _, spaced, after = text.rpartition("\\boxed ")
    if spaced:
        return after.partition("$")[0]
    name = "\\boxed" if "\\boxed" in text else "\\fbox"
    start = text.rfind(name)
    braces = closed_braces(text, start) if start >= 0 else None
    if braces is None:
        return None
    if braces[0] != start + len(name) or (name == "\\fbox" and not framed):
        raise ValueError("the published scorer crashes: a box without a brace behind its name")
    return text[braces[0] + 1 : braces[1]]


def last_tagged(text: str, tag: str = "answer", across_lines: bool = False) -> str | None:
    """What the last ``<tag>...</tag>`` on one line holds, or with ``across_lines`` on several."""
    found = all_tagged(text, f"<{tag}>", f"</{tag}>", across_lines)
    return found[-1] if found else None


def all_tagged(text: str, opening: str, closing: str, across_lines: bool = False) -> list[str]:
    """What lies between each opening and the first closing behind it; without ``across_lines`` both
    have to be on one line. As ``re.findall``, which takes the square of a text's length where tags
    are opened and never closed."""
    found: list[str] = []
    position = end = 0
    while (start := text.find(opening, position)) >= 0:
        inside = start + len(opening)
        if end < inside:
            end = text.find(closing, inside)
        if end < 0:
            break
        line_end = text.find("\n", inside, end)
        if line_end < 0 or across_lines:
            found.append(text[inside:end])
            position = end + len(closing)
        else:
            # Openings further on in the line are not closed there either.
            position = line_end
    return found


def unwrapped(answer: str) -> str:
    """What ``\\text{...}`` around a whole answer holds."""
    match = re.search(r"^\\text\{(.+?)\}$", answer)
    return match[1] if match else answer


def normal_form(answer: str) -> str:
    """The normal form of MATH answers. ValueError where the published one fails: two units, a root
    or a fraction of nothing."""
    text = answer.replace("\n", "").replace("\\!", "").replace("\\\\", "\\")
    for fraction in ("tfrac", "dfrac"):
        text = text.replace(fraction, "frac")
    for decoration in ("\\left", "\\right", "^{\\circ}", "^\\circ", "\\$"):
        text = text.replace(decoration, "")
    if text.count(UNIT) > 1:
        raise ValueError("two units")
    text = text.partition(UNIT)[0].replace("\\%", "")
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    # "x=5" and "k =5" are 5.
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = braced_fractions(braced_roots(text).replace(" ", ""))
    return "\\frac{1}{2}" if text == "0.5" else slashed_fraction(text)


def braced_roots(text: str) -> str:
    """``\\sqrt3`` as ``\\sqrt{3}``. ValueError if nothing follows a root."""
    beginning, *parts = text.split("\\sqrt")
    if "" in parts:
        raise ValueError("a root of nothing")
    braced = [part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}" for part in parts]
    return "\\sqrt".join([beginning, *braced])


def braced_fractions(text: str) -> str:
    """``\\frac12`` and ``\\frac1{2}`` with braces; unchanged if a fraction has one sign only.
    ValueError if nothing follows one."""
    beginning, *parts = text.split("\\frac")
    braced = [beginning]
    for part in parts:
        if not part:
            raise ValueError("a fraction of nothing")
        if part[0] == "{":
            braced.append(part)
        elif len(part) == 1:
            return text
        elif part[1] == "{":
            braced.append(f"{{{part[0]}}}{part[1:]}")
        else:
            braced.append(f"{{{part[0]}}}{{{part[1]}}}{part[2:]}")
    return "\\frac".join(braced)


def slashed_fraction(text: str) -> str:
    """``3/4`` as ``\\frac{3}{4}``: two whole numbers and nothing else."""
    whole = r"(0|-?[1-9][0-9]*)"
    match = re.fullmatch(rf"{whole}/{whole}", text)
    return f"\\frac{{{match[1]}}}{{{match[2]}}}" if match else text


def python_or_json(text: str) -> Any:
    """The value that a text spells in Python, else in JSON. ValueError if it is neither."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return json.loads(text)
    except (TypeError, RecursionError, MemoryError) as error:
        raise ValueError("no value") from error
