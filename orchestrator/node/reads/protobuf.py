"""Fields of protocol buffers, without their descriptions.

In: the bytes of a message. Out: its fields by number. Called by ``tensorboard`` and ``wandb``.
Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field, the bytes of fixed ones as they are. ValueError if the
    message is none."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        value: int | bytes
        if kind == VARINT:
            value, at = varint(data, at)
        else:
            if kind == BYTES:
                length, at = varint(data, at)
            elif kind in (FIXED32, FIXED64):
                length = 4 if kind == FIXED32 else 8
            else:
                raise ValueError(f"wire type {kind}")
            value = data[at : at + length]
            at += length
            if len(value) < length:
                raise ValueError("ends within a field")
        yield key >> 3, value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def signed(value: int) -> int:
    """An int64, whose varint is that of its two's complement."""
    return value - 2**64 if value >= 2**63 else value


def numbers(value: int | bytes, form: str) -> list[float]:
    """One fixed number, or a packed list of them; ``form`` as of ``struct``."""
    assert isinstance(value, bytes)
    size = struct.calcsize(form)
    whole = value[: len(value) // size * size]
    return [one for (one,) in struct.iter_unpack(f"<{form}", whole)]
