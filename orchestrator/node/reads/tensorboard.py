"""Scalars of TensorBoard's event files.

In: a folder, searched to its depths. Out: points by tag. Called by ``kinds``.

A file is a list of records: length, its checksum, an event, its checksum (TFRecord). Each file is
read on from where the last look ended. Tags of two folders are two metrics, unless the folder's
name is only that of a life of the program. Observed with tensorboard 2.21.
"""

from __future__ import annotations

import os
import re
import struct

from orchestrator.node.reads.files import Place
from orchestrator.node.reads.protobuf import fields, numbers, signed
from orchestrator.node.reads.series import Found, Point

HEADER = 12
LARGEST = 1 << 20
"""Bytes of an event that can be one of scalars; pictures are passed over unread."""
LIFE = re.compile(
    # SummaryWriter and transformers; Lightning; add_hparams; and where they put them.
    r"[A-Z][a-z]{2}\d{1,2}_\d{2}-\d{2}-\d{2}_.+|version_\d+|\d{10}(\.\d+)?|runs|lightning_logs"
)
"""Names of folders that say when or where, and not what."""
FLOAT, DOUBLE, INT32, INT64 = 1, 2, 3, 9
"""Types of a tensor that holds one number."""


def crc_table() -> list[int]:
    """CRC-32C (Castagnoli) of each byte, reflected: polynomial 0x1EDC6F41, RFC 3720, B.4."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


TABLE = crc_table()


def masked_crc(data: bytes) -> int:
    """The checksum of a TFRecord."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


class EventFile:
    """What was read of one file so far."""

    def __init__(self, path: str, prefix: str) -> None:
        self.path = path
        self.prefix = prefix
        self.at = 0
        self.scalars: list[tuple[float, int, str, float]] = []
        """Wall time, step, metric, value."""
        self.damaged: list[int] = []
        """Where records are that do not fit their checksums."""
        self.stuck = False
        """The length of a record is damaged: nobody knows where the next one begins."""

    def read_on(self) -> None:
        """Read the records that are whole."""
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            while not self.stuck and self.at + HEADER <= size:
                file.seek(self.at)
                header = file.read(HEADER)
                length, crc = struct.unpack("<QI", header)
                if masked_crc(header[:8]) != crc:
                    self.damaged.append(self.at)
                    self.stuck = True
                    return
                end = self.at + HEADER + length + 4
                if end > size:
                    return
                if length <= LARGEST:
                    self.take(file.read(length), file.read(4))
                self.at = end

    def take(self, data: bytes, crc: bytes) -> None:
        """Take one record in."""
        try:
            if struct.unpack("<I", crc)[0] != masked_crc(data):
                raise ValueError("checksum")
            self.scalars += [
                (time, step, f"{self.prefix}{tag}", value)
                for time, step, tag, value in scalars_of(data)
            ]
        except (ValueError, struct.error):
            self.damaged.append(self.at)

    @property
    def torn(self) -> int:
        """Bytes at the end that are no whole record (yet)."""
        return 0 if self.stuck else os.stat(self.path).st_size - self.at


def scalars_of(event: bytes) -> list[tuple[float, int, str, float]]:
    """Wall time, step, tag and value of the scalars of an event (tensorboard/compat/proto/
    event.proto and summary.proto)."""
    time, step, found = 0.0, 0, []
    for number, value in fields(event):
        if number == 1:
            (time,) = numbers(value, "d")
        elif number == 2 and isinstance(value, int):
            step = signed(value)
        elif number == 5 and isinstance(value, bytes):
            found += [scalar_of(one) for key, one in fields(value) if key == 1]
    return [(time, step, *one) for one in found if one is not None]


def scalar_of(value: int | bytes) -> tuple[str, float] | None:
    """Tag and value of a ``Summary.Value``; None if it is no scalar."""
    assert isinstance(value, bytes)
    tag, found, plugin = "", None, ""
    for number, one in fields(value):
        if number == 1 and isinstance(one, bytes):
            tag = one.decode(errors="replace")
        elif number == 2:
            (found,) = numbers(one, "f")
        elif number == 8 and isinstance(one, bytes):
            found = tensor_of(one)
        elif number == 9 and isinstance(one, bytes):
            plugin = plugin_of(one)
    # TensorFlow 2 names the plugin with the first value of a tag only.
    return None if found is None or plugin not in ("", "scalars") else (tag, found)


def plugin_of(metadata: bytes) -> str:
    """Which plugin of TensorBoard shows it."""
    for number, data in fields(metadata):
        if number == 1 and isinstance(data, bytes):
            for key, name in fields(data):
                if key == 1 and isinstance(name, bytes):
                    return name.decode(errors="replace")
    return ""


def tensor_of(tensor: bytes) -> float | None:
    """The number in a ``TensorProto`` without dimensions; None if it holds another thing."""
    kind, content, found = 0, b"", []
    for number, value in fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and value:  # a dimension
            return None
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number in (5, 6):
            found += numbers(value, "f" if number == 5 else "d")
    forms = {FLOAT: "f", DOUBLE: "d", INT32: "i", INT64: "q"}
    if content and kind in forms:
        found = numbers(content, forms[kind])
    return found[0] if len(found) == 1 and kind in forms else None


class EventFiles:
    """All event files below a folder."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.files: dict[str, EventFile] = {}

    def read(self, final: bool) -> Found:
        """All scalars so far, in the order in which they were measured, over all files: each life
        of a program begins a file of its own."""
        found = Found()
        for path in self.place.below("events.out.tfevents.*"):
            if path not in self.files:
                self.files[path] = EventFile(path, prefix_of(path, self.place.path))
            file = self.files[path]
            file.read_on()
            name = self.place.shown(path)
            if file.damaged:
                rest = "; the rest of the file cannot be read" if file.stuck else "; passed over"
                found.problems.append(
                    f"{name}: damaged at byte {file.damaged[0]}, {len(file.damaged)} "
                    f"{'record' if len(file.damaged) == 1 else 'records'} in all{rest}"
                )
            if final and file.torn:
                found.problems.append(f"{name}: the last {file.torn} bytes are no whole record")
        scalars = sorted(
            (one for file in self.files.values() for one in file.scalars), key=lambda one: one[0]
        )
        found.points = [
            Point(step, {metric: value}, time) for time, step, metric, value in scalars if step >= 0
        ]
        return found


def prefix_of(path: str, root: str) -> str:
    """What stands before the tags of a file."""
    below = os.path.dirname(os.path.relpath(path, root))
    kept = [part for part in below.split(os.sep) if part and not LIFE.fullmatch(part)]
    return "".join(f"{part}/" for part in kept)
