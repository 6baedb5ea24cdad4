"""One answer of the server: its bytes, what they are, and whether the asker has them already.

In: values or bytes. Out: an ``Answer``. Pure. Made by answers.py and actions.py, sent by server.py.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

JSON, TEXT, HTML = "application/json", "text/plain; charset=utf-8", "text/html; charset=utf-8"
WORTH_PACKING = 1024
"""Bytes from which an answer is compressed; and by how much, as far as it costs little time."""
LEVEL = 1


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes
    kind: str = JSON
    status: int = 200
    tag: str = ""
    """The ETag; empty: what is asked for is different every time."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further headers; they go with an answer that nothing has changed, too."""
    file: Path | None = None
    """A file that is sent in place of ``body``, piece by piece."""

    def is_known(self, asked: str) -> bool:
        """Whether one of the tags of an ``If-None-Match`` is this one."""
        tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
        return bool(self.tag) and self.tag.removeprefix("W/") in tags


def of_values(values: Any, status: int = 200, more: Mapping[str, str] | None = None) -> Answer:
    """Values as JSON, with a tag of what they are."""
    body = msgspec.json.encode(values)
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    return Answer(body, status=status, tag=tag, more=more or {})


def refused(status: int, *lines: str) -> Answer:
    """An error, as lines for a person."""
    return Answer(msgspec.json.encode({"errors": list(lines)}), status=status)


def packed(body: bytes) -> bytes:
    """Compressed bytes, the same for the same input."""
    return gzip.compress(body, LEVEL, mtime=0)
