"""Finding the answer in a response, and reading it as data. Nothing here evaluates anything."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from engines.shared.scoring.fences import blocks

LONGEST_LITERAL = 200_000
"""Characters; a longer text is no answer to any problem of the suites."""


def last_boxed(text: str) -> str | None:
    """What the last complete ``\\boxed{...}`` or ``\\fbox{...}`` holds, by matching braces."""
    # From the last one back: a response that was cut off may end in a box that is never closed.
    for start in reversed([match.end() for match in re.finditer(r"\\(?:boxed|fbox)\s*\{", text)]):
        depth = 1
        for position in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[start:position].strip()
    return None


def last_tag(text: str, tag: str = "answer", one_line: bool = False) -> str | None:
    """What the last complete ``<tag>...</tag>`` holds; with ``one_line`` those that span lines do
    not count."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, 0 if one_line else re.DOTALL)
    return str(found[-1]).strip() if found else None


def fenced(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block; of one that is never closed if it is the only
    one, as a second may have been cut off."""
    found = blocks(text)
    closed = [block for block in found if block.closed]
    return [(block.language, block.content.strip()) for block in closed or found]


def literal(text: str) -> Any:
    """The Python or JSON value that a text spells out. ValueError if it is neither, too long or
    nested too deep."""
    if len(text) > LONGEST_LITERAL:
        raise ValueError(f"{len(text)} characters are too many for an answer")
    try:
        with warnings.catch_warnings():
            # SyntaxWarning is about `1is` or "\d": the model's spelling, not ours.
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        pass
    try:
        # After Python: true, false and null are JSON's alone.
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"neither a Python nor a JSON value: {text[:80]!r}") from error


def without_latex(text: str) -> str:
    """An answer in words or a number without ``\\text{}``, dollar signs, escapes and a final full
    stop."""
    inner = re.sub(r"\\(?:text|textbf|textit|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    return (
        re.sub(r"\\[,;! ]", " ", inner)
        .replace("\\", "")
        .replace("$", "")
        .strip()
        .removesuffix(".")
        .strip()
    )
