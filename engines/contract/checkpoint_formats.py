"""Checkpoints below any folder: ours, plain Hugging Face folders, weights alone, and those of verl.

In: a folder that a program wrote, ours or not. Out: every complete checkpoint in it, and one line
for each folder that looks like one and is not complete. ``orch evolve`` lists the checkpoints of
trainings with it. Light on purpose (no torch): only names and headers of files are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.contract.checkpoints import Manifest, complete

LATEST = "latest_checkpointed_iteration.txt"
"""verl writes it after a checkpoint is whole."""
LONGEST_HEADER = 100_000_000
"""Bytes; the format allows no longer one."""


@dataclass(frozen=True)
class Located:
    """A complete checkpoint; ``manifest`` is None where another program made it."""

    name: str
    step: int
    epoch: int
    """Of a foreign checkpoint, which knows no epochs, its step."""
    model: Path
    """The folder with the weights."""
    format: Literal["huggingface", "state_dict"]
    manifest: Manifest | None = None


def whole_file(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says.

    The file is the length of the header (8 bytes), the header as JSON, and the tensors, whose ends
    the header names.
    """
    # A copy that broke off or a full disk leaves a file that is too short. Its size and its header
    # show that; no tensor has to be read.
    size = path.stat().st_size
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        # A damaged file may name a header of any length: it is not read into memory then.
        if size < 8 or header_length > min(size, LONGEST_HEADER):
            return False
        try:
            header = json.loads(file.read(header_length))
        except ValueError:
            return False
    # `__metadata__` is the one entry that describes no tensor.
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    data_length = max((entry["data_offsets"][1] for entry in tensors), default=0)
    return size == 8 + header_length + int(data_length)


def trouble_with(folder: Path) -> str:
    """Why the weights in ``folder`` are not whole; "" if they are."""
    index = folder / "model.safetensors.index.json"
    files = sorted(folder.glob("*.safetensors"))
    if index.is_file():
        # Weights in several files: the index names all of them, so a missing one is noticed.
        try:
            weight_map = json.loads(index.read_text())["weight_map"]
        except (ValueError, KeyError) as error:
            return f"{index.name} cannot be read ({error})"
        names = sorted(set(weight_map.values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            return f"{len(missing)} of {len(names)} weight files are missing, such as {missing[0]}"
        files = [folder / name for name in names]
    if not files:
        return "no safetensors file"
    for path in files:
        if not whole_file(path):
            return f"{path.name} is not as long as its header says"
    return ""


def step_of(name: str) -> int:
    """The last number in a name (``checkpoint-500``, ``global_step_20``); 0 if there is none."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else 0


def foreign(name: str, folder: Path) -> Located | str | None:
    """The checkpoint that another program left in a folder; in words why it is none; None where
    nothing looks like one."""
    has_config = (folder / "config.json").is_file()
    if not has_config and not any(folder.glob("*.safetensors")):
        return pickled(folder)
    trouble = trouble_with(folder)
    # training_args.bin comes from transformers' Trainer, which
    # saves the weights first and its own state at the end.
    if (folder / "training_args.bin").is_file() and not (folder / "trainer_state.json").is_file():
        trouble = "transformers writes trainer_state.json last, and it is not there"
    if trouble:
        return f"{folder}: not a complete checkpoint: {trouble}"
    step = step_of(name)
    return Located(name, step, step, folder, "huggingface" if has_config else "state_dict")


def pickled(folder: Path) -> str | None:
    """In words that a folder holds its weights as a pickle; None if it does not."""
    # Opening a pickle may run code that somebody has put into it.
    for pattern in ("*.bin", "*.pt", "*.pth"):
        for path in sorted(folder.glob(pattern)):
            return f"{folder}: {path.name} is a pickle, which is not opened; save it as safetensors"
    return None


def verl(folder: Path, latest: int | None) -> Located | str | None:
    """The checkpoint in a ``global_step_N`` of verl, which lies in ``actor/huggingface``; in words
    why there is none.

    ``latest`` is the step that verl has finished last, None if it does not say.
    """
    step, model = step_of(folder.name), folder / "actor" / "huggingface"
    # A folder of a later step than the one named in that
    # file may lack shards that are still being written.
    if latest is not None and step > latest:
        return f"{folder}: {LATEST} says {latest}: it is still being written"
    # verl saves one shard per rank (model_world_size_8_rank_0.pt), which only verl can load.
    if not model.is_dir():
        return (
            f"{folder}: no actor/huggingface; add hf_model to verl's checkpoint contents, or "
            "merge it with verl's model_merger"
        )
    # Configuration and tokenizer may lie here while the weights are in the shards alone.
    if not any(model.glob("*.safetensors")):
        return f"{model}: configuration without weights; merge the shards with verl's model_merger"
    return foreign(folder.name, model)


def locate(folder: Path) -> tuple[list[Located], list[str]]:
    """Every complete checkpoint below ``folder``, lowest step first; and, in words, what looks like
    one and is not.

    ``folder`` is an output folder of ours, holds one folder per checkpoint, or is a checkpoint
    itself.
    """
    own = [
        Located(
            one.manifest.name,
            one.manifest.step,
            one.manifest.epoch,
            one.model,
            one.manifest.format,
            one.manifest,
        )
        for one in complete(folder)
    ]
    # One manifest of ours makes the folder ours: the rest of it is not searched.
    candidates = own or foreign_below(folder)
    located = [one for one in candidates if isinstance(one, Located)]
    problems = [one for one in candidates if isinstance(one, str)]
    return sorted(located, key=lambda one: (one.step, one.name)), problems


def foreign_below(folder: Path) -> list[Located | str | None]:
    """The same of a folder that another program wrote: itself, or the folders in it."""
    # The user may name one checkpoint instead of the folder above it.
    itself = foreign(folder.name, folder)
    if itself is not None:
        return [itself]
    mark = folder / LATEST
    latest = int(mark.read_text()) if mark.is_file() else None
    candidates: list[Located | str | None] = []
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if re.fullmatch(r"global_step_\d+", path.name):
            candidates.append(verl(path, latest))
        else:
            candidates.append(foreign(path.name, path))
    return candidates
