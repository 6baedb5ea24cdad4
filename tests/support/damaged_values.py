"""Ways to damage a record: every place in a JSON document, and every kind of value that it does not
expect there; and the whole file.

Pure. The tests of damaged files and values put them into the records of a run, one at a time.
"""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

DEEP, DIGITS = "@deep@", "@digits@"
"""Stand for what Python's own writer does not write."""
WRITTEN_AS = {DEEP: "[" * 20_000 + "]" * 20_000, DIGITS: "9" * 6_000}
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 2.5, 10**15, 10**18, 10**400, 1e308, math.nan, math.inf, DIGITS),
    *("x", "", "RUNNING", "a\nb", "../..", "x_\N{SUPERSCRIPT TWO}", "\0", "\ud800", "y" * 100_000),
    *([], [1], [[]], [{}], {}, {"x": [1]}, DEEP),
)
OTHER_WAYS = ("missing", "one key more", "the last item twice", "without the last item")
MOST_ALIKE = 40
"""A mapping with more keys than this names things, such as packages: two of them stand for all."""


def kinds() -> list[tuple[str, Any]]:
    """All that may become of a place: a way, and for a value which."""
    return [("value", value) for value in VALUES] + [(way, None) for way in OTHER_WAYS]


def places(values: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a document, itself among them."""
    yield path
    if isinstance(values, dict):
        for key in list(values)[: 2 if len(values) > MOST_ALIKE else None]:
            yield from places(values[key], (*path, key))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from places(value, (*path, number))


def unlike(values: Any, seen: Counter[object], file: str, most: int) -> Iterator[Path]:
    """The places, of those that differ in the numbers of items alone so many."""
    for path in places(values):
        shape = tuple("*" if isinstance(part, int) else part for part in path)
        alike = (file, shape, type(at(values, path)).__name__)
        seen[alike] += 1
        if seen[alike] <= most:
            yield path


def at(values: Any, path: Path) -> Any:
    """What stands at a place."""
    for part in path:
        values = values[part]
    return values


def damaged(values: Any, path: Path, way: str, value: Any) -> bytes | None:
    """A document with one place as it should not be; None where that changes nothing."""
    # A list around it, so that the document itself is a place like the others.
    whole = [copy.deepcopy(values)]
    *above, key = (0, *path)
    within = at(whole, tuple(above))
    there = within.get(key) if isinstance(within, dict) else within[key]
    if way == "value":
        if type(there) is type(value) and there == value:
            return None
        within[key] = value
    elif way == "missing":
        del within[key]
    elif way == "one key more" and isinstance(there, dict):
        there["a key of tomorrow"] = [1]
    elif way == "the last item twice" and isinstance(there, list) and there:
        there.append(copy.deepcopy(there[-1]))
    elif way == "without the last item" and isinstance(there, list) and there:
        there.pop()
    else:
        return None
    return written(whole[0]) if whole else b""


def written(values: Any) -> bytes:
    """JSON with what stands for the rest written out."""
    text = json.dumps(values)
    for word, long in WRITTEN_AS.items():
        text = text.replace(f'"{word}"', long)
    return text.encode()


def documents(contents: Mapping[str, bytes]) -> Iterator[tuple[str, int | None, Any]]:
    """The documents in files: name, line (None: the whole file), values. Of files of lines the
    first and the last."""
    for name, content in sorted(contents.items()):
        lines = content.splitlines()
        if name.endswith(".jsonl"):
            for number in sorted({0, len(lines) - 1} if lines else ()):
                yield name, number, json.loads(lines[number])
        elif name.endswith(".json") and content:
            yield name, None, json.loads(content)


def with_line(content: bytes, line: int | None, new: bytes) -> bytes:
    """A file with one of its documents replaced."""
    if line is None:
        return new
    lines = content.splitlines()
    lines[line] = new
    return b"\n".join(lines) + b"\n"


ANOTHER = b'{"version": 1, "schema": 1, "name": "other", "rows": {}, "jobs": "none"}'
WAYS: dict[str, bytes | None] = {
    "gone": None,
    "empty": b"",
    "half": b"half",
    "list": b"[1, 2]",
    "null": b"null",
    "binary": b"\xff\xfe\x00",
    "another document": ANOTHER,
    "other types": b"types",
    "newer": b"newer",
}


def damaged_whole(content: bytes, way: str) -> bytes | None:
    """A file's content, damaged; None: it is gone. What is no JSON has no other types."""
    if way == "half":
        return content[: len(content) // 2]
    if way not in ("other types", "newer"):
        return WAYS[way]
    try:
        values = json.loads(content)
    except ValueError:
        return content
    if not isinstance(values, dict):
        return content
    if way == "newer":
        return json.dumps({**values, "version": 99, "a key of tomorrow": [1]}).encode()
    return json.dumps({key: {"x": [1]} for key in values}).encode()
