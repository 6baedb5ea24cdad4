"""Questions as arrays.

Everything that makes, keeps, mixes or writes out questions hands them on in this form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

NO_CITY = -1


@dataclass(frozen=True)
class Questions:
    """n questions of one task with their answers."""

    task: str
    cities: Array
    """Rows of the world: (n, k) int32, k the most cities that the task has, -1 where there is none.
    ``inside`` asks about column 0."""
    answers: Array
    """(n,) int32: the number, or the place in ``Task.words``."""

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, rows: Array | slice) -> Questions:
        return Questions(self.task, self.cities[rows], self.answers[rows])

    def by_count(self) -> Iterator[tuple[int, Array]]:
        """Each number of cities that occurs, with the places of its questions."""
        counts = (self.cities != NO_CITY).sum(axis=1)
        for count in np.unique(counts):
            yield int(count), np.flatnonzero(counts == count)


def pad(cities: Array, most: int) -> Array:
    """(k, n) rows of a world as (n, most), with -1 where there is no city."""
    padded = np.full((cities.shape[1], most), NO_CITY, np.int32)
    padded[:, : len(cities)] = cities.T
    return padded
