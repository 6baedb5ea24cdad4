"""Read a JSON file of a run that may be damaged: cut short by a crash, emptied by a full disk,
replaced by hand, or written by another version of orch.

In: a path, the type of what should be in it, and what becomes of it if it cannot be read. Out: the
document, or None as if the file were not there; then one line is noted. Called by everything above
that reads a file without which a run can still be understood. ``orchestrator.cli.__main__`` prints
what was noted. Files that a run cannot do without (``plan.json``, ``state.json``) have modules of
their own, which raise a RunError.
"""

from __future__ import annotations

import contextlib
import errno
import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from orchestrator.node.cost import LATEST, MOST_STARTS
from orchestrator.node.light.standard import loads, record
from orchestrator.runs.documents.damage import note

TRIES = 3
"""How often a file is opened that another machine has just replaced (ESTALE on NFS)."""
MOST_LETTERS = 300
"""Of what is quoted of a damaged file."""
NUL = b"\\u0000"
"""As strict JSON has it; halves of characters it has not."""

Moment = Annotated[float, msgspec.Meta(ge=0, lt=LATEST)]
"""Unix seconds, or how many they were; what no clock shows is a damaged file."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Starts = Annotated[int, msgspec.Meta(ge=0, lt=MOST_STARTS)]
"""How often a job was submitted, or started; whoever looks at each of them counts so far."""
Place = Annotated[str, msgspec.Meta(pattern=r"^(/[^/]{1,255})+$", max_length=4095)]
"""A path that a file may have."""
Code = Annotated[int, msgspec.Meta(gt=-(1 << 31), lt=1 << 31)]
"""Of how a program ended."""

T = TypeVar("T")


def content_of(path: Path | str) -> bytes:
    """The content of a file; OSError as of ``open``, and FileNotFoundError for a path that can be
    none."""
    for attempt in range(1, TRIES + 1):
        try:
            return record(path)
        except OSError as error:
            # On NFS a file that is replaced while it is read is gone for this reader; its name
            # leads to the new one.
            if error.errno != errno.ESTALE or attempt == TRIES:
                raise
        except ValueError as error:  # of a NUL or half a character
            raise FileNotFoundError(errno.ENOENT, str(error), str(path)) from error
    raise AssertionError("the last try returns or raises")


def decoded(content: bytes, kind: type[T]) -> T:
    """A document of this type; ValueError if it is none. Keys that the type does not have are
    passed over: a newer version may have written them."""
    # What can be shown as it is, mostly: whoever reads thousands of records decodes them at once.
    if NUL not in content:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(content, type=kind)
    try:
        return msgspec.convert(values_of(content), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(in_short(content, error)) from error


def values_of(content: bytes) -> Any:
    """A document as Python's own reader has it, which takes NaN and Infinity as strict JSON does
    not; without what no file can be named by and no terminal shows. ValueError if it is none."""
    return loads(content.decode())


def cut(why: object) -> str:
    """Why a file is none of ours, as one line that quotes no more of it than helps."""
    text = " ".join(str(why).split())
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}..."


def in_short(content: bytes, error: Exception) -> str:
    """Why a file is none of ours, in a few words."""
    if not content:
        return "is empty"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON from line {error.lineno} on"
    if isinstance(error, UnicodeDecodeError):
        return "is not text"
    return unknown_form(error)


def unknown_form(error: object) -> str:
    """That a document is another than was expected."""
    return f"is not in the form that this version knows ({cut(error)})"


def document(path: Path | str, kind: type[T], remedy: str) -> T | None:
    """The document in a file; None if there is none, or if it is damaged, which is noted.

    Args:
        kind: a type that msgspec knows: a dataclass, a TypedDict, a mapping.
        remedy: how the file is made anew, or what counts in its place.
    """
    try:
        return decoded(content_of(path), kind)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        note(path, f"cannot be read ({error.strerror})", remedy)
    except ValueError as error:
        note(path, str(error), remedy)
    return None


def mapping(path: Path | str, remedy: str, kind: Any = dict[str, Any]) -> dict[str, Any] | None:
    """The same, with every key that the file has; ``kind`` says what is looked for in it."""
    found = document(path, dict[str, Any], remedy)
    if found is None:
        return None
    try:
        msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        note(path, in_short(b"{}", error), remedy)
        return None
    return found
