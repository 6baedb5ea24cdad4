"""What ``--json`` prints is one object with a name and a version, as `orch schema` says of it."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from orchestrator.api.json_documents import VERSIONS
from orchestrator.cli.app import COMMANDS
from orchestrator.cli.json_kinds import KINDS
from orchestrator.cli.json_schemas import document_schema
from tests.support.cli import SMALL, describe, orch

OPEN = {"ResultRow"}
"""Objects with keys of the user's own: the axes."""

SILENT = {
    "init": "writes a file",
    "watch": "is for eyes",
    "serve": "answers with the documents of the other commands",
    "logs": "prints a log as it is",
    "schema": "prints JSON by itself",
    "data": "writes files",
    "pull": "copies files, and says how far it is",
    "track": "sends what trackers kept, and says what it sends",
}
"""Commands without --json, and why."""

STAGES = f"""
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.5, 0.25]}},
          metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  check: {{command: "true", when: {{metric: accuracy, of: train, at_least: 0.4}}, {SMALL}}}
  bad: {{command: "sh -c 'exit 3'", {SMALL}}}
"""


def closed(name: str) -> dict[str, Any]:
    """The schema of a document that forbids keys which it does not name."""
    schema = copy.deepcopy(document_schema(name))
    for title, part in schema["$defs"].items():
        if title not in OPEN:
            part["additionalProperties"] = False
    return schema


def held(text: str, name: str) -> dict[str, Any]:
    """A document, once it is as its schema says and no key is missing there."""
    found: dict[str, Any] = json.loads(text)
    assert list(found)[:2] == ["schema", "version"]
    assert (found["schema"], found["version"]) == (f"orch/{name}", VERSIONS[name])
    jsonschema.validate(found, closed(name))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    (made / "train.py").write_text(
        "import sys, orch\n"
        "orch.progress(1, 1, loss=0.5)\n"
        "orch.result('accuracy', 1 - float(sys.argv[1]), n=4)\n"
    )
    (made / "home").mkdir()
    file = describe(made, STAGES)
    launched = orch(made, "launch", file, "--cluster", "local", "--json")
    assert held(launched.stdout, "status")["jobs"][0]["state"] == "PENDING"
    assert orch(made, "wait").returncode == 1
    return made


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("plan trial.yaml", "plan"),
        ("check trial.yaml --cluster local", "check"),
        ("status", "status"),
        ("wait --timeout 0", "wait"),
        ("why bad", "why"),
        ("why check", "why"),
        ("costs", "costs"),
        ("page", "files"),
        ("results", "results"),
        ("diff trial trial", "diff"),
        ("list", "list"),
        ("list --experiments", "experiments"),
        ("profile list", "profiles"),
        ("cancel", "changed"),
        ("advance", "changed"),
    ],
)
def test_a_document_is_as_its_schema_says(folder: Path, words: str, name: str) -> None:
    said = orch(folder, *words.split(), "--json")
    assert said.returncode in (0, 1), said.stderr
    found = held(said.stdout, name)
    if name == "results":
        assert {row["lr"]: row["value"] for row in found["rows"]} == {0.5: 0.5, 0.25: 0.75}
    if words == "why check":
        assert found["gate"]["decision"] == "run"


def test_problems_are_told_in_the_document_and_by_the_exit_code(tmp_path: Path) -> None:
    file = describe(tmp_path, f"  a: {{command: no-such-program-4711, {SMALL}}}\n")
    said = orch(tmp_path, "check", file, "--cluster", "local", "--json")
    assert said.returncode == 2
    assert "no-such-program-4711" in held(said.stdout, "check")["problems"][0]


def test_every_command_that_shows_something_has_json() -> None:
    without = set()
    for name in COMMANDS:
        entry = getattr(importlib.import_module(f"orchestrator.cli.commands.{name}"), name)
        functions = [entry]
        if isinstance(entry, typer.Typer):
            functions = [one.callback for one in entry.registered_commands]
        if not any("as_json" in inspect.signature(one).parameters for one in functions):
            without.add(name)
    assert without == set(SILENT)


def test_every_document_has_a_schema_that_orch_prints(tmp_path: Path) -> None:
    assert set(KINDS) == set(VERSIONS)
    for name in KINDS:
        jsonschema.Draft202012Validator.check_schema(document_schema(name))
    printed = orch(tmp_path, "schema", "costs")
    assert json.loads(printed.stdout) == document_schema("costs")
    wrong = orch(tmp_path, "schema", "cost")
    assert (wrong.returncode, "did you mean 'costs'" in wrong.stderr) == (2, True)
