"""Which files of a folder are a model's weights, and whether they are all there and whole.

In: a folder of safetensors files, with or without an index. Out: the files, the shapes of their
tensors, or in words what is wrong with them. Only names and headers are read. Called by
``checkpoints.py`` and ``checkpoint_formats.py``, by ``orch evolve`` when it links weights, and by
evaluations before an engine loads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from engines.contract.formats.safetensors_header import Shapes, read_header

INDEX = ".safetensors.index.json"
"""How the name of an index ends: which tensor lies in which file."""
ADAPTER = re.compile(r"(\d+_)?adapters?([._-]|$)|pytorch_lora_weights[._]", re.IGNORECASE)
"""Names of adapters: what PEFT, torchtune and others save in place of a whole model, or beside
it."""
STATE = re.compile(
    r"(^|[._-])(optim|optimizer|scheduler|tokenizer|rng|rng_states?|random_states?|scaler"
    r"|trainer_state|training_args)([._-]|\d|$)",
    re.IGNORECASE,
)
"""Names of a training's state and of tokenizers, which some programs save as safetensors too."""
PART = re.compile(r"(?P<series>.*?)[-_.]?(?P<number>\d+)[-_]of[-_](?P<count>\d+)\.safetensors")
"""``model-00001-of-00002.safetensors``."""
UNMERGED = (".lora_A.", ".lora_B.", ".lora_embedding_A", ".lora_embedding_B")
"""In the names of tensors that an adapter adds to a model."""


def is_weights(name: str) -> bool:
    """Whether a safetensors file of this name belongs to the model, and is no adapter, optimizer or
    tokenizer."""
    return name.endswith(".safetensors") and not ADAPTER.match(name) and not STATE.search(name)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the model in ``folder``, by name; links that lead nowhere
    included."""
    return [path for path in sorted(folder.glob("*.safetensors")) if is_weights(path.name)]


def index_of(folder: Path) -> Path | None:
    """The index of a model in several files; None if there is none."""
    # Some folders hold a second index, of the same model in another precision.
    usual = folder / f"model{INDEX}"
    others = sorted(folder.glob(f"*{INDEX}"))
    return usual if usual.is_file() else next(iter(others), None)


def trouble_with(folder: Path) -> str:
    """Why the weights in ``folder`` are not whole; "" if they are."""
    shapes = shapes_of(folder)
    return shapes if isinstance(shapes, str) else ""


def shapes_of(folder: Path) -> Shapes | str:
    """The shape of every tensor of the model in ``folder``; in words why its weights are not
    whole."""
    placed: dict[str, str] | None = None
    files = weight_files(folder)
    index = index_of(folder)
    if index is not None:
        # Weights in several files: the index names all of them, so a missing one is noticed.
        found = read_index(index)
        if isinstance(found, str):
            return f"{index.name} {found}"
        placed = found
        files = [folder / name for name in sorted(set(placed.values()))]
    if not files:
        return "no safetensors file"
    missing = missing_files(files)
    if missing:
        return missing
    shapes = read_together(files)
    if isinstance(shapes, str) or placed is None:
        return shapes
    for tensor, name in placed.items():
        if tensor not in shapes:
            return f"{name} does not hold {tensor}, which {INDEX[1:]} places there"
    return shapes


def read_index(index: Path) -> dict[str, str] | str:
    """Tensor -> file, as an index says; in words why it says nothing that can be used."""
    try:
        document = json.loads(index.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return f"cannot be read ({type(error).__name__}: {error})"
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict):
        return "has no table 'weight_map' from tensors to files"
    if not weight_map:
        return "names no file"
    for name in weight_map.values():
        # A name with a folder in it leads out of the checkpoint.
        if not isinstance(name, str) or Path(name).name != name or not is_weights(name):
            return f"names {name!r}, which is no file of weights beside it"
    return weight_map


def missing_files(files: Sequence[Path]) -> str:
    """Which of the files that make up the weights are not there, in words; "" if all are."""
    absent = [path.name for path in files if not path.is_file()]
    if absent:
        return f"{len(absent)} of {len(files)} weight files are missing, such as {absent[0]}"
    # "-of-00002" says how many there will be. While a model is being saved, some are not there, and
    # the index, which is written last, is not there either.
    for (series, digits, count), numbers in parts(path.name for path in files).items():
        # Most count from 1, some from 0: part 1 of 2 alone may be either, and 2 is missing.
        first = 0 if 0 in numbers else 1
        there = [number for number in numbers if first <= number < first + count]
        if len(there) < count:
            absent_number = first
            while absent_number in numbers:
                absent_number += 1
            example = f"{series}{absent_number:0{digits}}-of-{count:0{digits}}.safetensors"
            return f"{count - len(there)} of {count} weight files are missing, such as {example}"
    return ""


def parts(names: Iterable[str]) -> dict[tuple[str, int, int], set[int]]:
    """The numbers that are there of each series of files, by (its name, digits of a number, how
    many there should be)."""
    found: dict[tuple[str, int, int], set[int]] = {}
    for name in names:
        match = PART.fullmatch(name)
        if match is not None:
            series = name[: match.start("number")]
            key = (series, len(match["number"]), int(match["count"]))
            found.setdefault(key, set()).add(int(match["number"]))
    return found


def read_together(files: Sequence[Path]) -> Shapes | str:
    """The shapes in files that make up one model; in words why they do not."""
    shapes: Shapes = {}
    where: dict[str, str] = {}
    for path in files:
        header = read_header(path)
        if isinstance(header, str):
            return f"{path.name} {header}"
        for tensor, shape in header.items():
            if any(sign in tensor for sign in UNMERGED):
                return (
                    f"{path.name} holds an adapter ({tensor}): merge it into the model and "
                    "save the whole"
                )
            if tensor in where:
                return (
                    f"{where[tensor]} and {path.name} both hold {tensor}: these are several "
                    "models; give each a folder of its own"
                )
            where[tensor] = path.name
            shapes[tensor] = shape
    return shapes
