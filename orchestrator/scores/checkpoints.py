"""The checkpoints of a followed training: which are on disk, which were deleted, and links that
keep them for jobs that wait.

In: a training's output folder. Out: what is new goes into the evolution; links go below its run
folder. Called by evolve.py with the run's lock held.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.contract.checkpoint_formats import Located, locate
from engines.contract.checkpoints import Manifest, fingerprint, named
from engines.contract.checkpoints import listed as with_manifest
from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted
from engines.contract.formats.weights import is_weights, trouble_with
from jobs.stages import Point, digest
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.runs.layout import RESULTS, out_folder
from orchestrator.runs.provenance.launches import Tell
from orchestrator.scores.evolution import START, Evolution, SeenCheckpoint

LISTINGS = 3
"""How often a folder is listed in which checkpoints are deleted meanwhile."""
STAMP_LETTERS = 16
NO_MODEL = {
    "adapter": "an adapter (LoRA) alone, which cannot be scored without the model that it was "
    "trained on; evaluate it with the engine that made it, or merge it and give the folder with "
    "the whole model",
    "files": "no Hugging Face folder: evaluate it by a stage of your own, with checkpoints",
}
"""Formats that the evaluation of language models cannot load, and why."""


@dataclass(frozen=True)
class Training:
    """One series of checkpoints."""

    name: str
    axes: Point
    out: Path
    config: dict[str, Any]
    """Empty where the checkpoints are not of a job of ours."""
    over: bool
    """Whether no more checkpoints will come."""


def stamp(folder: Path) -> str:
    """Sizes and times of the weight files."""
    # Hashing gigabytes of weights at every call would be slow; these tell whether they may be
    # others.
    files = []
    for path in sorted(folder.glob("*.safetensors")):
        files.append([path.name, path.stat().st_size, path.stat().st_mtime_ns])
    return digest(files)[:STAMP_LETTERS]


def on_disk(training: Training, tell: Tell) -> list[Located]:
    """The complete checkpoints of a training, and the model it began with."""
    located, problems = listed(training.out)
    if training.config:
        # What is not complete in a training of ours is being written; a manifest is written whole.
        _, problems = with_manifest(training.out)
    for line in problems:
        tell(line)
    start = start_of(training)
    return located if start is None else [start, *located]


def listed(folder: Path) -> tuple[list[Located], list[str]]:
    """The checkpoints below a folder; listed again where one was deleted while it was read."""
    for left in reversed(range(LISTINGS)):
        try:
            return locate(folder) if folder.is_dir() else ([], [])
        except FileNotFoundError:
            if left == 0:
                raise
    # Not reached: the loop has returned or raised.
    raise AssertionError


def note_new(evolution: Evolution, training: Training, tell: Tell) -> dict[str, Located]:
    """Note every complete checkpoint of a training that is new; returns those that are on disk now,
    by name. RunError if a name stands for other weights than before."""
    here = {one.name: one for one in on_disk(training, tell)}
    seen = {one.checkpoint: one for one in evolution.of(training.name)}
    for name, one in here.items():
        # A manifest says the fingerprint; without one, sizes and times tell whether to read again.
        mark = "" if one.manifest else stamp(one.model)
        if name not in seen:
            evolution.known.append(as_seen(training, one, mark, tell))
        elif not is_same(seen[name], one, mark):
            raise RunError(
                f"{one.model}: other weights than those that were scored as '{name}'; "
                "save them under another name"
            )
    return here


def is_same(seen: SeenCheckpoint, one: Located, mark: str) -> bool:
    """Whether a checkpoint on disk has the weights that were seen."""
    if one.manifest is not None:
        return seen.fingerprint == one.manifest.fingerprint
    return seen.stamp == mark


def as_seen(training: Training, one: Located, mark: str, tell: Tell) -> SeenCheckpoint:
    """What the evolution remembers of a checkpoint; without a manifest its weights are read."""
    if one.manifest is None:
        tell(f"{one.model}: reading the weights for their fingerprint")
    return SeenCheckpoint(
        training=training.name,
        axes=training.axes,
        checkpoint=one.name,
        step=one.step,
        epoch=one.epoch,
        model=str(one.model),
        stamp=mark,
        fingerprint=one.manifest.fingerprint if one.manifest else fingerprint(one.model),
        metrics=one.manifest.metrics if one.manifest else {},
        rank_by=one.manifest.rank_by if one.manifest else None,
        better=one.manifest.better if one.manifest else None,
    )


def start_of(training: Training) -> Located | None:
    """The model that a training began with, where it lies on this machine."""
    model = training.config.get("model")
    if isinstance(model, dict):
        try:
            found = named(Path(model["folder"]), model["checkpoint"])
        # The job that makes it is not done; or it names no folder.
        except (ConfigError, KeyError, TypeError):
            return None
        return Located(START, 0, 0, found.model, found.manifest.format, found.manifest)
    if not isinstance(model, str):
        return None
    folder = Path(model)
    if (folder / "config.json").is_file() and not trouble_with(folder):
        return Located(START, 0, 0, folder.absolute(), "huggingface")
    return None


def pruned(evolution: Evolution, training: Training, here: dict[str, Located]) -> list[str]:
    """In words: checkpoints that were made, by what is known, and deleted before they were
    scored."""
    seen = evolution.of(training.name)
    lines = []
    scored = evolution.scored_weights()
    for one in seen:
        if one.checkpoint not in here and one.fingerprint not in scored:
            lines.append(f"{training.name}: {one.checkpoint} was deleted before it was scored")
    epochs = {one.epoch for one in seen if one.checkpoint != START}
    every = training.config.get("checkpoint_every_epochs")
    if not isinstance(every, int) or every < 1 or not epochs:
        return lines
    # A checkpoint every 2 epochs, and the newest known one of epoch 8: 2, 4 and 6 were made.
    missed = sorted(set(range(every, max(epochs), every)) - epochs)
    if missed:
        plural = "s" if len(missed) > 1 else ""
        lines.append(
            f"{training.name}: epoch{plural} {', '.join(map(str, missed))}: "
            "deleted before anyone looked (keep_checkpoints)"
        )
    return lines


def usable(
    wanted: Sequence[SeenCheckpoint],
    here: dict[str, Located],
    base: Path | None,
    evolution: Evolution,
    tell: Tell,
) -> list[SeenCheckpoint]:
    """Those that are scored, or can be: on disk, with a configuration beside the weights."""
    found = []
    for one in wanted:
        if one.fingerprint in evolution.scored:
            found.append(one)
        elif one.checkpoint not in here:
            continue
        elif here[one.checkpoint].format in NO_MODEL:
            tell(f"{one.model}: {NO_MODEL[here[one.checkpoint].format]}")
        elif here[one.checkpoint].format == "state_dict" and base is None:
            tell(
                f"{one.model}: weights alone; give the folder that holds their "
                "config.json and tokenizer: --base FOLDER"
            )
        else:
            found.append(one)
    return found


def link_all(
    run_folder: Path,
    evolution: Evolution,
    here: dict[str, dict[str, Located]],
    base: Path | None,
    tell: Tell,
) -> None:
    """Links for every part that is not done; the links of a part that is done go. What was deleted
    meanwhile is forgotten, and told.

    Args:
        here: the checkpoints on disk by training and name.
        base: configuration and tokenizer for folders that hold weights alone.
    """
    for part in counted("linking checkpoints", evolution.parts):
        models = run_folder / part.folder / "models" / "checkpoints"
        # While there is a hard link the weights take up the disk, even after the training has
        # deleted its own.
        if (out_folder(run_folder, part.folder) / RESULTS).exists():
            shutil.rmtree(models, ignore_errors=True)
            continue
        models.mkdir(parents=True, exist_ok=True)
        on_disk_now = here.get(part.training, {})
        # A copy, because ``forget`` takes entries out.
        for name, content in list(part.checkpoints.items()):
            if (models / name / "manifest.json").exists():
                continue
            try:
                if part.by:
                    link_files(on_disk_now.get(name), content, models / name)
                else:
                    link_checkpoint(on_disk_now.get(name), content, models / name, base)
            except FileNotFoundError:
                tell(f"{part.training}: {name} was deleted before it could be linked")
                evolution.forget(part, name)
    # A part that lost all of its checkpoints would be a job without anything to score.
    evolution.parts = [part for part in evolution.parts if part.checkpoints]


def link_checkpoint(source: Located | None, content: str, target: Path, base: Path | None) -> None:
    """Make ``target`` the same checkpoint by links; ``content`` is its fingerprint.
    FileNotFoundError if it is just deleted."""
    if source is None:
        raise FileNotFoundError(target.name)
    draft = new_draft(target)
    files = {path.name: path for path in source.model.iterdir() if path.is_file()}
    # An optimizer or an adapter in a safetensors file: the engine reads every such file as weights.
    files = {
        name: path
        for name, path in files.items()
        if is_weights(name) or not name.endswith(".safetensors")
    }
    if base is not None:
        # A file beside the weights wins over the base's file of the same name.
        files = described_by(base) | files
    for name, path in files.items():
        # Hugging Face's cache consists of symbolic links, and on Linux a hard link to one of them
        # would keep the link and not the weights.
        link(path.resolve(strict=True), draft / "model" / name)
    # It may have been deleted file by file while the links were made.
    if any(not path.exists() for path in files.values()) or trouble_with(draft / "model"):
        raise FileNotFoundError(source.model)
    # With the files of the base, weights alone have become a whole folder too.
    make_whole(draft, target, replace(source, format="huggingface"), content)


def link_files(source: Located | None, content: str, target: Path) -> None:
    """The same for a command, which is given all files of a checkpoint as they are."""
    if source is None:
        raise FileNotFoundError(target.name)
    draft = new_draft(target)
    # Where a framework made it the folder is a link, which rglob would not enter by itself.
    model = source.model.resolve(strict=True)
    files = {path: path.relative_to(model) for path in model.rglob("*") if path.is_file()}
    for path, place in files.items():
        (draft / "model" / place).parent.mkdir(parents=True, exist_ok=True)
        link(path.resolve(strict=True), draft / "model" / place)
    if not files or any(not path.exists() for path in files):
        raise FileNotFoundError(source.model)
    make_whole(draft, target, source, content)


def new_draft(target: Path) -> Path:
    """A folder for a checkpoint that is being made."""
    # Hidden until it is whole: a kill in here leaves nothing that is taken for a checkpoint.
    draft = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    (draft / "model").mkdir(parents=True)
    return draft


def make_whole(draft: Path, target: Path, source: Located, content: str) -> None:
    """The manifest, then the name."""
    manifest = Manifest(
        name=target.name,
        step=source.step,
        epoch=source.epoch,
        format=source.format,
        fingerprint=content,
        metrics={},
        probe=source.manifest.probe if source.manifest else None,
    )
    write_json(draft / "manifest.json", manifest.model_dump())
    draft.rename(target)


def described_by(base: Path) -> dict[str, Path]:
    """Configuration and tokenizer of a folder: all of its files but the weights."""
    files = {}
    for path in base.iterdir():
        # "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json".
        is_weights = path.name.startswith("model") or path.suffix == ".safetensors"
        if path.is_file() and not is_weights:
            files[path.name] = path
    return files


def link(path: Path, target: Path) -> None:
    """A hard link, or where the file systems differ (or do not have them) a symbolic one."""
    try:
        os.link(path, target)
    # Also an OSError, but here the source is gone: a symbolic link would lead nowhere.
    except FileNotFoundError:
        raise
    except OSError:
        target.symlink_to(path)
