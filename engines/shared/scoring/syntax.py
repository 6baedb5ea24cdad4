"""What a text of Python defines, uses and does, by its syntax alone: nothing here runs it.

In: texts and syntax trees. Out: names, and yes or no. Called by ``program.py``, ``code.py`` and
``crux.py``.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 200_000
"""Characters; a longer text is no program."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


@dataclass(frozen=True)
class Source:
    """A text that is Python."""

    text: str
    tree: ast.Module
    closed: bool = True
    """False for a block without an end, which may have been cut off."""

    def defined(self) -> set[str]:
        """Names that it binds outside of functions."""
        return {name for statement in self.tree.body for name in bound(statement)}


def source_of(text: str, closed: bool = True) -> Source | None:
    """A text as Python, unindented if that makes it Python; None if it is not."""
    for spelled in (text, textwrap.dedent(text)):
        if (tree := parsed(spelled)) is not None:
            return Source(spelled, tree, closed)
    return None


def parsed(text: str, longest: int = LONGEST) -> ast.Module | None:
    """The syntax tree; None if there is none, or if there are more characters."""
    if len(text) > longest:
        return None
    try:
        with warnings.catch_warnings():
            # About "\d" and the like: the model's spelling, not ours.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def bound(statement: ast.AST) -> Iterator[str]:
    """Names that a statement binds in its own scope; a star import binds "*"."""
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(statement, ast.Name) and isinstance(statement.ctx, ast.Store):
        yield statement.id
    elif not isinstance(statement, ast.Lambda):
        for part in ast.iter_child_nodes(statement):
            yield from bound(part)


def used(text: str) -> set[str]:
    """Global names that a program reads, at any depth; names of a function's own are not among
    them."""
    try:
        todo = [symtable.symtable(text, "program", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    while todo:
        table = todo.pop()
        todo += table.get_children()
        outermost = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (outermost or symbol.is_global()):
                found.add(symbol.get_name())
    return found - BUILTINS


def reads_of(statement: ast.stmt) -> set[str]:
    """Global names that a statement reads."""
    return used(ast.unparse(statement))


def is_stub(statement: ast.stmt) -> bool:
    """Whether a function, or every method of a class, has nothing but a docstring, ``pass``,
    ``...`` or NotImplementedError in it."""
    if isinstance(statement, ast.ClassDef):
        methods = [part for part in statement.body if isinstance(part, FUNCTIONS)]
        return bool(methods) and all(map(is_stub, methods))
    if not isinstance(statement, FUNCTIONS):
        return False
    for part in statement.body:
        says_nothing = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        refuses = isinstance(part, ast.Raise) and "NotImplementedError" in ast.dump(part)
        if not (says_nothing or refuses or isinstance(part, (ast.Pass, ast.Import))):
            return False
    return True


def is_use(statement: ast.stmt) -> bool:
    """Whether a statement uses a program instead of being part of it: an example, a test, the part
    that reads the input."""
    if isinstance(statement, ast.Assert):
        return True
    if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        return False
    if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
        return True
    if reads(statement):
        return True
    # table.append(...) is part of it; print(...) and solve(...) are not.
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name)


def reads(tree: ast.AST) -> bool:
    """Whether a tree has a sign of reading standard input."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in ("input", "stdin", "fileinput"):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "stdin":
            return True
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("open(0"):
            return True
    return False


def acts(tree: ast.Module) -> bool:
    """Whether a program does something when it is run, and not only defines."""
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            return True
        if isinstance(statement, (ast.For, ast.While, ast.If, ast.With, ast.Try)):
            return True
    return False
