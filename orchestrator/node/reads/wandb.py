"""The history in W&B's offline folders.

In: a folder with ``offline-run-<time>-<id>`` somewhere below. Out: points. Called by ``kinds``.

``run-<id>.wandb`` is a log as LevelDB writes it (blocks of 32 KiB, records that may be cut into
parts, each with a checksum), and a record is a message ``Record`` of wandb.proto. A program that is
started again with the same id writes another folder, whose own steps begin at 0. Observed with
wandb 0.25 and 0.31, whose files are alike.
"""

from __future__ import annotations

import json
import os
import struct
import zlib

from orchestrator.node.reads.files import Place
from orchestrator.node.reads.protobuf import fields
from orchestrator.node.reads.series import Found, Point, number, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 32_768
RECORD_HEADER = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
HISTORY, EXIT = 2, 18
"""Fields of ``Record``."""
ITEM, KEY, NESTED_KEY, VALUE = 1, 1, 2, 16
"""Fields of ``HistoryRecord`` and ``HistoryItem``."""
OWN = ("_step", "_runtime", "_timestamp")
GLOBAL_STEPS = ("train/global_step", "trainer/global_step")
"""Keys by which transformers and Lightning count their own steps."""


def read_wandb(place: Place, step: str, final: bool) -> Found:
    """The histories of all folders, the latest life last."""
    found = Found()
    # The folder's name has the time of its start.
    files = sorted(
        place.below("run-*.wandb"), key=lambda path: os.path.basename(os.path.dirname(path))
    )
    ended = True
    for path in files:
        with open(path, "rb") as file:
            records, damaged = records_of(file.read())
        if damaged:
            found.problems.append(f"{place.shown(path)}: damaged at byte {damaged}")
        rows, ended = history(records)
        found.points += points_of(rows, step)
    if final and not ended:
        found.problems.append(
            f"{place.shown(files[-1])}: has no end: the program was killed, or did not call "
            "wandb.finish(), and up to 32 KiB of its last rows were never written"
        )
    if files and final and not found.points:
        found.problems.append(f"{place.shown(files[-1])}: no row has a step")
    return found


def records_of(data: bytes) -> tuple[list[bytes], int]:
    """The whole records of a file, and where the first damaged one is (0: none)."""
    if data[: len(HEADER)] != HEADER:
        return [], 0 if len(data) < len(HEADER) else 1
    at, damaged = len(HEADER), 0
    records: list[bytes] = []
    parts: list[bytes] = []
    while at + RECORD_HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < RECORD_HEADER:
            at += left
            continue
        crc, length, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + RECORD_HEADER : at + RECORD_HEADER + length]
        if len(part) < length:
            break
        # Over type and data; a block that was only set aside is of zeros.
        if zlib.crc32(part, zlib.crc32(bytes([kind]))) != crc:
            damaged = damaged or at
            parts = []
            # The next block begins anew.
            at += left
            continue
        at += RECORD_HEADER + length
        if kind in (FULL, FIRST):
            parts = []
        parts.append(part)
        if kind in (FULL, LAST):
            records.append(b"".join(parts))
    return records, damaged


def history(records: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    """The rows that were logged, and whether the run has ended by itself."""
    rows, ended = [], False
    for record in records:
        try:
            for field, value in fields(record):
                if field == HISTORY and isinstance(value, bytes):
                    rows.append(row_of(value))
                ended = ended or field == EXIT
        except ValueError:  # of a later version
            continue
    return rows, ended


def row_of(message: bytes) -> dict[str, Any]:
    """One row: values by name, those of nested keys by ``a.b`` as W&B shows them."""
    row = {}
    for field, item in fields(message):
        if field != ITEM or not isinstance(item, bytes):
            continue
        key, nested, value = "", [], b""
        for part, content in fields(item):
            if not isinstance(content, bytes):
                continue
            if part == KEY:
                key = content.decode(errors="replace")
            elif part == NESTED_KEY:
                nested.append(content.decode(errors="replace"))
            elif part == VALUE:
                value = content
        try:
            row[key or ".".join(nested)] = json.loads(value)
        except ValueError:
            continue
    return row


def points_of(rows: list[dict[str, Any]], step: str) -> list[Point]:
    """The numbers of rows. A row without the key of the step is of the step before."""
    key = step or next((one for one in GLOBAL_STEPS if any(one in row for row in rows)), "_step")
    points = []
    at = None
    for row in rows:
        at = at if whole(row.get(key)) is None else whole(row[key])
        if at is None:
            continue
        metrics = {
            name: value
            for name, one in row.items()
            if name not in OWN and name != key and (value := number(one)) is not None
        }
        if metrics:
            points.append(Point(at, metrics, number(row.get("_timestamp"))))
    return points
