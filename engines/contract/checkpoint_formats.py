"""Checkpoints below any folder: ours, plain Hugging Face folders, weights alone, and those of verl.
Light on purpose (no torch)."""

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
    """Whether a safetensors file is as long as its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size, LONGEST_HEADER):
            return False
        try:
            header = json.loads(file.read(length))
        except ValueError:
            return False
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    return size == 8 + length + max(ends, default=0)


def trouble_with(folder: Path) -> str:
    """Why the weights in ``folder`` are not whole; "" if they are."""
    index = folder / "model.safetensors.index.json"
    files = sorted(folder.glob("*.safetensors"))
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError) as error:
            return f"{index.name} cannot be read ({error})"
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            return f"{len(missing)} of {len(names)} weight files are missing, such as {missing[0]}"
        files = [folder / name for name in names]
    if not files:
        return "no safetensors file"
    torn = [path.name for path in files if not whole_file(path)]
    return f"{torn[0]} is not as long as its header says" if torn else ""


def step_of(name: str) -> int:
    """The last number in a name (``checkpoint-500``, ``global_step_20``); 0 if there is none."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else 0


def foreign(name: str, folder: Path) -> Located | str | None:
    """The checkpoint in a folder, why it is none, or None where nothing looks like one."""
    described, weights = (folder / "config.json").is_file(), any(folder.glob("*.safetensors"))
    if not described and not weights:
        pickled = [
            path.name
            for pattern in ("*.bin", "*.pt", "*.pth")
            for path in sorted(folder.glob(pattern))
        ]
        return (
            f"{folder}: {pickled[0]} is a pickle, which is not opened; save it as safetensors"
            if pickled
            else None
        )
    trouble = trouble_with(folder)
    if (folder / "training_args.bin").is_file() and not (folder / "trainer_state.json").is_file():
        trouble = "transformers writes trainer_state.json last, and it is not there"
    if trouble:
        return f"{folder}: not a complete checkpoint: {trouble}"
    return Located(
        name, step_of(name), step_of(name), folder, "huggingface" if described else "state_dict"
    )


def verl(folder: Path, latest: int | None) -> Located | str | None:
    """The checkpoint of a ``global_step_N``: ``actor/huggingface`` below it. Not one that verl has
    not finished."""
    step, model = step_of(folder.name), folder / "actor" / "huggingface"
    if latest is not None and step > latest:
        return f"{folder}: {LATEST} says {latest}: it is still being written"
    if not model.is_dir():
        return (
            f"{folder}: no actor/huggingface; add hf_model to verl's checkpoint contents, or "
            "merge it with verl's model_merger"
        )
    if not any(model.glob("*.safetensors")):
        return f"{model}: configuration without weights; merge the shards with verl's model_merger"
    return foreign(folder.name, model)


def locate(folder: Path) -> tuple[list[Located], list[str]]:
    """Every complete checkpoint below ``folder``, lowest step first; and, in words, what looks like
    one and is not.

    ``folder`` is an output folder of ours, holds one folder per checkpoint, or is a checkpoint
    itself.
    """
    ours = complete(folder)
    if ours:
        found: list[Located | str | None] = [
            Located(
                one.manifest.name,
                one.manifest.step,
                one.manifest.epoch,
                one.model,
                one.manifest.format,
                one.manifest,
            )
            for one in ours
        ]
    elif (itself := foreign(folder.name, folder)) is not None:
        found = [itself]
    else:
        mark = folder / LATEST
        latest = int(mark.read_text()) if mark.is_file() else None
        found = [
            verl(path, latest)
            if re.fullmatch(r"global_step_\d+", path.name)
            else foreign(path.name, path)
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
    whole = [one for one in found if isinstance(one, Located)]
    return sorted(whole, key=lambda one: (one.step, one.name)), [
        one for one in found if isinstance(one, str)
    ]
