"""A world: the cities that the questions of one experiment ask about, and the ids that name them.

In: how many real cities, how many of Atlantis, a seed. Out: a ``World``. The engine
``geography_data`` makes it once and writes it down; everybody else reads it from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.cities.table import ATTRIBUTION, City, read_table
from engines.shared.geography.tasks import ID_DIGITS

Array = np.ndarray[Any, np.dtype[Any]]

IDS = 10**ID_DIGITS
LONGITUDES, LATITUDES = (-1800, 1800), (-900, 900)
"""Ends of the plane, tenths of a degree."""
ATLANTIS_CENTRE = (-350, 350)
ATLANTIS_DEVIATION = 30.0
"""Standard deviation of Atlantis' cities along each axis, tenths of a degree."""
ATLANTIS_COUNTRY = "XX0"


@dataclass(frozen=True)
class World:
    """n cities by row: the real ones, the most populous first, then those of Atlantis. No two lie
    on the same point."""

    cities: list[City]
    ids: Array
    """The number that a text names a city by: (n,), int32, all different, 0 to 9999."""
    atlantis: Array
    """Whether a city is of Atlantis: (n,), bool."""
    attribution: str = ATTRIBUTION

    def __len__(self) -> int:
        return len(self.cities)

    @cached_property
    def x(self) -> Array:
        """Tenths of a degree to the east: (n,), int32."""
        return np.array([city.x for city in self.cities], np.int32)

    @cached_property
    def y(self) -> Array:
        """Tenths of a degree to the north: (n,), int32."""
        return np.array([city.y for city in self.cities], np.int32)

    @cached_property
    def names(self) -> list[str]:
        """Names, which are no keys: some occur twice."""
        return [city.name for city in self.cities]

    @cached_property
    def region(self) -> list[str]:
        """``world`` or ``atlantis``."""
        return ["atlantis" if of_atlantis else "world" for of_atlantis in self.atlantis]

    @property
    def real(self) -> int:
        """How many are real; rows from here on are of Atlantis."""
        return len(self) - int(self.atlantis.sum())


def make_world(real: int, atlantis: int, seed: int) -> World:
    """The ``real`` most populous cities of the table and ``atlantis`` invented ones.

    The same in every process. ConfigError if there are not so many.
    """
    table = read_table()
    if real > len(table):
        raise ConfigError(f"cities: {real} asked for, the table holds {len(table)}")
    if real + atlantis > IDS:
        raise ConfigError(f"cities and atlantis: {real} + {atlantis}, but there are {IDS} ids")
    chosen = table[:real]
    invented = make_atlantis(atlantis, {(city.x, city.y) for city in chosen}, seed)
    # Random, so that a name tells nothing of the place: a model can only learn it from answers.
    ids = stream(seed, "ids").permutation(IDS)[: real + atlantis].astype(np.int32)
    return World(
        cities=[*chosen, *invented],
        ids=ids,
        atlantis=np.arange(real + atlantis) >= real,
    )


def make_atlantis(count: int, taken: set[tuple[int, int]], seed: int) -> list[City]:
    """Invented cities around the middle of the Atlantic: normally distributed, rounded half to
    even, clipped to the plane.

    A point that is ``taken``, or that an earlier one has, is drawn again: two cities on one point
    have neither a direction nor an angle.
    """
    random = stream(seed, "atlantis")
    places: list[tuple[int, int]] = []
    used = set(taken)
    while len(places) < count:
        drawn = np.rint(random.normal(ATLANTIS_CENTRE, ATLANTIS_DEVIATION)).astype(int)
        place = (
            int(np.clip(drawn[0], *LONGITUDES)),
            int(np.clip(drawn[1], *LATITUDES)),
        )
        if place not in used:
            used.add(place)
            places.append(place)
    return [
        City(
            geonameid=-number,
            name=f"Atlantis_{number:03d}",
            country=ATLANTIS_COUNTRY,
            continent="",
            x=x,
            y=y,
            population=0,
        )
        for number, (x, y) in enumerate(places, start=1)
    ]
