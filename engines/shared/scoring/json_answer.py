"""Predicting the input or the output of a program as JSON (CodeI/O). The right value is ``"output":
<json>`` or ``"input": <json>``."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import something
from engines.shared.scoring.text import boxes, fenced, literal
from engines.shared.scoring.verdict import Verdict

RELATIVE_TOLERANCE = 1e-6
ZERO_TOLERANCE = 1e-12
"""What sums in float64 leave of 0; also how near a float must come to a whole number."""
EXACT_BELOW = 2**53
"""Whole floats below it are counts, and exact; from it on all floats are whole."""
MOST_CANDIDATES = 50
"""Of each kind, from the end."""
MOST_OBJECTS = 2000


@dataclass(frozen=True)
class Candidate:
    """A part of a response that may be the answer."""

    asked: bool
    """Whether it stands where CodeI/O's prompt asks for it: one sentence asks for a fence, another
    for a box, and both count."""
    end: int
    """Where it ends in the response."""
    text: str


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last JSON value equals the right one: in a fence, a box or braces, with or without
    the key ``output`` or ``input``.

    Whole numbers are compared exactly, others within a relative 1e-6, and with 0 within 1e-12; NaN
        is NaN. A truth value, a number and a text are three different things; keys are texts, as in
        JSON. ValueError if the right answer can be none.
    """
    key, truth = gold_of(problem)
    found: list[tuple[int, int, str, Any]] = []
    for candidate in candidates(text):
        try:
            carries, value = answer_in(candidate.text, key, truth)
        except ValueError:
            continue
        # Best with the key in a fence or box, then with one of the two, then any braces.
        rank = int(candidate.asked) + int(carries)
        found.append((rank, candidate.end, candidate.text, value))
    if not found:
        return Verdict(0.0, "no_answer", detail="no JSON in the response")
    _, _, said, value = max(found, key=lambda one: one[:2])
    return Verdict(float(same(value, truth)), "ok", said)


def gold_of(problem: Problem) -> tuple[str | None, Any]:
    """Key and value of the right answer. ValueError if it can be none: missing, empty, no JSON."""
    value = value_in(str(something(problem.ground_truth)))
    for name in ("output", "input"):
        if isinstance(value, dict) and name in value and len(value) == 1:
            return name, value[name]
    return None, value


def candidates(text: str) -> list[Candidate]:
    """What may be the answer: the last fences, boxes and braces."""
    found = []
    position = 0
    for _, content in fenced(text):
        position = max(position, text.find(content, position) + len(content))
        found.append(Candidate(True, position, content))
    del found[:-MOST_CANDIDATES]
    boxed = [Candidate(True, box.end, box.content(text)) for box in boxes(text)[-MOST_CANDIDATES:]]
    pairs = braces(text)[-MOST_CANDIDATES:]
    for candidate in boxed + [Candidate(False, end, text[start:end]) for start, end in pairs]:
        plain = candidate.text.replace("\\{", "{").replace("\\}", "}")
        found.append(replace(candidate, text=plain))
    return found


def braces(text: str) -> list[tuple[int, int]]:
    """Start and end of what braces enclose: every JSON object, whatever its texts hold, and every
    outermost pair; one that never ends does not count."""
    pairs: list[tuple[int, int]] = []
    opened: list[int] = []
    for sign in re.finditer("[{}]", text):
        if sign[0] == "{":
            opened.append(sign.start())
        elif opened:
            start = opened.pop()
            while pairs and pairs[-1][0] > start:
                pairs.pop()
            pairs.append((start, sign.end()))
    return sorted(pairs + json_objects(text), key=lambda pair: pair[1])


def json_objects(text: str) -> list[tuple[int, int]]:
    """Start and end of every JSON object that is not part of another."""
    decoder = json.JSONDecoder()
    found: list[tuple[int, int]] = []
    # The last ones only: where thousands of braces are never closed, each is tried to the end.
    for opening in list(re.finditer(r'\{\s*"', text))[-MOST_OBJECTS:]:
        if found and opening.start() < found[-1][1]:
            continue
        try:
            _, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            continue
        found.append((opening.start(), end))
    return found


def value_in(text: str) -> Any:
    """The value of ``"key": value``, of ``{"key": value}``, or of a value alone. ValueError if it
    is no value."""
    # `"output": 3` without braces, as the prompt shows it and the right answer is written.
    pair = re.match(r"""\s*["'](input|output)["']\s*:""", text, re.IGNORECASE)
    return literal("{" + text.strip().rstrip(",") + "}" if pair else text)


def answer_in(text: str, key: str | None, truth: Any) -> tuple[bool, Any]:
    """Whether a candidate carries the key, and what it answers. ValueError if it is no value."""
    value = value_in(text)
    for name in ("output", "input") if key is None else (key,):
        # Other keys beside it ("explanation") do not count, unless the right value has the key too.
        own = isinstance(truth, dict) and name in truth
        spelled = spelling_of(name, value)
        if spelled is not None and (len(value) == 1 or not own):
            return True, value[spelled]
    return False, value


def spelling_of(name: str, value: Any) -> str | None:
    """How a value spells one of its keys: as it is asked for, or with capitals; None if it is no
    object that has it."""
    if not isinstance(value, dict):
        return None
    found = [key for key in value if isinstance(key, str) and key.lower() == name]
    return name if name in found else next(iter(found), None)


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values; ``1`` is ``1.0`` but not ``true``."""
    # First, because True == 1 in Python.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return same_number(one, other)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        named, other_named = by_text(one), by_text(other)
        alike = len(one) == len(other) and named.keys() == other_named.keys()
        return alike and all(same(named[name], other_named[name]) for name in named)
    return type(one) is type(other) and bool(one == other)


def same_number(one: float, other: float) -> bool:
    """Equality of two numbers: whole ones exactly, others within the tolerance."""
    if one == other or (one != one and other != other):  # NaN is unequal to itself
        return True
    if isinstance(one, int) and isinstance(other, int):
        return False
    try:
        near, far = sorted((abs(float(one)), abs(float(other))))
    except OverflowError:  # a whole number that no float comes near
        return False
    if near == 0:
        return far <= ZERO_TOLERANCE
    whole = [float(number).is_integer() for number in (one, other)]
    if all(whole) and far < EXACT_BELOW:
        return False
    counted = isinstance(one, int) or isinstance(other, int)
    tolerance = ZERO_TOLERANCE if counted else RELATIVE_TOLERANCE
    return math.isclose(one, other, rel_tol=tolerance)


def by_text(value: dict[Any, Any]) -> dict[str, Any]:
    """A dictionary with its keys as JSON writes them: ``{1: 2}`` is ``{"1": 2}``."""
    spelled = {None: "null", True: "true", False: "false"}
    return {
        spelled[key] if key is None or isinstance(key, bool) else str(key): item
        for key, item in value.items()
    }


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the first fence, or the last braces in it; texts that spell JSON or a truth
    value are read as such.

    Hence a right ``"output": false`` without braces is wrong, and no answer is right where ``null``
    is.
    """
    given = str(problem.ground_truth)
    found = guru_answer(text)
    value, truth = normal(found), normal(guru_truth(given))
    for spellings in (["True", "true", True], ["False", "false", False]):
        if value in spellings and given in spellings:
            return Verdict(1.0, "ok", str(value))
    return Verdict(
        float(value == truth),
        "no_answer" if found is None else "ok",
        None if found is None else str(found),
    )


def guru_answer(text: str) -> Any:
    """The value that GURU reads in a response, or None."""
    blocks = re.findall(r"```(?:json)?\s*([\s\S]*?)```", text)
    clean = (blocks[0] if blocks else text).strip()
    try:
        return guru_inner(json.loads(clean), ("output", "input"))
    except (AttributeError, RecursionError):  # JSON, but no object
        return None
    except ValueError:
        pass
    try:
        braces = guru_braces(clean)
        return guru_inner(json.loads(braces.replace("\n", "")), ("output", "input"))
    except (ValueError, RecursionError):
        return None


def guru_braces(text: str) -> str:
    """The last outermost ``{...}``; empty if there is none."""
    depth, start, found = 0, 0, ""
    for position, sign in enumerate(text):
        if sign == "{":
            start = position if depth == 0 else start
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
            found = text[start : position + 1] if depth == 0 else found
    return found


def guru_inner(value: Any, names: tuple[str, str]) -> Any:
    """What an object holds under the first of two names, else the second, else itself.
    AttributeError if it is no object."""
    return value.get(names[0], value.get(names[1], value))


def guru_truth(text: str) -> Any:
    """The right value as GURU reads it: JSON under its name; Python's spelling with its name."""
    if '"input":' in text or '"output":' in text:
        braced = text.strip().startswith("{") and text.strip().endswith("}")
        text = text if braced else "{" + text + "}"
        with contextlib.suppress(ValueError):
            return guru_inner(json.loads(text), ("input", "output"))
    try:
        return guru_inner(json.loads(text), ("output", "input"))
    except (ValueError, AttributeError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def normal(value: Any) -> Any:
    """GURU's normal form: JSON and truth values inside texts are read."""
    if isinstance(value, str):
        inner = value.strip()
        if inner[:1] + inner[-1:] in ("{}", "[]"):
            try:
                return normal(json.loads(inner))
            except (ValueError, RecursionError):
                pass
        return inner.lower() == "true" if inner.lower() in ("true", "false") else value
    if isinstance(value, list):
        return [normal(item) for item in value]
    return (
        {name: normal(item) for name, item in value.items()} if isinstance(value, dict) else value
    )
