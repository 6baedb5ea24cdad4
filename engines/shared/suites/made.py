"""Samples that a training has made of its own checkpoints, for the evaluation that follows it.

``evaluated/`` below the training's output folder: ``generations/<checkpoint>/<task>.jsonl``, a line
per sample as an evaluation writes it, and ``samples.json``, which says what decided them. Called by
the trainings that make them (``ppo``) and by ``evaluation``, which takes them over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from engines.contract.files import write_json, write_text
from engines.shared.inference import Generation, Request, sample_seed
from engines.shared.suites.items import Facts, Item

MADE = "evaluated"
"""Folder below the output of a training."""
NOTE = "samples.json"

Sampled = tuple[Item, int, Generation]
"""A sample with its problem and its number."""


class Made(BaseModel):
    """What decided the samples in a folder."""

    seed: int
    versions: dict[str, str]
    """Of the packages that sampled."""
    sampler: str
    """``vllm``, or ``transformers``: the trained model itself."""
    checkpoints: dict[str, str]
    """Fingerprint of each checkpoint whose samples are all there, and its name."""
    tasks: Facts
    """Of each task what an evaluation says of it."""


def read_made(folder: Path) -> Made | None:
    """What a folder says of its samples; None if there are none, or what it says is damaged."""
    try:
        return Made.model_validate_json((folder / NOTE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_made(folder: Path, made: Made, name: str, samples: Iterable[Sampled]) -> None:
    """Write the samples of a checkpoint, and after them that they are there."""
    lines: dict[str, list[str]] = {task: [] for task in made.tasks}
    for item, number, sample in samples:
        line = sample_line(item, number, sample.text, len(sample.token_ids), sample.finish_reason)
        lines[item.task].append(json.dumps(line) + "\n")
    for task, own in lines.items():
        path = folder / "generations" / name / f"{task}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(own))
    write_json(folder / NOTE, made.model_dump(mode="json"))


def sample_line(
    item: Item, number: int, text: str, tokens: int, finish_reason: str
) -> dict[str, Any]:
    """A sample as it stands in a file."""
    return {
        "item_id": item.problem.item_id,
        "sample": number,
        "text": text,
        "tokens": tokens,
        "finish_reason": finish_reason,
    }


def request_for(item: Item, number: int, seed: int) -> Request:
    """What to send to a sampler for one sample. Its seed depends on the config's, the problem and
    the number alone, so that whoever makes it draws the same."""
    return Request(
        item.token_ids,
        1,
        sample_seed(seed, item.problem.item_id, number),
        item.settings.temperature,
        item.settings.max_response_tokens,
        item.settings.top_p,
        logprobs=False,
    )
