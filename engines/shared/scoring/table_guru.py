"""Answers about tables as GURU's published scorer judges them; ``table`` hands this out as its
version ``guru``.

In: a problem and a response. Out: a verdict, 1.0 or 0.0.

Not as published, where the answer is run by ``eval``: only numbers, signs, comparisons, ``and``,
``or``, ``not`` and five functions of one number have a value here; other calls, subscripts, shifts
and names have none, so that ``ground_truth`` in the box is no right answer. A whole number of more
than 10,000,000 bits has none either. A box without a brace behind its name, at which the published
scorer crashes, is an error. Pi in a right answer is not worked out.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.mathematics.guru import same_value
from engines.shared.scoring.published import normal_form, spaced_box
from engines.shared.scoring.verdict import Verdict

TOLERANCE = 1e-3
MOST_BITS = 10_000_000
OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.inv,
    ast.Not: operator.not_,
}

# Of Python's own functions those that take one number; commas are gone by then.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "float": float,
    "int": int,
    "round": round,
}


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: without a box the whole text; arithmetic is worked out, here by a parser; a
    factor of 100 is allowed. ValueError where the published scorer crashes."""
    gold = str(problem.ground_truth).lower()
    response = text.lower().rpartition("</think>")[2]
    boxed = spaced_box(response)
    answer = response
    if boxed is not None:
        # Two backslashes, as it is published: a plain "\text{}" stays.
        answer = re.sub(r"\\\\text\{([^}]*)\}", r"\1", boxed).replace("\\\\", "")
    if "|" not in gold:
        right = same(answer, gold)
    else:
        golds, answers = (
            sorted(part.strip() for part in side.split("|")) for side in (gold, answer)
        )
        right = len(golds) == len(answers) and all(map(same, answers, golds))
    return Verdict(float(right), "ok" if boxed is not None else "no_answer", boxed)


def same(answer: str, gold: str) -> bool:
    """Equality of two answers: as numbers if the answer is arithmetic, else in MATH's normal
    form."""
    # "3:4" is a ratio.
    expression = re.sub(r"[,$]", "", answer.replace("%", " / 100")).replace(":", "/")
    try:
        return same_value(arithmetic(expression.replace("\\", "")), gold, TOLERANCE)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        pass
    try:
        return normal_form(answer) == normal_form(gold)
    except ValueError:
        return answer == gold


def arithmetic(expression: str) -> float:
    """The value of arithmetic in Python's spelling. ValueError, TypeError, ArithmeticError,
    LookupError or RecursionError if it is anything else or has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(expression.lstrip(" \t"), mode="eval").body
    except (SyntaxError, MemoryError) as error:
        raise ValueError("not arithmetic") from error
    # A number in quotes is a number.
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return float(tree.value)
    return float(valued(tree))


def valued(node: ast.expr) -> Any:
    """The value of a part of arithmetic: a number or a truth value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return SIGNS[type(node.op)](valued(node.operand))
    if isinstance(node, ast.BinOp):
        return combined(node.op, valued(node.left), valued(node.right))
    if isinstance(node, ast.Compare):
        return compared(node)
    if isinstance(node, ast.BoolOp):
        return chosen(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return FUNCTIONS[node.func.id](*map(valued, node.args))
    raise ValueError("not arithmetic")


def combined(sign: ast.AST, one: Any, other: Any) -> Any:
    """Two numbers with a sign between them. ValueError if the result would be too large."""
    if isinstance(sign, ast.Pow):
        whole = isinstance(one, int) and isinstance(other, int) and abs(one) > 1
        if whole and one.bit_length() * abs(other) > MOST_BITS:
            raise ValueError("too many digits")
        return one**other
    if type(sign) not in OPERATIONS:
        raise ValueError("not arithmetic")
    return OPERATIONS[type(sign)](one, other)


def compared(node: ast.Compare) -> bool:
    """Whether a chain of comparisons holds."""
    sides = [valued(side) for side in (node.left, *node.comparators)]
    links = zip(node.ops, sides, sides[1:], strict=False)
    return all(combined(sign, one, other) for sign, one, other in links)


def chosen(node: ast.BoolOp) -> Any:
    """The part that ``and`` or ``or`` stops at: "5 or 6" is 5."""
    wanted = isinstance(node.op, ast.Or)
    value: Any = None
    for part in node.values:
        value = valued(part)
        if bool(value) is wanted:
            break
    return value
