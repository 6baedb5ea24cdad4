"""Which cities a probe is fitted on, which judge it, and which are left out.

In: a world and the config's seeds. Out: the part of every city, and the table ``cities.csv``.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.contract.files import write_text
from engines.geography_maps.config import Config
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.cities.world import World
from engines.shared.geography.representations.probe import FEWEST_ROWS
from engines.shared.geography.tasks import ID_DIGITS

Array = np.ndarray[Any, np.dtype[Any]]

FIT, TEST, ATLANTIS, LEFT_OUT = "fit", "test", "atlantis", "left_out"
FIRST_WHOLE_ID = 10 ** (ID_DIGITS - 1)
"""Below it an id begins with a zero. Such cities form a cluster of their own in the states."""


def parts_of(world: World, config: Config) -> Array:
    """The part of every city, (n,) text. ConfigError if too few are left to fit on or to judge."""
    parts = np.where(world.atlantis, ATLANTIS, LEFT_OUT).astype(object)
    leading_zero = world.ids < FIRST_WHOLE_ID
    eligible = np.flatnonzero(~world.atlantis & ~leading_zero)
    mixed = stream(config.split_seed, "fit and test").permutation(eligible)
    count = round(config.fit_share * len(mixed))
    if count < FEWEST_ROWS or len(mixed) - count < FEWEST_ROWS:
        raise ConfigError(
            f"{config.data}: {len(mixed)} real cities with ids of four digits, of which {count} "
            f"to fit on; needs {FEWEST_ROWS} to fit on and as many to judge: give it more cities"
        )
    parts[mixed[:count]], parts[mixed[count:]] = FIT, TEST
    parts[leading_zero] = LEFT_OUT
    return parts.astype(str)


def write_cities(path: Path, world: World, parts: Array, predicted: Array) -> None:
    """Write the table: the world's columns, the part, and where a probe reads each city."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["row", "city_id", "x", "y", "region", "continent", "part", "predicted_x", "predicted_y"]
    )
    for row, city in enumerate(world.cities):
        writer.writerow(
            [
                row,
                int(world.ids[row]),
                city.x,
                city.y,
                world.region[row],
                city.continent,
                parts[row],
                *(f"{value:.1f}" for value in predicted[row]),
            ]
        )
    write_text(path, text.getvalue())
