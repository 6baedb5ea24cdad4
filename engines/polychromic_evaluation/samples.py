"""Replies on disk: ``models/<name>/samples.jsonl``, one line per prompt.

In: what a model said to a prompt. Out: the same, read again by a restart and by the measures.
While a model answers, lines are appended in the order in which prompts end, to
``samples.partial.jsonl``; when all are there, the file is written whole in the order of the
prompts, so that line i of two models is the same prompt. Reports show replies from it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import read_lines, write_text
from engines.polychromic_evaluation.models import Model
from engines.polychromic_evaluation.prompts import Prompt


@dataclass(frozen=True)
class Told:
    """One reply."""

    text: str
    tokens: int
    complete: bool
    """The model ended it itself."""
    reason: str | None
    """Why the checker does not take it; None: it is valid."""


@dataclass(frozen=True)
class Answered:
    """Everything that one model said to one prompt."""

    id: str
    prompt: str
    references: tuple[str, ...]
    samples: tuple[Told, ...]
    greedy: Told
    reference_nats: float
    """Negative log-likelihood of all references together."""
    reference_tokens: int


def folder_of(out: Path, model: Model) -> Path:
    """Where everything of a model lies."""
    return out / "models" / model.name


def finished_file(out: Path, model: Model) -> Path:
    """The whole file."""
    return folder_of(out, model) / "samples.jsonl"


def partial_file(out: Path, model: Model) -> Path:
    """What there is of it."""
    return folder_of(out, model) / "samples.partial.jsonl"


def read_answered(out: Path, model: Model) -> list[Answered]:
    """What an earlier start has kept of a model, whole or not."""
    for path in (finished_file(out, model), partial_file(out, model)):
        if path.is_file():
            try:
                return [from_line(line) for line in read_lines(path)]
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path}: cannot be read ({error}); delete it and start again"
                ) from error
    return []


def from_line(line: dict[str, Any]) -> Answered:
    """A line of the file."""
    samples = tuple(Told(**one) for one in line.pop("samples"))
    greedy = Told(**line.pop("greedy"))
    references = tuple(line.pop("references"))
    return Answered(samples=samples, greedy=greedy, references=references, **line)


def add_answered(out: Path, model: Model, answered: Answered) -> None:
    """Append what was said to one prompt."""
    path = partial_file(out, model)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Closed after each line, so that a kill costs no more than a torn last one.
    with path.open("a") as file:
        file.write(json.dumps(asdict(answered)) + "\n")


def finish(out: Path, model: Model, prompts: Sequence[Prompt]) -> list[Answered]:
    """Write the whole file in the order of the prompts."""
    by_id = {answered.id: answered for answered in read_answered(out, model)}
    ordered = [by_id[prompt.id] for prompt in prompts]
    lines = [json.dumps(asdict(answered)) + "\n" for answered in ordered]
    write_text(finished_file(out, model), "".join(lines))
    partial_file(out, model).unlink(missing_ok=True)
    return ordered
