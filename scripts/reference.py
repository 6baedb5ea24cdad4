"""Write docs/reference.md from the code: every command and option, every key of an experiment file,
profile and engine config.

    python scripts/reference.py            writes docs/reference.md
    python scripts/reference.py --check    exit 1 if the file is not what the code says

The sentences are the code's own help texts and the docstrings beneath the fields, so they cannot
drift apart.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from typer.main import get_command

from engines.contract.metrics import METRICS

ROOT = Path(__file__).resolve().parent.parent
ENGINES = (
    "ppo",
    "evaluation",
    "analysis",
    "analysis.evolution",
    "miniature",
    "fsm",
    "probe",
    "fsm_report",
)


def field_docstrings(kind: type) -> dict[str, str]:
    """The string beneath each annotated field of a class, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                text = " ".join(str(below.value.value).split())
            found[field.target.id] = text
    return found


def cell(value: object) -> str:
    """Text that may stand in a cell of a Markdown table."""
    return str(value).replace("|", "\\|")


def type_name(annotation: object) -> str:
    """A type as a person would write it."""
    text = (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else str(annotation)
    )
    packages = [
        f"engines.{name}." for name in sorted(ENGINES, reverse=True)
    ]  # a package below another one first
    for noise in (
        "typing.",
        "engines.contract.checkpoints.",
        "engines.contract.config.",
        "engines.contract.results.",
        "engines.shared.automata.description.",
        *packages,
        "annotated_types.",
    ):
        text = text.replace(noise, "")
    return text


def model_table(kind: type[BaseModel], seen: set[type]) -> Iterator[str]:
    """One row per key of a config, then the configs nested in it."""
    seen.add(kind)
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            texts |= field_docstrings(base)
    yield "| key | type | default | |"
    yield "| --- | --- | --- | --- |"
    nested: list[type[BaseModel]] = []
    for name, field in kind.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else f"`{field.get_default(call_default_factory=True)!r}`"
        )
        if isinstance(field.get_default(call_default_factory=True), BaseModel):
            default = "as below"
        yield (
            f"| `{name}` | `{cell(type_name(field.annotation))}` | {cell(default)} | "
            f"{cell(texts.get(name, ''))} |"
        )
        nested += [part for part in model_parts(field.annotation) if part not in seen]
    for part in nested:
        if part not in seen:
            yield ""
            yield f"`{part.__name__}`: {(inspect.getdoc(part) or '').splitlines()[0]}"
            yield ""
            yield from model_table(part, seen)


def model_parts(annotation: Any) -> list[type[BaseModel]]:
    """The configs inside a type such as ``list[X] | None``."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [
        part for argument in getattr(annotation, "__args__", ()) for part in model_parts(argument)
    ]


def dataclass_table(kind: type) -> Iterator[str]:
    """One row per field of a dataclass."""
    assert is_dataclass(kind)
    texts = field_docstrings(kind)
    yield "| key | type | |"
    yield "| --- | --- | --- |"
    for name, annotation in kind.__annotations__.items():
        yield f"| `{name}` | `{cell(annotation)}` | {cell(texts.get(name, ''))} |"


def commands() -> Iterator[str]:
    """Every command with its arguments and options; those of a group are named with it."""
    group: Any = get_command(importlib.import_module("orchestrator.cli.app").app)
    parts: list[tuple[str, Any]] = [
        (f"{name} {part}" if part else name, command)
        for name, outer in group.commands.items()
        for part, command in getattr(outer, "commands", {"": outer}).items()
    ]
    for name, command in sorted(parts):
        if command.hidden:
            continue
        words = [
            p.name.upper() if p.required else f"[{p.name.upper()}]"
            for p in command.params
            if p.param_type_name == "argument"
        ]
        yield f"### `{' '.join(['orch', name, *words])}`"
        yield ""
        yield " ".join((command.help or "").split())
        yield ""
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield (
                    f"- `{', '.join([*parameter.opts, *parameter.secondary_opts])}` "
                    f"{parameter.help or ''}"
                ).rstrip()
            elif getattr(parameter, "help", None):
                yield f"- `{parameter.name.upper()}` {parameter.help}"
        yield ""


def reference() -> str:
    """The whole page."""
    description = importlib.import_module("orchestrator.description.experiment")
    profile = importlib.import_module("orchestrator.description.profile")
    spec = importlib.import_module("jobs.spec")
    state = importlib.import_module("orchestrator.runs.record")
    lines = [
        "# Reference",
        "",
        "Written by `python scripts/reference.py` from the code; a test fails when the two differ.",
        "",
    ]
    lines += ["## Commands", ""]
    lines += commands()
    lines += ["## Experiment file", "", "| key | |", "| --- | --- |"]
    lines += [f"| `{key}` | {cell(text)} |" for key, text in description.KEYS.items()]
    lines += ["", "### Stage", "", "| key | |", "| --- | --- |"]
    lines += [f"| `{key}` | {cell(text)} |" for key, text in description.STAGE_KEYS.items()]
    gate = importlib.import_module("orchestrator.description.gate_reader")
    lines += ["", "### `when` and `unless`", "", "| key | |", "| --- | --- |"]
    lines += [f"| `{key}` | {cell(text)} |" for key, text in gate.GATE_KEYS.items()]
    lines += ["", "### `resources`", "", *dataclass_table(spec.Resources)]
    lines += ["", "## Cluster profile", "", *dataclass_table(profile.Profile)]
    notify = importlib.import_module("orchestrator.description.notifications")
    lines += ["", "### `notify`", "", "| key | |", "| --- | --- |"]
    lines += [f"| `{key}` | {cell(text)} |" for key, text in notify.KEYS.items()]
    lines += ["", "## States", "", "| state | |", "| --- | --- |"]
    lines += [
        f"| {name} | {cell(text)} |" for name, text in field_assignments(state.JobState).items()
    ]
    for name in ENGINES:
        module = importlib.import_module(f"engines.{name}")
        about = (inspect.getdoc(module) or "").splitlines()[0]
        lines += ["", f"## Engine `{name}`", "", about, "", *model_table(module.Config, set())]
    lines += [
        "",
        "## Metrics",
        "",
        "| metric | unit | range | better | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, metric in METRICS.items():
        better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
        bounds = (
            f"{'' if metric.low is None else metric.low} to "
            f"{'' if metric.high is None else metric.high}"
        )
        lines.append(f"| `{name}` | {metric.unit} | {bounds} | {better} | {cell(metric.about)} |")
    return "\n".join(lines) + "\n"


def field_assignments(kind: type) -> dict[str, str]:
    """The string beneath each member of an enumeration."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for member, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
            text = (
                below.value.value
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                else ""
            )
            found[member.targets[0].id] = " ".join(str(text).split())
    return found


def main() -> int:
    """Write the page, or with ``--check`` say whether it is up to date."""
    path = ROOT / "docs" / "reference.md"
    text = reference()
    if "--check" in sys.argv[1:]:
        if path.read_text() != text:
            print(
                "docs/reference.md is not what the code says: run python scripts/reference.py",
                file=sys.stderr,
            )
            return 1
        return 0
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
