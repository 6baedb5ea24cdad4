"""Samples that one arm got right and the other did not: how many, and some of them to read."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.analysis.config import Config
from engines.analysis.load import Found

SHOWN = 10
"""Examples per direction."""
Key = tuple[str, str, int]
"""(task, item_id, sample)."""


@dataclass(frozen=True)
class Answer:
    """One arm's answer: its text, and what the scorer made of it."""

    text: str | None
    """None: it is not on disk."""
    value: float
    status: str
    extracted: str
    tokens: int


@dataclass(frozen=True)
class Flip:
    """One sample that only one arm got right."""

    seed: str
    task: str
    item_id: str
    prompt: str | None
    """The start of the prompt; None: the evaluation did not keep it."""
    baseline: Answer
    treatment: Answer


@dataclass
class Flips:
    """Counts per domain, and examples of both directions."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """domain -> gained, lost, both right, both wrong (or partly right)."""
    gained: list[Flip] = field(default_factory=list)
    lost: list[Flip] = field(default_factory=list)

    def total(self, name: str) -> int:
        """A count over all domains."""
        return sum(count[name] for count in self.counts.values())


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, one at a time: answers can be long."""
    with path.open() as file:
        for text in file:
            yield json.loads(text)


def key_of(line: dict[str, Any], task: str) -> Key:
    """What tells a sample apart within an evaluation."""
    return task, line["item_id"], line["sample"]


def find_flips(found: Found, config: Config) -> Flips:
    """Pair the samples of the arms by seed, problem and number; what stands in the way is named in
    ``found.missing``."""
    flips = Flips()
    left, right = (
        found.evaluations.get(arm, {})
        for arm in (config.compare.baseline, config.compare.treatment)
    )
    candidates: dict[str, list[tuple[str, Key, dict[str, Any], dict[str, Any]]]] = {
        "gained": [],
        "lost": [],
    }
    for seed in sorted(left.keys() & right.keys()):
        scored = [
            {
                key_of(line, line["task"]): line
                for line in lines_of(out / "scores" / f"{checkpoint}.jsonl")
            }
            for out, checkpoint in (left[seed], right[seed])
        ]
        for key in sorted(scored[0].keys() & scored[1].keys()):
            a, b = scored[0][key], scored[1][key]
            if a["value"] is None or b["value"] is None:
                continue
            name = {(0, 1): "gained", (1, 0): "lost", (1, 1): "both right", (0, 0): "neither"}[
                a["value"] == 1.0, b["value"] == 1.0
            ]
            count = flips.counts.setdefault(
                a["domain"], dict.fromkeys(("gained", "lost", "both right", "neither"), 0)
            )
            count[name] += 1
            if name in candidates:
                candidates[name].append((seed, key, a, b))
    if left and right and not flips.counts:
        found.missing.append("flipped examples: the arms share no seed with scored samples")
    for name, shown in (("gained", flips.gained), ("lost", flips.lost)):
        drawn = random.Random(f"{config.seed} {name}").sample(
            candidates[name], min(SHOWN, len(candidates[name]))
        )
        shown += [
            read_flip(seed, key, (a, b), (left[seed], right[seed]), found)
            for seed, key, a, b in drawn
        ]
    unread = sum(flip.prompt is None for flip in [*flips.gained, *flips.lost])
    if unread:
        found.missing.append(
            f"prompts of {unread} flipped examples: the evaluation, of an older version, "
            "kept no problems.jsonl"
        )
    return flips


def read_flip(
    seed: str,
    key: Key,
    lines: tuple[dict[str, Any], dict[str, Any]],
    places: tuple[tuple[Path, str], tuple[Path, str]],
    found: Found,
) -> Flip:
    """The prompt and both texts of one sample."""
    answers = [
        Answer(
            text_of(out / "generations" / checkpoint / f"{key[0]}.jsonl", key, found),
            line["value"],
            line["status"],
            str(line["extracted"] or ""),
            line["tokens"],
        )
        for line, (out, checkpoint) in zip(lines, places, strict=True)
    ]
    path = places[0][0] / "problems.jsonl"
    prompt = None
    if path.is_file():
        found.source("flips", path)
        prompt = next(
            (
                line["prompt"]
                for line in lines_of(path)
                if (line["task"], line["item_id"]) == key[:2]
            ),
            None,
        )
    return Flip(seed, key[0], key[1], prompt, *answers)


def text_of(path: Path, key: Key, found: Found) -> str | None:
    """The text of one sample."""
    if not path.is_file():
        return None
    found.source("flips", path)
    return next((str(line["text"]) for line in lines_of(path) if key_of(line, key[0]) == key), None)
