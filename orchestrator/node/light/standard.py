"""What the program on a node needs of json, contextlib, signal, hashlib and ctypes, without their
imports: these take as long as all else that an empty job does.

In and out: as there. Each is made of the module in C that the library's own is made of, and is the
library's own where Python has no such module. Called by the rest of this package.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    from types import TracebackType
    from typing import IO, Any
else:
    try:
        import _signal as signal
    except ImportError:
        import signal

NAMES = {
    getattr(signal, name): name for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGALRM")
}
"""Of the signals that a job is sent."""
SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
"""What prctl is asked to do (linux/prctl.h)."""
SPACE = " \t\n\r"
"""Between the parts of a JSON document."""


MAKERS: dict[str, Any] = {}
"""What makes a hash, once one was asked for: modules that are not there are looked for anew."""


def sha256(content: bytes = b"") -> Any:
    """As ``hashlib.sha256``."""
    if not MAKERS:
        try:
            from _sha2 import sha256 as made  # type: ignore[import-not-found]  # from Python 3.12
        except ImportError:
            try:
                from _sha256 import sha256 as made  # type: ignore[import-not-found]
            except ImportError:
                from hashlib import sha256 as made
        MAKERS["sha256"] = made
    return MAKERS["sha256"](content)


class suppress:  # as in contextlib
    """Pass over these exceptions in a block, as ``contextlib.suppress`` does."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self.errors = errors

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Whether the exception is one of them."""
        return kind is not None and issubclass(kind, self.errors)


def prctl(option: int, value: int) -> None:
    """Ask the kernel for something about this process."""
    try:
        import _ctypes

        library: Any = _ctypes
        address = library.dlsym(library.dlopen(None, 0), "prctl")
        library.call_function(address, (option, value))
    except (ImportError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


MOST_DIGITS = 18
"""Of a number that counts anything."""


def whole(text: str) -> int | None:
    """The whole number that a text is; None if it is none. Not every digit is one to ``int``, such
    as the 2 of m\N{SUPERSCRIPT TWO}, and it refuses thousands of them."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


LARGEST_BYTES = 1 << 30
"""Of a record: a state of a million jobs is smaller."""
NO_FILE = 22
"""EINVAL."""
NO_FILES = (NO_FILE, 6, 40)
"""ENXIO of a socket, and ELOOP of links in a circle, too."""
FORMAT, REGULAR = 0o170000, 0o100000
"""Of a mode: the bits that say what a path is, and those of a file (as in module ``stat``)."""


def opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file, to be read. OSError for what is none: nobody waits for the other end of a pipe, and
    /dev/zero has none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if os.fstat(descriptor).st_mode & FORMAT != REGULAR:
        os.close(descriptor)
        raise OSError(NO_FILE, "it is a folder, a pipe or a device", os.fspath(path))
    return open(descriptor, "rb")


def record(path: str | os.PathLike[str]) -> bytes:
    """What a file holds that is read whole; OSError for what is none, or larger than any record."""
    with opened(path) as file:
        if os.fstat(file.fileno()).st_size > LARGEST_BYTES:
            raise OSError(NO_FILE, "is too large for a record", os.fspath(path))
        return file.read()


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A JSON document; ValueError if there is another or none, or something that is no file."""
    try:
        content = record(path)
    except OSError as error:
        if error.errno not in NO_FILES:
            raise
        raise ValueError(error.strerror) from error
    document: dict[str, Any] = loads(content.decode())
    return document


class Form:
    """How the scanner in C reads: as ``json.loads`` does by itself."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    @staticmethod
    def parse_constant(name: str) -> float:
        """NaN, Infinity and -Infinity, which strict JSON has not."""
        return float(name)


ODD = ("\\u0000", "\\ud", "\\uD")
"""How JSON begins what no file can be named by and no terminal shows: NUL, half of a character."""


def loads(text: str) -> Any:
    """A JSON document, whoever has written it; ValueError if it is none, or is nested too deep.
    NUL and halves of characters become the sign for an unknown one."""
    try:
        value = scanned(text)
        return printable(value) if any(odd in text for odd in ODD) else value
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


def scanned(text: str) -> Any:
    """A JSON document as it stands there; ValueError if it is none."""
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)
    begin = len(text) - len(text.lstrip(SPACE))
    form: Any = Form
    try:
        value, end = make_scanner(form)(text, begin)
    except (StopIteration, ValueError, SystemError):
        # The library says where and what is wrong. Where it is not loaded, the scanner looks for
        # its exception in vain, and that is a SystemError.
        import json

        return json.loads(text)
    if text[end:].strip(SPACE):
        raise ValueError(f"more than one JSON document from character {end}")
    return value


def dumps(value: object, indent: int | None = None) -> str:
    """JSON as ``json.dumps(value, indent=indent)`` writes it."""
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        import json

        return json.dumps(value, indent=indent)
    return written(value, encode_basestring_ascii, indent, 1)


def written(value: Any, quoted: Any, indent: int | None, depth: int) -> str:
    """One value; ``depth``: how many levels in its parts stand."""
    if isinstance(value, str):
        return str(quoted(value))
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        parts = [
            f"{quoted(key_of(key))}: {written(one, quoted, indent, depth + 1)}"
            for key, one in value.items()
        ]
        return joined("{", parts, "}", indent, depth)
    if isinstance(value, list | tuple):
        parts = [written(one, quoted, indent, depth + 1) for one in value]
        return joined("[", parts, "]", indent, depth)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def number(value: float) -> str:
    """A number as JSON, or as Python's own reader takes it where JSON has none."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)


def key_of(key: object) -> str:
    """The key of a mapping as text."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, bool | int | float):
        return written(key, None, None, 0)
    raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")


def joined(opening: str, parts: list[str], closing: str, indent: int | None, depth: int) -> str:
    """The parts of a list or a mapping."""
    if not parts:
        return f"{opening}{closing}"
    if indent is None:
        return f"{opening}{', '.join(parts)}{closing}"
    inner, outer = f"\n{' ' * (indent * depth)}", f"\n{' ' * (indent * (depth - 1))}"
    return f"{opening}{inner}{f',{inner}'.join(parts)}{outer}{closing}"
