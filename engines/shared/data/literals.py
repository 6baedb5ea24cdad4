"""Structures that a file holds as text: JSON, or a Python literal as ``str()`` leaves it.

In: the value of one column of a data file. Out: the structure; ValueError or SyntaxError with what
is wrong. Text is parsed and never evaluated. ``problem_files.py`` reads GURU rows with it.
"""

from __future__ import annotations

import ast
import json
import unicodedata
from typing import Any

MISSING = ("None", "nan", "NaN", "NaT", "<NA>")
"""What pandas makes of a missing value when it casts a column to text."""


def literal(value: Any) -> Any:
    """The structure that ``value`` stands for if it is text: JSON first, then a Python literal.
    ValueError or SyntaxError if neither, or if it names a part twice.

    Casting a data frame to text leaves ``array([...], dtype=object)`` and ``nan`` inside of
    literals: they become a list and None.
    """
    if not isinstance(value, str):
        return value
    try:
        # JSON first: its true and null are plain names to Python's parser.
        return json.loads(value, object_pairs_hook=once)
    except json.JSONDecodeError:
        # Blanks at the start would be an indentation error.
        return ast.literal_eval(_Plain().visit(ast.parse(value.strip(), mode="eval").body))


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The parts of a JSON object. ValueError for a name that comes twice: nobody can say which is
    meant."""
    parts = dict(pairs)
    if len(parts) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"names a part twice: {', '.join(twice)}")
    return parts


def nothing_seen(text: str) -> bool:
    """Whether a text shows nothing: white space, and characters without width, such as the zero
    width space."""
    return all(letter.isspace() or unicodedata.category(letter) == "Cf" for letter in text)


class _Plain(ast.NodeTransformer):
    """Rewrites what numpy and pandas print into a plain literal; whatever else is no literal is
    left for literal_eval to refuse."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """``array([...], dtype=...)`` is its list."""
        if isinstance(node.func, ast.Name) and node.func.id == "array" and len(node.args) == 1:
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """``nan`` is a missing value."""
        return ast.copy_location(ast.Constant(None), node) if node.id == "nan" else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Long arrays are printed with their middle left out."""
        if node.value is Ellipsis:
            raise ValueError(
                "an array was shortened to '...' when it was written as text: the values are lost"
            )
        return node


def chat_messages(value: Any) -> list[dict[str, str]]:
    """Chat messages of a prompt: a list of them, the same as text, or a bare question, which
    becomes the user's message.

    ValueError if it is neither, a role or content is no text (None, say), or nothing is asked.
    """
    if isinstance(value, str):
        value = _messages_in(value) or [{"role": "user", "content": value}]
    if not (isinstance(value, list) and value and all(map(_is_message, value))):
        raise ValueError(f"prompt is no list of messages with role and content: {_short(value)}")
    for number, message in enumerate(value, 1):
        for part in ("role", "content"):
            # str() would make the text "None" of it, which the model would be asked.
            if not isinstance(message[part], str):
                raise ValueError(
                    f"the prompt's message {number} has the {part} {_short(message[part])}"
                )
        if not message["role"].strip():
            raise ValueError(f"the prompt's message {number} has a blank role")
    asked = "".join(message["content"] for message in value if message["role"] != "system")
    if nothing_seen(asked) or _says_missing(value):
        raise ValueError(f"prompt asks nothing: {_short(value)}")
    return value


def _says_missing(messages: list[dict[str, str]]) -> bool:
    """Whether a prompt is the word that a data frame writes for a missing text."""
    return len(messages) == 1 and messages[0]["content"].strip() in MISSING


def _is_message(part: Any) -> bool:
    return isinstance(part, dict) and {"role", "content"} <= part.keys()


def _messages_in(text: str) -> list[dict[str, str]] | None:
    """Messages that are written as text; None if it is a question, which may well begin with a
    bracket of its own."""
    # "[1, 2] + [3] = ?" is a question, "[{'role': 'user', 'content': 'Why?'}]" is messages, and
    # {"role": "user", "content": "Why?"} is one.
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        parsed = literal(text)
    except (ValueError, SyntaxError):
        # What was meant as messages must not go to the model as the text of a question.
        names_a_role = "'role'" in text or '"role"' in text
        if text.lstrip().startswith(("[{", "{")) and names_a_role:
            raise ValueError(
                f"prompt looks like messages and cannot be parsed: {_short(text)}"
            ) from None
        return None
    if isinstance(parsed, dict):
        parsed = [parsed] if _is_message(parsed) else []
    if not isinstance(parsed, list) or not parsed:
        return None
    if not all(isinstance(part, dict) and "role" in part for part in parsed):
        return None
    return parsed


def mapping(value: Any, column: str) -> dict[str, Any]:
    """A column that holds a structure with named parts; missing (None, nan or nothing) is empty."""
    if isinstance(value, str) and value.strip().lower() in ("", "nan", "none", "null"):
        return {}
    try:
        parsed = literal(value)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{column} cannot be parsed ({error}): {_short(value)}") from error
    if parsed is None or parsed != parsed:  # nan, which pandas writes for a missing value
        return {}
    if not isinstance(parsed, dict):
        raise ValueError(f"{column} is no structure with named parts: {_short(value)}")
    return parsed


def flag(value: Any, column: str, default: bool) -> bool:
    """A column that holds a truth value, also as text; ``default`` where it is missing."""
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    known = {
        "true": True,
        "1": True,
        "false": False,
        "0": False,
        "": default,
        "none": default,
        "nan": default,
    }
    # A column with missing values is one of floats in pandas: True is written as 1.0 there.
    word = str(value).strip().lower().removesuffix(".0")
    if word not in known:
        raise ValueError(f"{column} is no truth value: {_short(value)}")
    return known[word]


def named(value: Any, column: str) -> str:
    """A column that must hold text, such as the name of a source. ValueError if it is missing or
    blank."""
    if not isinstance(value, str) or nothing_seen(value):
        raise ValueError(f"{column} is {_short(value)}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
