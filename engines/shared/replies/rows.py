"""Rows of a text and a reply, from a file of one object a line.

In: a JSONL file with any field names, or a folder that the engine ``polychromic_data`` made. Out:
``Reply`` objects, or one line that names file, line and value. Light: no torch, no numpy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engines.contract.config import ConfigError
from engines.shared.replies.description import Fields, Manifest, Split

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Reply:
    """One reply to one text."""

    id: str
    """Differs between all rows of a folder."""
    prompt: str
    """The text that is answered, as it was written."""
    reply: str
    quantity: float | None = None
    """Likes of the reply over those of the text, at least 0; None: not known."""
    quartile: int | None = None
    """0 to 3, of ``quantity`` over the whole file."""
    topic: str | None = None
    """What the text is about, where somebody knows."""


def read_rows(path: Path, fields: Fields) -> list[Reply]:
    """The rows of a JSONL file, without quartiles. ConfigError names file and line for a line that
    is no object, a text that is missing or empty, likes that are no number, and two rows that are
    the same."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}:{number}"
            rows.append(row_of(parsed(line, where), fields, where))
    if not rows:
        raise ConfigError(f"{path}: holds no row; give a file with one JSON object a line")
    return rows


def parsed(line: bytes, where: str) -> dict[str, Any]:
    """The object of a line."""
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{where}: not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: an object is expected, got {str(value)[:80]!r}")
    return value


def row_of(value: dict[str, Any], fields: Fields, where: str) -> Reply:
    """A row from its object."""
    prompt = text_of(value, fields.prompt, where)
    reply = text_of(value, fields.reply, where)
    name = identity(value, fields.id, where)
    author = value.get(fields.author) if fields.author else None
    # Several replies may answer one text, so the text's own id does not tell rows apart.
    own = hashlib.sha256(json.dumps([author, reply], default=str).encode()).hexdigest()[:8]
    topic = value.get(fields.topic) if fields.topic else None
    if topic is not None and not isinstance(topic, str):
        raise ConfigError(f"{where}: key '{fields.topic}': a text is expected, got {topic!r}")
    return Reply(f"{name}-{own}", prompt, reply, quantity_of(value, fields, where), topic=topic)


def text_of(value: dict[str, Any], key: str, where: str) -> str:
    """A text that must be there."""
    if key not in value:
        raise ConfigError(
            f"{where}: key '{key}' is missing; there are {', '.join(value)}; name the right one "
            "under fields"
        )
    text = value[key]
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{where}: key '{key}': a text is expected, got {text!r}")
    return text


def identity(value: dict[str, Any], key: str, where: str) -> str:
    """What tells texts apart, a text or a whole number."""
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise ConfigError(f"{where}: key '{key}': a text or a number is expected, got {found!r}")
    return str(found)


def quantity_of(value: dict[str, Any], fields: Fields, where: str) -> float | None:
    """Likes of the reply over those of the text, which count as 1 at least; None if either is not
    known."""
    likes = likes_of(value, fields.reply_likes, where)
    of_prompt = likes_of(value, fields.prompt_likes, where)
    if likes is None or of_prompt is None:
        return None
    return likes / max(of_prompt, 1.0)


def likes_of(value: dict[str, Any], key: str | None, where: str) -> float | None:
    """A count of likes; None if the row has none."""
    likes = value.get(key) if key else None
    if likes is None:
        return None
    # A comparison that nan fails, too.
    number = isinstance(likes, int | float) and not isinstance(likes, bool)
    if not number or not 0 <= likes < float("inf"):
        raise ConfigError(f"{where}: key '{key}': a number of likes is expected, got {likes!r}")
    return float(likes)


def as_jsonl(rows: Iterable[Reply]) -> bytes:
    """The content of the file of a split."""
    return b"".join(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n" for row in rows)


def split_file(split: Split) -> str:
    """Where a split lies in its folder."""
    return f"splits/{split}.jsonl"


def read_manifest(folder: Path | str) -> Manifest:
    """What a folder of replies says of itself; ConfigError if it is none."""
    path = Path(folder) / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; give the output folder of a finished "
            "polychromic_data"
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"{path}: {key}: {problem['msg']}; make the data again with this version"
        ) from error


def read_split(folder: Path | str, split: Split) -> list[Reply]:
    """The rows of a split, in their order; ConfigError if the file is not what the manifest
    says."""
    manifest = read_manifest(folder)
    path = Path(folder) / split_file(split)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != manifest.sha256.get(split_file(split)):
        raise ConfigError(
            f"{path}: was changed after it was made (another sha256 than in {MANIFEST}); make the "
            "data again"
        )
    return [Reply(**json.loads(line)) for line in content.splitlines() if line.strip()]
