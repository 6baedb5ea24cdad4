"""The tests lie where their product lies, and share what they share through tests/support alone."""

import ast
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("test_*.py"))


def modules(path: Path) -> set[str]:
    """Modules of the tests that a file imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in found if name.split(".")[0] == "tests"}


def functions(path: Path) -> set[str]:
    return {
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
    }


def test_no_test_file_imports_another_one() -> None:
    wrong = {
        (str(path.relative_to(TESTS)), name)
        for path in FILES
        for name in modules(path)
        if name.split(".")[1:2] != ["support"]
    }
    assert wrong == set()


def test_support_imports_nothing_but_support() -> None:
    wrong = {
        (path.name, name)
        for path in (TESTS / "support").glob("*.py")
        for name in modules(path)
        if not name.startswith("tests.support.")
    }
    assert wrong == set()


@pytest.mark.parametrize("shared", ["cli", "builders", "models", "node"])
def test_what_support_has_is_not_written_again(shared: str) -> None:
    has = functions(TESTS / "support" / f"{shared}.py")
    again = {
        (str(path.relative_to(TESTS)), name) for path in FILES for name in functions(path) & has
    }
    assert again == set()


def test_every_folder_of_tests_is_one_of_the_product() -> None:
    folders = {
        file.parent.relative_to(TESTS)
        for part in ("orchestrator", "engines")
        for file in (TESTS / part).rglob("test_*.py")
    }
    assert {str(folder) for folder in folders if not (ROOT / folder).is_dir()} == set()
