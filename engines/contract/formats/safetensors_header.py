"""The header of a safetensors file: names and shapes, and whether the file is as long as it says.

In: a file. Out: its header, or in words why it is none. Nothing in the file is trusted: it may be
half written, damaged, or of another kind. No tensor is read. Called by ``weights.py``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeGuard

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
"""Tensor -> its shape."""

LONGEST_HEADER = 100_000_000
"""Bytes; the format allows no longer one."""
TOO_SHORT = "is not as long as its header says"
GAPS = "has a header whose tensors overlap, or leave bytes out between them"
BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E4M3FNUZ": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one number by its type. Of types that are younger than this list no size is asked."""
LETTERS_SHOWN = 60
"""Of a name that a damaged file may have made long."""


def read_header(path: Path) -> Shapes | str:
    """The shapes of the tensors in a file; in words why it cannot be used: "is empty", ...

    The file is the length of the header (8 bytes), the header as JSON, and the tensors, whose ends
    the header names.
    """
    # A copy that broke off or a full disk leaves a file that is too short. Its size and its header
    # show that; no tensor has to be read.
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        # A damaged file may name a header of any length: it is not read into memory then.
        if size < 8 + length or length > LONGEST_HEADER:
            return TOO_SHORT
        text = file.read(length)
    try:
        header = json.loads(text.decode())
    except UnicodeDecodeError:
        return "has a header that is not UTF-8: it is damaged, or no safetensors file"
    # RecursionError: brackets nested by the thousand.
    except (ValueError, RecursionError):
        return "has a header that is not JSON: it is damaged, or no safetensors file"
    if not isinstance(header, dict):
        return f"has a header that is a {type(header).__name__} and not a table of tensors"
    return shapes_in(header, size - 8 - length)


def shapes_in(header: dict[str, Any], data_length: int) -> Shapes | str:
    """The shapes that a header tells of ``data_length`` bytes of tensors; in words why it tells
    none."""
    shapes: Shapes = {}
    spans: list[list[int]] = []
    for name, entry in header.items():
        # The one entry that describes no tensor.
        if name == "__metadata__":
            if not is_metadata(entry):
                return "has a header whose '__metadata__' is no table of texts"
            continue
        if not is_tensor(entry):
            return f"has a header whose entry '{name[:LETTERS_SHOWN]}' describes no tensor"
        if not has_its_size(entry):
            return (
                f"has a header whose entry '{name[:LETTERS_SHOWN]}' has more or fewer bytes than "
                f"its shape {entry['shape']} in {entry['dtype']}"
            )
        shapes[name] = tuple(entry["shape"])
        spans.append(entry["data_offsets"])
    if not shapes:
        return "holds no tensor"
    if max(end for _, end in spans) != data_length:
        return TOO_SHORT
    return shapes if are_in_a_row(spans) else GAPS


def are_in_a_row(spans: list[list[int]]) -> bool:
    """Whether each tensor begins where the one before it ends, the first at 0: the format leaves
    nothing out, and the library reads no file that does."""
    position = 0
    for begin, end in sorted(spans):
        if begin != position:
            return False
        position = end
    return True


def has_its_size(entry: dict[str, Any]) -> bool:
    """Whether a tensor has the bytes that its shape needs."""
    begin, end = entry["data_offsets"]
    bits = BITS.get(entry["dtype"])
    return bits is None or math.prod(entry["shape"]) * bits == 8 * (end - begin)


def is_tensor(entry: Any) -> bool:
    """Whether an entry of a header describes a tensor: its type, its shape, where it begins and
    ends."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not is_counts(shape) or not is_counts(offsets) or len(offsets) != 2:
        return False
    return offsets[0] <= offsets[1]


def is_metadata(entry: Any) -> bool:
    """Whether an entry of a header is what a program noted about the file: texts by name, or
    nothing."""
    return entry is None or (
        isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values())
    )


def is_counts(value: Any) -> TypeGuard[list[int]]:
    """Whether a value is a list of whole numbers from 0 on."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
