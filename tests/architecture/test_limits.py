"""How long functions and files may be. The number of arguments and of branches is ruff's to check
(pyproject.toml)."""

from __future__ import annotations

import ast

from tests.support.source_files import ROOT, modules, tree_of

FUNCTION_LINES = 40
FILE_LINES = 400
WHOLE = {
    "engines/shared/scoring/harness.py": "its text is sent into the sandbox as one program",
}
"""Files that may be longer, and why."""


def test_no_function_is_longer_than_a_screen() -> None:
    wrong = []
    for path in modules("orchestrator", "jobs", "engines").values():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno
                if lines > FUNCTION_LINES:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines}")
    assert wrong == []


def test_no_file_is_longer_than_can_be_overlooked() -> None:
    wrong = {
        str(path.relative_to(ROOT)): lines
        for path in modules("orchestrator", "jobs", "engines").values()
        if (lines := len(path.read_text().splitlines())) > FILE_LINES
        and str(path.relative_to(ROOT)) not in WHOLE
    }
    assert wrong == {}
