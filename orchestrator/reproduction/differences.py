"""One thing in which two runs differ, and how differences are found and told.

In: values of both sides. Out: ``Difference``. Called by diff.py and code.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One thing that differs."""

    what: str
    """jobs, config, resources, gates, cluster, code, environment or results."""
    where: str
    """A stage or jobs, a file, or whose environment."""
    key: str
    a: Any
    b: Any


def unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Keys whose values differ, with both; None where there is none."""
    for key in {**a, **b}:
        # A key that is absent differs from one whose value is None.
        differs = (key in a) != (key in b) or a.get(key) != b.get(key)
        if differs and not is_filled(key, a, b) and not is_filled(key, b, a):
            yield key, a.get(key), b.get(key)


def is_filled(key: str, empty: Mapping[str, Any], full: Mapping[str, Any]) -> bool:
    """Whether a mapping that is empty on one side holds something on the other: the keys in it are
    told, and the mapping itself is not."""
    if empty.get(key) != {}:
        return False
    return key not in full and any(other.startswith(f"{key}.") for other in full)


def cut_short(jobs: Sequence[str]) -> str:
    """The first two of some jobs by name, and how many more."""
    more = f" and {len(jobs) - 2} more" if len(jobs) > 2 else ""
    return ", ".join(jobs[:2]) + more
