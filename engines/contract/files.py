"""Files that appear whole or not at all: written under another name, then renamed.

Every file that another process may read while it is written goes through here; engines call it.
Files that are only appended to are read without what a kill has torn.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

LARGEST_BYTES = 1 << 30
"""Of what is read whole."""
ODD = (b"\\u0000", b"\\ud", b"\\uD")
"""How JSON begins what no file can be named by and no terminal shows: NUL, half of a character."""


def loads(content: bytes) -> Any:
    """A JSON document, whoever has written it; ValueError if it is none, or is nested too deep.
    NUL and halves of characters become the sign for an unknown one."""
    try:
        value = json.loads(content)
        return printable(value) if any(odd in content for odd in ODD) else value
    except RecursionError as error:
        raise ValueError("is nested too deep") from error


def printable(value: Any) -> Any:
    """The same document without NUL and without halves of characters, also in its keys."""
    if isinstance(value, str):
        whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return whole.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [printable(one) for one in value]
    if isinstance(value, dict):
        return {printable(key): printable(one) for key, one in value.items()}
    return value


def opened(path: Path) -> BinaryIO:
    """A file, to be read. OSError for what is none: nobody waits for the other end of a pipe, and
    /dev/zero has none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device", str(path))
    return os.fdopen(descriptor, "rb")


def content_of(path: Path) -> bytes:
    """What a record holds; OSError where it is no file, or larger than any record."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_BYTES:
            raise OSError(errno.EINVAL, "is too large for a record", str(path))
        return file.read()


def there(text: str) -> Path | None:
    """The file or folder that a person named, with ``~`` filled in; None where there is none, or
    where the text can be no path."""
    try:
        path = Path(text).expanduser()
        path.stat()
    # RuntimeError: no such user. ValueError: a NUL.
    except (OSError, ValueError, RuntimeError):
        return None
    return path


def write_text(path: Path, text: str) -> None:
    """Write a whole file so that a reader sees the old content or the new one, never half of it."""
    # Hidden, and named by the process: two that write the same file do not write into one another.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            # Without it a crash of the machine may leave the new name with no content.
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # A person knows the file by its own name, and half of one is of no use.
        error.filename = str(path)
        del error.filename2
        with suppress(OSError):
            temporary.unlink()
        raise


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON by rename. NaN is refused: it is not JSON and not a result."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of an append-only file; a torn last line is cut off, so that the next one starts
    clean."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    # rfind gives -1 where there is no line end: nothing is whole then.
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [loads(line) for line in whole.splitlines()]
