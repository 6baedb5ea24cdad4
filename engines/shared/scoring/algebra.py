"""Whether a formula in plain text is zero, as sympy's own reader of text takes it, without ever
evaluating the text.

In: a text such as ``(2x)-(x+x)`` that a model wrote. Out: True or False. Called by
``mathematics.guru``, whose published original hands such texts to sympy's ``parse_expr``, and that
to ``eval``.

sympy's first half is used as it is: it divides the text into tokens and makes of them Python code
such as ``Integer(2)*Symbol('x')``. That code is not run: it is parsed, and its value built here
from the few names and signs that two different letters can spell, which is all that the published
scorer admits.
"""

from __future__ import annotations

import ast
import operator
import tokenize
import warnings
from collections.abc import Callable
from typing import Any

import sympy
from sympy.parsing import sympy_parser

MOST_BITS = 10_000_000
"""Of a whole number; the published scorer's ten seconds are over before it has a larger one."""
MOST_FACTORIAL = 100_000
READING = (
    *sympy_parser.standard_transformations,
    sympy_parser.implicit_multiplication_application,
)
CONSTANTS: dict[str, Any] = {name: getattr(sympy, name) for name in ("pi", "oo", "zoo", "nan", "I")}
# What two different letters spell in sympy, and what "sqrt", "frac" and "!" become.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(sympy, name)
    for name in ("sqrt", "frac", "re", "im", "ln", "csc", "li", "ff", "rf", "jn", "yn")
}
MAKERS: dict[str, Callable[..., Any]] = {
    name: getattr(sympy, name)
    for name in ("Integer", "Float", "Rational", "Number", "Symbol", "Function")
}
# These too are spelt with two letters; sympy's reader has to know them for functions, but nothing
# that they give is a number, or may be worked out here.
UNREAD = ("all", "eye", "fft", "fu", "gff", "hn1", "hn2", "id", "ntt")
FACTORIALS: dict[str, Callable[..., Any]] = {
    name: getattr(sympy, name) for name in ("factorial", "factorial2")
}
OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
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
}


def is_zero(text: str) -> bool:
    """Whether sympy simplifies a formula to zero; False if it is none that it can read.

    Runs as long as ``simplify`` does, so in a process that can be killed.
    """
    try:
        return bool(sympy.simplify(value_of(text)) == 0)
    # What sympy raises on strange formulas is of every kind; the published scorer drops it too.
    except Exception:
        return False


def value_of(text: str) -> Any:
    """A formula as sympy's object. ValueError, or whatever sympy raises, if it is none."""
    names: dict[str, Any] = {**CONSTANTS, **FUNCTIONS, **MAKERS, **FACTORIALS}
    names.update(dict.fromkeys(UNREAD, sympy.sqrt))
    try:
        code = sympy_parser.stringify_expr(text, {}, names, READING)
        with warnings.catch_warnings():
            # SyntaxWarning is about `1or 2`: the model's spelling, not ours.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(code.strip(), mode="eval")
    except (SyntaxError, tokenize.TokenError, MemoryError) as error:
        raise ValueError("not a formula") from error
    return built(tree.body)


def built(node: ast.expr) -> Any:
    """The value of a part of a formula."""
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return CONSTANTS[node.id]
    if isinstance(node, ast.Call):
        return called(node)
    if isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
        return SIGNS[type(node.op)](built(node.operand))
    if isinstance(node, ast.BinOp):
        return combined(node.op, built(node.left), built(node.right))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return combined(node.ops[0], built(node.left), built(node.comparators[0]))
    # "1/2 or 1/3" is its first part that is not zero.
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return next((part for part in map(built, node.values[:-1]) if part), None) or built(
            node.values[-1]
        )
    raise ValueError(f"{type(node).__name__} is no part of a formula")


def combined(sign: ast.AST, one: Any, other: Any) -> Any:
    """Two values with a sign between them."""
    if isinstance(sign, ast.Pow):
        return power(one, other)
    if type(sign) not in OPERATIONS:
        raise ValueError(f"{type(sign).__name__} is no sign of a formula")
    return OPERATIONS[type(sign)](one, other)


def power(base: Any, exponent: Any) -> Any:
    """A power. ValueError if it is a number of too many digits to be worked out in time."""
    if isinstance(base, sympy.Rational) and isinstance(exponent, sympy.Rational):
        bits = max(abs(base.p), base.q).bit_length()
        if bits > 1 and bits * abs(float(exponent)) > MOST_BITS:
            raise ValueError("too many digits")
    return base**exponent


def called(node: ast.Call) -> Any:
    """The value of a call: a number or a symbol that sympy's reader wrote, or a function."""
    if node.keywords:
        raise ValueError("a named argument is no part of a formula")
    if isinstance(node.func, ast.Name) and node.func.id in MAKERS:
        return MAKERS[node.func.id](*map(spelled, node.args))
    arguments = [built(argument) for argument in node.args]
    if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*arguments)
    if isinstance(node.func, ast.Name) and node.func.id in FACTORIALS:
        if arguments[0].is_number and abs(arguments[0]) > MOST_FACTORIAL:
            raise ValueError("too many digits")
        return FACTORIALS[node.func.id](*arguments)
    # "f(x)": an unknown function.
    if isinstance(node.func, ast.Call):
        return called(node.func)(*arguments)
    raise ValueError("this is not called in a formula")


def spelled(node: ast.expr) -> Any:
    """The digits or the name of what sympy's reader wrote, or a number of a repeating decimal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | str):
        return node.value
    if isinstance(node, ast.Call):
        return called(node)
    raise ValueError("not as sympy's reader writes it")
