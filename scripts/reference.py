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
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engines.contract.metrics import METRICS
from orchestrator.cli.app import COMMANDS, load

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


def first_paragraph(documented: object) -> str:
    """The first paragraph of a docstring, on one line."""
    text = inspect.getdoc(documented) or ""
    return " ".join(text.split("\n\n")[0].split())


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
    packages = []
    for name in sorted(ENGINES, reverse=True):  # a package below another one first
        packages += [f"engines.{name}.config.", f"engines.{name}."]
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
        value = field.get_default(call_default_factory=True)
        if field.is_required():
            default = "required"
        elif isinstance(value, BaseModel):
            default = "as below"
        else:
            default = f"`{value!r}`"
        type_text, about = cell(type_name(field.annotation)), cell(texts.get(name, ""))
        yield f"| `{name}` | `{type_text}` | {cell(default)} | {about} |"
        nested += [part for part in model_parts(field.annotation) if part not in seen]
    for part in nested:
        if part not in seen:
            yield ""
            yield f"`{part.__name__}`: {first_paragraph(part)}"
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
    parts: list[tuple[str, Any]] = []
    for name in COMMANDS:
        command = load(name)
        if hasattr(command, "commands"):
            parts += [(f"{name} {part}", inner) for part, inner in command.commands.items()]
        else:
            parts.append((name, command))
    for name, command in sorted(parts):
        if command.hidden:
            continue
        words = []
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                word = parameter.name.upper()
                words.append(word if parameter.required else f"[{word}]")
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


def key_table(texts: Mapping[str, str]) -> list[str]:
    """A table of keys and what they do."""
    rows = [f"| `{key}` | {cell(text)} |" for key, text in texts.items()]
    return ["| key | |", "| --- | --- |", *rows]


def description() -> Iterator[str]:
    """The keys of an experiment file, of a cluster's profile, and the states of a job."""
    experiment = importlib.import_module("orchestrator.description.experiment")
    gate = importlib.import_module("orchestrator.description.gate_reader")
    notify = importlib.import_module("orchestrator.description.notifications")
    profile = importlib.import_module("orchestrator.description.profile")
    spec = importlib.import_module("jobs.spec")
    record = importlib.import_module("orchestrator.runs.record")
    yield from ["## Experiment file", "", *key_table(experiment.KEYS)]
    yield from ["", "### Stage", "", *key_table(experiment.STAGE_KEYS)]
    yield from ["", "### `when` and `unless`", "", *key_table(gate.GATE_KEYS)]
    yield from ["", "### `resources`", "", *dataclass_table(spec.Resources)]
    yield from ["", "## Cluster profile", "", *dataclass_table(profile.Profile)]
    yield from ["", "### `notify`", "", *key_table(notify.KEYS)]
    yield from ["", "## States", "", "| state | |", "| --- | --- |"]
    for name, text in field_assignments(record.JobState).items():
        yield f"| {name} | {cell(text)} |"


def engines() -> Iterator[str]:
    """The keys of every engine's config."""
    for name in ENGINES:
        config = importlib.import_module(f"engines.{name}").Config
        about = first_paragraph(importlib.import_module(config.__module__))
        yield from ["", f"## Engine `{name}`", "", about, "", *model_table(config, set())]


def metrics() -> Iterator[str]:
    """Every metric that results may have."""
    yield from ["", "## Metrics", ""]
    yield from ["| metric | unit | range | better | |", "| --- | --- | --- | --- | --- |"]
    words = {True: "higher", False: "lower", None: ""}
    for name, metric in METRICS.items():
        low = "" if metric.low is None else metric.low
        high = "" if metric.high is None else metric.high
        better = words[metric.higher_is_better]
        about = cell(metric.about)
        yield f"| `{name}` | {metric.unit} | {low} to {high} | {better} | {about} |"


def reference() -> str:
    """The whole page."""
    lines = [
        "# Reference",
        "",
        "Written by `python scripts/reference.py` from the code; a test fails when the two differ.",
        "",
        "## Commands",
        "",
        *commands(),
        *description(),
        *engines(),
        *metrics(),
    ]
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
