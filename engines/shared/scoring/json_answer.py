"""Predicting the input or the output of a program as JSON (CodeI/O). The right value is ``"output":
<json>`` or ``"input": <json>``."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import re
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.text import fenced, last_boxed, literal
from engines.shared.scoring.verdict import Verdict

RELATIVE_TOLERANCE = 1e-6


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last JSON value equals the right one: in a fence, a box or braces, with or without
    the key ``output`` or ``input``.

    Numbers are equal within a relative 1e-6; a truth value, a number and a text are three different
    things.
    """
    key, truth = keyed(str(problem.ground_truth))
    for candidate in candidates(text):
        try:
            _, value = keyed(candidate, key)
        except ValueError:
            continue
        return Verdict(float(same(value, truth)), "ok", candidate)
    return Verdict(0.0, "no_answer", detail="no JSON in the response")


def candidates(text: str) -> list[str]:
    """What may be the answer, best first: the last fence, the last box, the last braces."""
    # CodeI/O's prompt asks for a fence in one sentence and for a box in another: both count.
    found = [content for _, content in fenced(text)][-1:]
    boxed = last_boxed(text)
    found += [boxed.replace("\\{", "{").replace("\\}", "}")] if boxed else []
    braces = last_braces(text)
    return found + ([braces] if braces else [])


def last_braces(text: str) -> str | None:
    """The last outermost ``{...}``."""
    depth, start, found = 0, 0, None
    for position, sign in enumerate(text):
        if sign == "{":
            start = position if depth == 0 else start
            depth += 1
        elif sign == "}" and depth:
            depth -= 1
            found = text[start : position + 1] if depth == 0 else found
    return found


def keyed(text: str, key: str | None = None) -> tuple[str | None, Any]:
    """Key and value of ``"key": value``, of ``{"key": value}``, or of a value alone. ValueError if
    it is no value."""
    # `"output": 3` without braces, as the prompt shows it and the right answer is written.
    pair = re.match(r"""\s*["'](input|output)["']\s*:""", text)
    value = literal("{" + text.strip().rstrip(",") + "}" if pair else text)
    for name in ("output", "input") if key is None else (key,):
        if isinstance(value, dict) and name in value and len(value) == 1:
            return name, value[name]
    return key, value


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values; ``1`` is ``1.0`` but not ``true``."""
    # First, because True == 1 in Python.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other or math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return type(one) is type(other) and bool(one == other)


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
