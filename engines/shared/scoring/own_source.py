"""What the source of a user's scorer shows without being run.

In: the path of a module and the name of a function. Out: the source, or one line that says why the
module cannot be read or the function cannot be called as a scorer is. ``own.py`` asks it on the
login node; what only loading shows is asked on the node.
"""

from __future__ import annotations

import ast
import importlib.util
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines.contract.config import ConfigError
from engines.contract.words import near

ARGUMENTS = ("data_source", "solution_str", "ground_truth", "extra_info")
"""What a scorer is called with, by name: the signature of verl's ``compute_score``."""

BRANCHES = (ast.If, ast.Try, ast.With, ast.ExceptHandler, ast.For, ast.While)
"""Statements whose own statements belong to the module all the same."""


def source_of(path: Path) -> str:
    """The text of a module. ConfigError if it cannot be read or is no Python."""
    try:
        # As an import reads it: with a byte order mark, or in the encoding that it names.
        source = importlib.util.decode_source(path.read_bytes())
        ast.parse(source)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise ConfigError(f"{path}{line}: {error.msg}") from error
    # The last two are of code that is nested too deeply for Python.
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return source


def check_function(source: str, function: str, path: Path) -> None:
    """ConfigError unless a module's source has the function, with the right arguments where they
    can be seen."""
    meanings: dict[str, list[ast.stmt]] = {}
    for node in at_the_top(ast.parse(source).body):
        for name in names_bound_by(node):
            meanings.setdefault(name, []).append(node)
    found = meanings.get(function, [])
    if not found and "*" not in meanings:
        known = [name for name, nodes in meanings.items() if isinstance(nodes[-1], ast.FunctionDef)]
        raise ConfigError(f"{path}: has no function '{function}'{near(function, known)}")
    refusals = [why_not(node) for node in found]
    # One that is defined in several branches is looked at when it is loaded, if any of them fits.
    if refusals and all(refusals):
        raise ConfigError(f"{path}, line {found[-1].lineno}: {function}{refusals[-1]}")


def at_the_top(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under its ``if``, ``try`` and loops too."""
    for node in statements:
        yield node
        for field in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(node, BRANCHES):
                yield from at_the_top(getattr(node, field, []))


def names_bound_by(node: ast.stmt) -> set[str]:
    """Names that a statement gives a value; ``*`` for any."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name) for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        parts = ast.walk(node)
        return {part.id for part in parts if isinstance(part, ast.Name) and is_stored(part)}
    return set()


def is_stored(name: ast.Name) -> bool:
    """Whether a name is given a value where it stands."""
    return isinstance(name.ctx, ast.Store)


def why_not(node: ast.stmt) -> str:
    """Why what a statement binds cannot be a scorer, to be put behind its name; "" if it can, or if
    only loading shows it, as of what is imported or made by a decorator or a call."""
    if isinstance(node, ast.ClassDef):
        return " is a class; name a function"
    if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.decorator_list:
        return ""
    if isinstance(node, ast.AsyncFunctionDef):
        return " is a coroutine; write def instead of async def"
    if isinstance(node, ast.FunctionDef):
        return " yields; write return instead of yield" if yields(node) else called(node.args)
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Lambda):
        return called(value.args)
    if isinstance(value, ast.Constant | ast.List | ast.Dict | ast.Set | ast.JoinedStr):
        return f" is {reprlib.repr(ast.unparse(value))}; name a function"
    return ""


def yields(function: ast.FunctionDef) -> bool:
    """Whether a function is a generator: whether it yields itself, not in a function inside it."""
    parts: list[ast.AST] = list(function.body)
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            parts.extend(ast.iter_child_nodes(part))
    return False


def called(arguments: ast.arguments) -> str:
    """Why a function with these arguments cannot be called, with the arguments; "" if it can."""
    wrong = wrong_arguments(arguments)
    if not wrong:
        return ""
    return (
        f"({ast.unparse(arguments)}) {wrong}; it is called with the named arguments "
        f"{', '.join(ARGUMENTS)}"
    )


def wrong_arguments(arguments: ast.arguments) -> str:
    """Why a function with these arguments cannot be called with ours, by name; "" if it can."""
    by_name = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    # Of the positional ones the last have the defaults.
    required = positional[: len(positional) - len(arguments.defaults)]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            required.append(argument.arg)
    missing = [name for name in ARGUMENTS if name not in by_name]
    unknown = [name for name in required if name not in ARGUMENTS or name not in by_name]
    if unknown:
        return f"cannot be called without {', '.join(unknown)}"
    if missing and arguments.kwarg is None:
        return f"does not take {', '.join(missing)}"
    return ""
