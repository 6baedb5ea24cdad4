"""Values of a parquet file as they were before a library guessed their types.

In: a column of the file's Arrow schema. Out: a function that turns its values into text and plain
structures, or none where they are that already. ``problem_files.py`` reads rows with it.

Libraries that read JSON guess. Answers that all look like dates become dates (duckdb) or timestamps
(``datasets``); answers of several types become JSON texts, in which the text C is ``"C"`` with its
quotes (both). What was written is made of that again where it can be known; where it cannot, such
as of ``10:30`` that became a time of day, it is an error and not a guess.
"""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from typing import Any

Convert = Callable[[Any], Any]

MEANT_AS_TEXT = ("data_source", "prompt", "ability", "reward_model")
"""Columns whose values, down to ``reward_model.ground_truth`` and the messages' content, are texts
unless they are structures."""


def converter(column: Any) -> Convert | None:
    """What turns a value of ``column`` (a ``pyarrow.Field``) into plain data; None if its values
    are. It raises ValueError for an answer whose text is lost."""
    # 1: the fields right below the column, such as reward_model's ground_truth.
    text_levels = 1 if column.name in MEANT_AS_TEXT else -1
    exact = column.name == "reward_model"
    return _of_type(column.type, text_levels, exact)


def _of_type(kind: Any, text_levels: int, exact: bool) -> Convert | None:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _of_type(kind.value_type, text_levels, exact)
    if types.is_struct(kind):
        return _of_struct(kind, text_levels, exact)
    if types.is_map(kind):
        return _of_map(kind, exact)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _of_list(kind.value_type, text_levels, exact)
    if is_json(kind):
        return as_written if text_levels >= 0 else decoded
    is_plain = (
        types.is_null(kind)
        or types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
    )
    if is_plain:
        return None
    return exact_text if exact else plain_text


def _of_struct(kind: Any, text_levels: int, exact: bool) -> Convert | None:
    inner = {}
    for number in range(kind.num_fields):
        field = kind.field(number)
        found = _of_type(field.type, text_levels - 1, exact)
        if found is not None:
            inner[field.name] = found
    if not inner:
        return None

    def convert(value: Any) -> Any:
        if value is None:
            return None
        return {name: inner[name](part) if name in inner else part for name, part in value.items()}

    return convert


def _of_list(kind: Any, text_levels: int, exact: bool) -> Convert | None:
    # The messages of a prompt are structures with texts in them; answers in a list, and lists of
    # JSON, are whatever they are.
    inner = _of_type(kind, -1 if exact or is_json(kind) else text_levels, exact)
    if inner is None:
        return None
    return lambda value: None if value is None else [inner(part) for part in value]


def _of_map(kind: Any, exact: bool) -> Convert:
    inner = _of_type(kind.item_type, -1, exact)

    def convert(value: Any) -> Any:
        # pyarrow gives a map as a list of pairs.
        if value is None:
            return None
        return {name: part if inner is None else inner(part) for name, part in value}

    return convert


def is_json(kind: Any) -> bool:
    """Whether an Arrow type is that of JSON texts."""
    return getattr(kind, "extension_name", "") == "arrow.json"


def as_written(value: str | None) -> str | None:
    """The text that a JSON text stands for: of ``"C"`` what is in the quotes, of anything else the
    JSON itself.

    ``datasets`` 5.2 leaves out the quotes of a text that looks like JSON, so that ``1.50`` and
    ``007`` stand for texts too. The scorers read structures that are written as text.
    """
    # NaN is what datasets writes for a missing number.
    if value is None or value.strip() in ("null", "NaN"):
        return None
    if value.startswith('"'):
        found = decoded(value)
        return found if isinstance(found, str) else value
    return value


def decoded(value: str | None) -> Any:
    """The value of a JSON text, or the text where it is no JSON."""
    if value is None:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def exact_text(value: Any) -> Any:
    """An answer of a type that text was turned into, as that text. ValueError if it is lost."""
    is_time = isinstance(value, datetime.datetime | datetime.time | datetime.timedelta)
    if is_time and not is_midnight(value):
        raise ValueError(
            f"the answer has become the {type(value).__name__} {value} when the file was "
            "written, and how it was written before is lost: write the answers as text"
        )
    if isinstance(value, bytes | bytearray):
        raise ValueError(f"the answer is bytes and no text: {bytes(value[:40])!r}")
    return plain_text(value)


def plain_text(value: Any) -> Any:
    """A value of a type that JSON does not have, as text: dates as 2020-01-01, also those that have
    become timestamps at midnight."""
    if is_midnight(value):
        return value.date().isoformat()
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="replace")
    others = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID)
    return str(value) if isinstance(value, others) else value


def is_midnight(value: Any) -> bool:
    """Whether a value is a timestamp that a date may have become: at 0:00, without a time zone."""
    if not isinstance(value, datetime.datetime) or value.tzinfo is not None:
        return False
    return value.time() == datetime.time()
