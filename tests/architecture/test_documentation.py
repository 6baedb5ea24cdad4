"""The documentation says what the code says."""

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from orchestrator.cli.app import COMMANDS
from tests.support.paths import ROOT
from tests.support.source_files import modules, tree_of

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_reference_is_what_the_code_says() -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_a_type_is_written_alike_by_every_python() -> None:
    type_name = runpy.run_path(str(ROOT / "scripts" / "reference.py"))["type_name"]
    # Text of 3.11 itself: typing.Optional[typing.Literal["a", "b"]].
    assert type_name(Literal["a", "b"] | None) == "Literal['a', 'b'] | None"
    assert type_name(list[int | Path] | None) == "list[int | Path] | None"
    assert type_name(dict[str, Annotated[int, "above 0"]]) == "dict[str, int]"
    assert type_name(tuple[Path, ...]) == "tuple[Path, ...]"


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"`make ([a-z-]+)`", page.read_text())}
    assert named <= targets


def test_programs_are_told_of_every_command() -> None:
    agents = (ROOT / "AGENTS.md").read_text()
    assert [name for name in COMMANDS if not re.search(rf"`(?:orch )?{name}\b", agents)] == []


def environment_names(tree: ast.Module) -> Iterator[str]:
    """Names that a file looks up in the environment, also by a constant of its own, and those of
    orch and XDG that stand in it anywhere."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        key: ast.expr | None = None
        holder: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, key = node.func.value, node.args[0]
        elif isinstance(node, ast.Compare):
            holder, key = node.comparators[0], node.left
        if isinstance(holder, ast.Attribute) and holder.attr == "environ":
            name = constants.get(key.id) if isinstance(key, ast.Name) else None
            name = key.value if isinstance(key, ast.Constant) else name
            if isinstance(name, str):
                yield name
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"(ORCH|XDG)_[A-Z_]+", text):
            yield text


def test_every_environment_variable_that_is_read_is_documented() -> None:
    found = set()
    texts = set()
    for path in modules("orchestrator", "engines", "jobs").values():
        found |= set(environment_names(tree_of(path)))
        nodes = ast.walk(tree_of(path))
        texts |= {node.value for node in nodes if isinstance(node, ast.Constant)}
    section = (ROOT / "docs" / "reference.md").read_text().split("## Environment variables")[1]
    documented = set(re.findall(r"^\| `(\w+)` \|", section.split("## ")[0], re.MULTILINE))
    assert found - documented == set()
    # A name that stands nowhere in the code is read no more.
    assert documented - texts == set()


def test_figures_have_a_ground_of_their_own() -> None:
    """Their ink is black, and a page may be dark: what is transparent could not be read."""
    for path in sorted((ROOT / "docs/img").glob("*.svg")):
        text = path.read_text()
        # A terminal draws its own window.
        is_terminal = "rich-terminal" in text or "terminal-" in text
        assert is_terminal or '<rect width="100%" height="100%" fill="#ffffff"/>' in text, path
