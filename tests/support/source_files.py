"""The product's Python files as the tests of its architecture read them: what each imports,
wherever the import stands."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from tests.support.paths import ROOT


@functools.cache
def modules(*packages: str) -> dict[str, Path]:
    """Dotted name -> file of every module below the packages."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join(parts)] = path
    return found


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text())


def imported_names(path: Path) -> list[tuple[str, int, bool]]:
    """Dotted name, line, and whether it stands inside a function, of all that a file imports.

    Imports inside functions and under TYPE_CHECKING count like those at the top.
    """
    inside = {
        id(below)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for below in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                found.append((f"{node.module}.{alias.name}", node.lineno, id(node) in inside))
    return found


def module_named(name: str, known: dict[str, Path]) -> str | None:
    """The module that an imported name lies in: itself, or the one that defines it."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def import_graph(*packages: str) -> dict[str, set[str]]:
    """Module -> the modules of the packages that it imports."""
    known = modules(*packages)
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = {module_named(name, known) for name, _, _ in imported_names(path)}
        graph[module] = {target for target in targets if target and target != module}
    return graph


def text_constants(path: Path) -> list[tuple[str, int]]:
    """Every text constant of a file that is no docstring, with its line; parts of f-strings too."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.value, node.lineno)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]
