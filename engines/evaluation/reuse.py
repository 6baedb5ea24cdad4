"""Samples that a finished evaluation has made already: the same weights, files and settings give
the same samples, so they are taken over.

By content: the checkpoint's fingerprint, the hash of the task's file, how the task is sampled, the
seed, the versions of what samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.contract.files import write_json, write_text
from engines.contract.results import read_results
from engines.evaluation.sample_store import Model, read_lines
from engines.evaluation.tasks import Item

NOTE = "reused.json"


def take_over(
    folders: Sequence[str],
    out: Path,
    models: Sequence[Model],
    items: Sequence[Item],
    facts: Mapping[str, Mapping[str, Any]],
    seed: int,
    versions: Mapping[str, str],
) -> list[str]:
    """Copy what these output folders hold of the samples that are wanted; in words, whence how many
    came, at earlier starts too."""
    said: list[str] = json.loads((out / NOTE).read_text()) if (out / NOTE).exists() else []
    for folder in map(Path, folders):
        if folder == out or not (folder / "results.json").is_file():
            continue
        _, document = read_results(folder)
        made = document["facts"]
        if (
            document["engine"] != "evaluation"
            or document["config"]["seed"] != seed
            or made.get("versions") != versions
        ):
            continue
        names = {
            one["fingerprint"]: one["name"] for one in made["checkpoints"] if one["fingerprint"]
        }
        tasks = [
            task
            for task in facts
            if task in made["tasks"] and content(facts[task]) == content(made["tasks"][task])
        ]
        for model in models:
            if model.manifest is None or model.manifest.fingerprint not in names:
                continue
            there = folder / "generations" / names[model.manifest.fingerprint]
            count = sum(
                copy(there, out / "generations" / model.name, task, wanted(items, task))
                for task in tasks
            )
            if count:
                said.append(
                    f"{model.name}: {count} samples were taken over from {folder}: the "
                    "same weights, files and settings"
                )
                write_json(out / NOTE, said)
    return said


def content(fact: Mapping[str, Any]) -> tuple[Any, Any]:
    """What decides the samples of a task, beside the weights and the seed."""
    return fact["sha256"], {
        key: value
        for key, value in fact["settings"].items()
        if key not in ("metric", "expected_tokens")
    }


def wanted(items: Sequence[Item], task: str) -> set[tuple[str, int]]:
    """(item_id, sample) of every sample of a task."""
    return {
        (item.problem.item_id, number)
        for item in items
        if item.task == task
        for number in range(item.samples)
    }


def copy(source: Path, target: Path, task: str, keys: set[tuple[str, int]]) -> int:
    """Add to a task's samples those of ``keys`` that only the other folder has; how many."""
    if not (source / f"{task}.jsonl").is_file():
        return 0
    lines = read_lines(target / f"{task}.jsonl")
    missing = keys - {(line["item_id"], line["sample"]) for line in lines}
    found = [json.loads(line) for line in (source / f"{task}.jsonl").read_text().splitlines()]
    found = [line for line in found if (line["item_id"], line["sample"]) in missing]
    if found:
        target.mkdir(parents=True, exist_ok=True)
        write_text(
            target / f"{task}.jsonl", "".join(json.dumps(line) + "\n" for line in (*lines, *found))
        )
    return len(found)
