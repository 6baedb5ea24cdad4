"""Checkpoints below any folder: ours, plain Hugging Face folders, weights alone, and those of verl.

In: a folder that a program wrote, ours or not. Out: every complete checkpoint in it, and one line
for each folder that looks like one and is not complete. ``orch evolve`` lists the checkpoints of
trainings with it. Light on purpose (no torch): only names and headers of files are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import Checkpoint, Format, Manifest, listed
from engines.contract.formats.frameworks import other_format
from engines.contract.formats.names import step_in
from engines.contract.formats.weights import index_of, trouble_with, weight_files

LATEST = "latest_checkpointed_iteration.txt"
"""verl writes it after a checkpoint is whole."""
LONGEST_NUMBER = 20
"""Characters of that file that are read."""
STATE = "trainer_state.json"
"""transformers writes it last into a ``checkpoint-N``."""
BEING_WRITTEN = "checkpoint-is-incomplete.txt"
"""transformers has it in a checkpoint that it saves on a signal, until that is whole."""
TEMPORARY = re.compile(r"tmp-checkpoint-\d+|.+[._-](?:tmp|part|partial|incomplete)")
"""Names of folders that are renamed when they are whole, the first by transformers."""


@dataclass(frozen=True)
class Located:
    """A complete checkpoint; ``manifest`` is None where another program made it."""

    name: str
    step: int
    """What transformers' ``trainer_state.json`` says, else the name; 0 if neither tells one."""
    epoch: int
    """Of a foreign checkpoint, which knows no epochs, its step."""
    model: Path
    """The folder with the weights."""
    format: Format
    manifest: Manifest | None = None


Found = Located | str | None
"""A checkpoint; in words why it is none; None where nothing looks like one."""


def locate(folder: Path) -> tuple[list[Located], list[str]]:
    """Every complete checkpoint below ``folder``, lowest step first; and, in words, what looks like
    one and is not.

    ``folder`` is an output folder of ours, holds one folder per checkpoint, or is a checkpoint
    itself. FileNotFoundError if something is deleted meanwhile.
    """
    try:
        candidates = found_below(folder)
    except FileNotFoundError:
        # Deleted meanwhile: the caller lists again.
        raise
    except OSError as error:
        return [], [f"{error.filename or folder}: cannot be read ({error.strerror})"]
    located = [one for one in candidates if isinstance(one, Located)]
    problems = [one for one in candidates if isinstance(one, str)]
    return sorted(located, key=lambda one: (one.step, one.name)), problems


def found_below(folder: Path) -> list[Found]:
    """What is in ``folder``. OSError where the system does not let us read it."""
    own, damaged = listed(folder)
    if own or damaged:
        # One manifest of ours makes the folder ours: the rest of it is not searched.
        return [*map(as_located, own), *damaged]
    return foreign_below(folder)


def as_located(one: Checkpoint) -> Located:
    """A checkpoint of ours."""
    manifest = one.manifest
    return Located(
        manifest.name, manifest.step, manifest.epoch, one.model, manifest.format, manifest
    )


def foreign_below(folder: Path) -> list[Found]:
    """The same of a folder that another program wrote: itself, or the folders in it."""
    if is_of_verl(folder.name):
        return [readable(folder.name, folder, read_latest(folder.parent)[0])]
    itself = readable(folder.name, folder, None)
    folders = folders_in(folder)
    if itself is not None and weight_files(folder):
        # The user may name one checkpoint instead of the folder above it. And transformers leaves
        # its last model beside the folders of its checkpoints.
        below = members(folder, [path for path in folders if is_of_transformers(path.name)])
        if isinstance(itself, Located):
            itself = after(itself, below)
        return [itself, *below]
    # What lies beside checkpoints is a config.json of anything, or the state of the training.
    below = [one for one in members(folder, folders) if one is not None]
    return below or [itself]


def folders_in(folder: Path) -> list[Path]:
    """The folders that may be checkpoints, by name."""
    found = []
    for path in sorted(folder.iterdir()):
        # Links that lead nowhere, or round in a circle, are no folders.
        if path.name.startswith(".") or not path.is_dir():
            continue
        # "last" and "best" are often links to a checkpoint that is listed already.
        is_link = path.is_symlink() and path.resolve().parent == folder.resolve()
        if not is_link:
            found.append(path)
    return found


def after(last: Located, before: list[Found]) -> Located:
    """The model that a training left at its end, at least as late as its checkpoints if nothing
    says its step."""
    if (last.model / STATE).is_file():
        return last
    step = max((one.step for one in before if isinstance(one, Located)), default=last.step)
    return replace(last, step=step, epoch=step)


def members(folder: Path, folders: list[Path]) -> list[Found]:
    """What ``folders``, which lie in ``folder``, are; then what is to be said of all of them."""
    latest, said = read_latest(folder)
    candidates = [readable(path.name, path, latest) for path in folders]
    found = [one for one in candidates if isinstance(one, Located)]
    if len(found) > 1:
        for one in found:
            if one.step == 0 and step_in(one.name) is None:
                said.append(
                    f"{one.model}: neither its name nor {STATE} tells a step; it is taken as 0"
                )
    return [*candidates, *said]


def read_latest(folder: Path) -> tuple[int | None, list[str]]:
    """The step that verl has finished last, None if no file says one; and what is wrong with the
    file, in words."""
    mark = folder / LATEST
    if not mark.is_file():
        return None, []
    with mark.open("rb") as file:
        text = file.read(LONGEST_NUMBER).decode(errors="replace").strip()
    if re.fullmatch(r"[0-9]+", text):
        return int(text), []
    # It is rewritten in place, so a reader may meet it empty; the weights tell whether they are
    # whole.
    what = f"says {text!r}, which is no step" if text else "is empty"
    return None, [f"{mark}: {what}; each checkpoint is judged by its weights alone"]


def is_of_verl(name: str) -> bool:
    """Whether a folder has the name that verl gives to checkpoints."""
    return re.fullmatch(r"global_step_\d+", name) is not None


def is_of_transformers(name: str) -> bool:
    """Whether a folder has the name that transformers' Trainer gives to checkpoints."""
    return re.fullmatch(r"checkpoint-\d+", name) is not None


def readable(name: str, folder: Path, latest: int | None) -> Found:
    """The checkpoint in a folder of any program; in words also where the system does not let us
    read it."""
    try:
        return verl(folder, latest) if is_of_verl(folder.name) else foreign(name, folder)
    except FileNotFoundError:
        # Deleted meanwhile: the caller lists again.
        raise
    except OSError as error:
        return f"{folder}: cannot be read ({error.strerror})"


def foreign(name: str, folder: Path) -> Found:
    """The checkpoint that another program left in a folder."""
    has_config = (folder / "config.json").is_file()
    weights = weight_files(folder)
    if not weights:
        words = other_format(folder)
        if words is not None:
            return f"{folder}: {words}"
        if not has_config and index_of(folder) is None:
            return None
    trouble = unfinished(folder) or trouble_with(folder)
    if trouble:
        return f"{folder}: not a complete checkpoint: {trouble}"
    step = step_of_trainer(folder)
    if step is None:
        step = step_in(name) or 0
    return Located(name, step, step, folder, "huggingface" if has_config else "state_dict")


def unfinished(folder: Path) -> str:
    """What shows, beside the weights, that a folder is half written; "" for nothing."""
    if TEMPORARY.fullmatch(folder.name):
        return "its name is that of a folder that is being written"
    if (folder / BEING_WRITTEN).is_file():
        return f"{BEING_WRITTEN} is there while transformers writes"
    state = folder / STATE
    # training_args.bin comes from transformers' Trainer, which saves the weights of a checkpoint
    # first and its own state at the end; a model saved at the end of a training has no state.
    by_trainer = is_of_transformers(folder.name) and (folder / "training_args.bin").is_file()
    if by_trainer and not state.is_file():
        return f"transformers writes {STATE} last, and it is not there"
    for path in (folder / "config.json", state):
        if path.is_file() and read_table(path) is None:
            return f"{path.name} is no table in JSON: half written, or damaged"
    return ""


def step_of_trainer(folder: Path) -> int | None:
    """The step that transformers' Trainer noted; None where it noted none."""
    table = read_table(folder / STATE) if (folder / STATE).is_file() else None
    step = (table or {}).get("global_step")
    return step if type(step) is int and step >= 0 else None


def read_table(path: Path) -> dict[str, Any] | None:
    """The table in a JSON file; None if the file holds anything else."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def verl(folder: Path, latest: int | None) -> Found:
    """The checkpoint in a ``global_step_N`` of verl: in ``actor/huggingface``, of its supervised
    trainings in ``huggingface`` or the folder itself.

    ``latest`` is the step that verl has finished last, None if it does not say.
    """
    step = step_in(folder.name) or 0
    # A folder of a later step than the one named in that
    # file may lack shards that are still being written.
    if latest is not None and step > latest:
        return f"{folder}: {LATEST} says {latest}: it is still being written"
    if weight_files(folder):
        return foreign(folder.name, folder)
    model = folder / "actor" / "huggingface"
    if not model.is_dir() and (folder / "huggingface").is_dir():
        model = folder / "huggingface"
    # verl saves one shard per rank (model_world_size_8_rank_0.pt), which only verl can load.
    if not model.is_dir():
        return (
            f"{folder}: no actor/huggingface; add hf_model to verl's checkpoint contents, or "
            "merge it with verl's model_merger"
        )
    # Configuration and tokenizer may lie here while the weights are in the shards alone.
    if not weight_files(model):
        return f"{model}: configuration without weights; merge the shards with verl's model_merger"
    return foreign(folder.name, model)
