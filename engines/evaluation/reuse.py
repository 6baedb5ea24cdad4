"""Samples that were made before: those of an earlier start, and those of other evaluations.

An earlier start is continued only if its settings, data and weights were the same. Samples of
another evaluation, or of the training that made the checkpoints, are copied instead of being made
again, where everything that decides them is the same: the checkpoint's fingerprint, the hash of the
task's file, how the task is sampled, the seed, and the versions of the packages that sample.
``__main__.py`` calls both before it generates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import ConfigError, changed_keys
from engines.contract.files import read_lines, write_json, write_text
from engines.contract.results import read_results
from engines.evaluation.config import Config
from engines.evaluation.inputs import Inputs, Model
from engines.shared.suites.items import Facts, Item
from engines.shared.suites.made import MADE, read_made
from engines.shared.suites.suite import PLAIN

WEIGHTS = "the models' weights"
FILES = "the tasks and their files"
"""What stands in ``settings.json`` beside the keys of the config."""

NOTE = "reused.json"
"""Which samples were copied, so that the results say it after an interruption as well."""


def check_earlier_samples(config: Config, out: Path, models: Sequence[Model], facts: Facts) -> None:
    """ConfigError if the samples in ``out`` were made with other settings, data or weights: they
    must not be mixed. Writes ``settings.json`` for the next start."""
    path = out / "settings.json"
    weights = {
        model.name: model.manifest.fingerprint if model.manifest else None for model in models
    }
    files = {task: [fact["sha256"], fact["settings"]] for task, fact in facts.items()}
    # A file may be there and empty, if a kill came before its first whole line.
    begun = any(one.stat().st_size for one in out.glob("generations/*/*.jsonl"))
    if begun and path.exists():
        before = json.loads(path.read_text())
        # These two are no keys of the config, and `changed_keys` would refuse them.
        weights_before, files_before = before.pop(WEIGHTS, None), before.pop(FILES, None)
        changed = list(changed_keys(config, before, path))
        if weights_before != weights:
            changed.append(WEIGHTS)
        if with_defaults(files_before) != with_defaults(files):
            changed.append(FILES)
        if changed:
            raise ConfigError(
                f"{out} holds samples made with other settings ({', '.join(changed)}); put "
                "those back, or delete that folder to "
                "begin anew"
            )
    # Each time: keys that decide no result may have new values.
    write_json(path, {**config.model_dump(mode="json"), WEIGHTS: weights, FILES: files})


def with_defaults(files: dict[str, list[Any]] | None) -> dict[str, list[Any]]:
    """Hash and settings of each task's file; a setting that an older version did not know has its
    default."""
    return {
        task: [sha256, {**PLAIN.model_dump(), **settings}]
        for task, (sha256, settings) in (files or {}).items()
    }


@dataclass(frozen=True)
class Finished:
    """What another evaluation has made."""

    folder: Path
    names: dict[str, str]
    """Fingerprint of a checkpoint -> its name there."""
    tasks: Mapping[str, Mapping[str, Any]]
    """The facts of its tasks."""
    drawn: str = ""
    """By whom, where it was not by an evaluation."""


def take_over(inputs: Inputs, facts: Facts, versions: Mapping[str, str]) -> list[str]:
    """Copy the samples that are wanted from the output folders of other evaluations, and from that
    of the training.

    Returns one line per source and model: how many were copied, at earlier starts too.
    """
    note = inputs.out / NOTE
    said: list[str] = json.loads(note.read_text()) if note.exists() else []
    for other in others(inputs, versions):
        for model in inputs.models:
            count = copy_model(other, model, inputs, facts)
            if count:
                said.append(
                    f"{model.name}: {count} samples were reused from {other.folder}: the "
                    f"same weights, files and settings{other.drawn}"
                )
                # After each model: a kill in between must not lose the note of what was copied.
                write_json(note, said)
    return said


def others(inputs: Inputs, versions: Mapping[str, str]) -> Iterator[Finished]:
    """The folders whose samples may be wanted: of evaluations, then that beside the checkpoints."""
    config = inputs.config
    for folder in map(Path, config.reuse):
        other = None if folder == inputs.out else finished(folder, config.seed, versions)
        if other is not None:
            yield other
    if isinstance(config.models, CheckpointsSource):
        made = made_by_training(Path(config.models.folder) / MADE, config.seed, versions)
        if made is not None:
            yield made


def made_by_training(folder: Path, seed: int, versions: Mapping[str, str]) -> Finished | None:
    """What a training has drawn of its own checkpoints; None if that is nothing, or was drawn with
    another seed or other versions."""
    made = read_made(folder)
    if made is None or made.seed != seed or not made.versions.items() <= versions.items():
        return None
    drawn = f", drawn by the training itself ({made.sampler})"
    return Finished(folder, made.checkpoints, made.tasks, drawn)


def differing(inputs: Inputs, facts: Facts) -> list[str]:
    """In words, which tasks of this evaluation the training was to draw and drew otherwise."""
    models = inputs.config.models
    made = read_made(Path(models.folder) / MADE) if isinstance(models, CheckpointsSource) else None
    said = []
    for task, fact in facts.items():
        theirs = made.tasks.get(task) if made is not None else None
        if theirs is None or content(theirs) == content(fact):
            continue
        (file, then), (own_file, now) = content(theirs), content(fact)
        different = [
            f"{key} {then.get(key)}, here {now[key]}" for key in now if then.get(key) != now[key]
        ]
        different += ["another file"] if file != own_file else []
        said.append(
            f"{task}: what the training drew (evaluate_here) is not reused: {'; '.join(different)}"
        )
    return said


def finished(folder: Path, seed: int, versions: Mapping[str, str]) -> Finished | None:
    """The finished evaluation in a folder; None if there is none, or if it sampled with another
    seed or other versions."""
    # The versions that sampled are known from the results, so only finished evaluations will do.
    if not (folder / "results.json").is_file():
        return None
    _, document = read_results(folder)
    facts = document["facts"]
    if document["engine"] != "evaluation" or document["config"]["seed"] != seed:
        return None
    if facts.get("versions") != versions:
        return None
    names = {one["fingerprint"]: one["name"] for one in facts["checkpoints"] if one["fingerprint"]}
    return Finished(folder, names, facts["tasks"])


def copy_model(other: Finished, model: Model, inputs: Inputs, facts: Facts) -> int:
    """Copy the samples of one model from another evaluation; how many."""
    # Without a fingerprint nobody knows whether two folders hold the same weights.
    if model.manifest is None or model.manifest.fingerprint not in other.names:
        return 0
    source = other.folder / "generations" / other.names[model.manifest.fingerprint]
    target = inputs.out / "generations" / model.name
    count = 0
    for task, fact in facts.items():
        if task in other.tasks and content(fact) == content(other.tasks[task]):
            count += copy(source, target, task, wanted(inputs.items, task))
    return count


def content(fact: Mapping[str, Any]) -> tuple[Any, Any]:
    """What decides the samples of a task, beside the weights and the seed: its file, and how it is
    sampled."""
    # These decide how a sample is judged and when it is sent, not what it says.
    judged_by = ("metric", "expected_tokens", "scorer")
    sampling = {key: value for key, value in fact["settings"].items() if key not in judged_by}
    return fact["sha256"], sampling


def wanted(items: Sequence[Item], task: str) -> set[tuple[str, int]]:
    """(item_id, sample) of every sample of a task."""
    return {
        (item.problem.item_id, number)
        for item in items
        if item.task == task
        for number in range(item.samples)
    }


def copy(source: Path, target: Path, task: str, keys: set[tuple[str, int]]) -> int:
    """Add to a task's samples in ``target`` those of ``keys`` that only ``source`` has; how
    many."""
    path = source / f"{task}.jsonl"
    if not path.is_file():
        return 0
    own = read_lines(target / f"{task}.jsonl")
    missing = keys - {sample_key(line) for line in own}
    copied = []
    # Not read_lines, which would repair the file of another job.
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if sample_key(line) in missing:
            copied.append(line)
    if copied:
        target.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(line) + "\n" for line in own + copied]
        write_text(target / f"{task}.jsonl", "".join(lines))
    return len(copied)


def sample_key(line: Mapping[str, Any]) -> tuple[str, int]:
    """What tells a sample apart within a task."""
    return line["item_id"], line["sample"]
