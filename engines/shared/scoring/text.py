"""Finding the answer in a response, and reading it as data. Nothing here evaluates anything."""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from typing import Any, NamedTuple

from engines.shared.scoring.fences import blocks

LONGEST_LITERAL = 200_000
"""Characters; a longer text is no answer to any problem of the suites."""

WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|emph|math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm"
    r"|[mhf]box|boxed|operatorname|underline|textcolor\s*\{\w*\}|color\s*\{\w*\})\s*\{([^{}]*)\}"
)
"""Commands that change how something looks, and not what it is."""
SWITCH = re.compile(
    r"\\(?:(?:display|text|script)style|left|right|[bB]igg?[lr]?|[lL]arge|LARGE|huge|Huge|bf|rm|sf|tt"
    r"|bfseries|sffamily|ttfamily)(?![a-zA-Z])[ \t]*"
)
DEEPEST_WRAPPING = 8
TYPED = str.maketrans(
    "\u201c\u201d\u2018\u2019\u2010\u2011\u2012\u2013\u2014\u2212\u00a0\u2009\u202f\uff05",
    "\"\"''------   %",
)
"""Printers' quotes, dashes, minus signs and blanks, and what a keyboard has for them."""
STRAIGHT = str.maketrans("\u201c\u201d\u2018\u2019", "\"\"''")
"""Printers' quotes alone."""
JSON_NAMES = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": math.nan,
    "Infinity": math.inf,
}
BOX_TOKEN = re.compile(r"\\(?:boxed|fbox)\s*\{|\\\\(?!boxed|fbox)|\\[{}]|[{}]")
"""Braces that count, boxes among them, and what only looks like a brace: ``\\{``, ``\\}``."""
BARE_BOX = re.compile(
    r"\\(?:boxed|fbox)[ \t]+(?:([^\s{}$][^{}$\n]{0,400}?)[ \t]*(?:\$|\\[)\]])|(\S+))"
)
"""``\\boxed 5``: up to the end of the formula on its line, else one word."""
TAG = r"<\s*{name}(?![\w-])[^<>]*>"
INNER_FENCE = re.compile(
    r"(`{3,}|~{3,})[ \t]*(?:[\w+-]*[ \t]*\r?\n|(?:json|python)?[ \t]*(?=[\[{]))(.*?)\1", re.DOTALL
)


class Box(NamedTuple):
    """Where a box stands in a text: its begin, the begin of what it holds, its end."""

    start: int
    inside: int
    end: int

    def content(self, text: str) -> str:
        """What the box holds."""
        return text[self.inside : self.end - 1].strip()


def last_boxed(text: str) -> str | None:
    """What the last ``\\boxed{...}`` or ``\\fbox{...}`` that is closed and holds anything holds.

    Escaped braces do not count as braces. ``\\boxed 5`` counts where no box with braces holds
    anything. None if there is no such box.
    """
    found = boxes(text)
    if found:
        return found[-1].content(text)
    bare = [match[1] or match[2] for match in BARE_BOX.finditer(text)]
    return bare[-1].rstrip(".,;:") or None if bare else None


def boxes(text: str) -> list[Box]:
    """Every box that is closed and holds anything, in the order of their begins. A response that
    was cut off may end in one that is never closed."""
    found = []
    # One pass with a stack of open braces: None for a plain one, else the box's.
    opened: list[re.Match[str] | None] = []
    for token in BOX_TOKEN.finditer(text):
        if token[0] == "{":
            opened.append(None)
        elif token[0] == "}":
            box = opened.pop() if opened else None
            if box is not None and re.compile(r"\S").search(text, box.end(), token.start()):
                found.append(Box(box.start(), box.end(), token.end()))
        elif token[0].endswith("{") and len(token[0]) > 2:
            opened.append(token)
    return sorted(found)


def tagged(text: str, tag: str = "answer") -> str | None:
    """What the last ``<tag>...</tag>`` that holds anything holds; without the fence if there is one
    in it.

    The tag may be in any case and have attributes. None without such a pair, ``""`` if all are
    empty.
    """
    opening = re.compile(TAG.format(name=tag), re.IGNORECASE)
    pieces = re.split(TAG.format(name=rf"/\s*{tag}"), text, flags=re.IGNORECASE)
    found = None
    for piece in reversed(pieces[:-1]):
        # The last opening: "put it between <answer> tags: <answer>5</answer>".
        openings = list(opening.finditer(piece))
        if not openings:
            continue
        found = piece[openings[-1].end() :].strip()
        if found:
            return unfenced(found)
    return found


def unfenced(text: str) -> str:
    """The content of the last fence in a text; the text itself if there is none."""
    found = INNER_FENCE.findall(text)
    return str(found[-1][1]).strip() if found else text


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
    # JSON first: Python reads its "\/" and the two halves of "\ud83d\ude00" as other texts.
    for read in (json.loads, python_value, mixed_value):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    raise ValueError(f"neither a Python nor a JSON value: {text[:80]!r}")


def python_value(text: str) -> Any:
    """The value that a text spells in Python. ValueError or whatever Python's reader raises if it
    is none."""
    with warnings.catch_warnings():
        # Of `1is` and "\d" (a DeprecationWarning up to Python 3.11): the model's spelling.
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.literal_eval(text.strip())


def mixed_value(text: str) -> Any:
    """The value that a text spells half in Python and half in JSON: ``{'a': true,}``. As in
    ``python_value``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = ast.parse(text.strip(), mode="eval")
    for node in ast.walk(tree):
        for name, part in ast.iter_fields(node):
            if isinstance(part, list):
                part[:] = [constant(item) for item in part]
            else:
                setattr(node, name, constant(part))
    return ast.literal_eval(tree)


def constant(node: Any) -> Any:
    """A node of a syntax tree; that of a value if it is one of JSON's names."""
    is_name = isinstance(node, ast.Name) and node.id in JSON_NAMES
    return ast.copy_location(ast.Constant(JSON_NAMES[node.id]), node) if is_name else node


def dressed(text: str, opening: str, closing: str) -> list[str]:
    """What may be data in a text, the likeliest first: all of it; what its last box holds; from the
    first opening bracket to the last closing one, which leaves out markup and a sentence before it.
    """
    found = []
    for part in (text, last_boxed(text) or ""):
        start, end = part.find(opening), part.rfind(closing)
        found += [part, part[start : end + 1] if 0 <= start < end else ""]
    straight = [part.translate(STRAIGHT) for part in found]
    return [part.strip() for part in dict.fromkeys([*found, *straight]) if part.strip()]


def without_latex(text: str) -> str:
    """An answer in words, a letter or a number without LaTeX's type (``\\text{}``, ``\\mathbf{}``,
    ``\\displaystyle``, ``\\left(``), dollar signs, escapes and a final full stop."""
    inner = SWITCH.sub("", unwrapped(text))
    spaced = re.sub(r"\\(?:[,;:! ]|q?quad(?![a-zA-Z]))|~", " ", inner)
    bare = spaced.replace("\\", "").replace("$", "")
    return bare.strip().removesuffix(".").strip()


def unwrapped(text: str) -> str:
    """A text whose ``\\text{...}``, ``\\mathbf{...}``, ``\\boxed{...}`` and the like, also one in
    another, are what they hold."""
    for _ in range(DEEPEST_WRAPPING):
        inner = WRAPPER.sub(r"\1", text)
        if inner == text:
            break
        text = inner
    return text
