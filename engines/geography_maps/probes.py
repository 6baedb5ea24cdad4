"""What linear probes read of the cities' places, layer by layer, beside three controls.

In: states, places and parts. Out: fitted probes and rows of ``results.json``. Called by maps.py.

Controls (after Hewitt & Liang 2019): an untrained network of the same shape; the trained network's
states with the coordinates shuffled among the cities; the digits of the ids instead of states,
which must read nothing, as ids are random. On Atlantis R2 means nothing, as in a tight cluster any
offset is far below the mean: there the distance error stands beside that of the cluster's mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.contract.results import Row
from engines.geography_maps.cities import ATLANTIS, FIT, TEST
from engines.shared.geography.representations.probe import Probe, distances, fit, r2
from engines.shared.reporting.statistics import standard_error

Array = np.ndarray[Any, np.dtype[Any]]
Axes = dict[str, str | int | float | bool]

COORDINATES = ("x", "y")
REGIONS = {"world": TEST, "atlantis": ATLANTIS}
"""Region of the rows -> the part of the cities that is judged; none of them was fitted."""


@dataclass(frozen=True)
class Cities:
    """What is to be read."""

    places: Array
    """(n, 2), tenths of a degree."""
    parts: Array
    """(n,), text."""

    def of(self, part: str) -> Array:
        """Rows of a part."""
        return np.flatnonzero(self.parts == part)


def fitted(features: Array, cities: Cities) -> Probe:
    """A probe of features (n, d), fitted on the part for that."""
    rows = cities.of(FIT)
    return fit(features[rows], cities.places[rows])


def probe_rows(probe: Probe, features: Array, cities: Cities, axes: Axes) -> list[Row]:
    """R2 of each coordinate on the judging cities, and the distances of the readings there and on
    Atlantis."""
    rows, judged = [], cities.of(TEST)
    read = probe.read(features)
    for number, coordinate in enumerate(COORDINATES):
        value, error = r2(cities.places[judged, number], read[judged, number])
        rows.append(
            Row(
                metric="probe_r2",
                value=value,
                n=len(judged),
                spread=error,
                axes={**axes, "region": "world", "coordinate": coordinate},
            )
        )
    for region, part in REGIONS.items():
        chosen = cities.of(part)
        if len(chosen):
            apart = distances(cities.places[chosen], read[chosen])
            rows += distance_rows(apart, {**axes, "region": region})
    return rows


def distance_rows(apart: Array, axes: Axes) -> list[Row]:
    """Median, mean and the 90 % range of distances (n,)."""
    low, middle, high = np.quantile(apart, [0.05, 0.5, 0.95])
    return [
        Row(metric="probe_distance", value=float(middle), n=len(apart), axes=axes),
        Row(
            metric="probe_distance_mean",
            value=float(apart.mean()),
            n=len(apart),
            spread=standard_error(apart),
            axes=axes,
        ),
        Row(metric="probe_distance_low", value=float(low), n=len(apart), axes=axes),
        Row(metric="probe_distance_high", value=float(high), n=len(apart), axes=axes),
    ]


def centre_rows(cities: Cities) -> list[Row]:
    """Each region's cities against their own mean: what a probe that knows the region and nothing
    else would be wrong by."""
    rows = []
    for region, part in REGIONS.items():
        chosen = cities.places[cities.of(part)]
        if len(chosen):
            apart = distances(chosen, chosen.mean(axis=0))
            rows.append(
                Row(
                    metric="centre_distance",
                    value=float(np.median(apart)),
                    n=len(apart),
                    axes={"region": region},
                )
            )
    return rows


def shuffled(cities: Cities, random: np.random.Generator) -> Cities:
    """The same places dealt out anew among the cities to fit on and to judge by."""
    places = cities.places.copy()
    rows = np.concatenate([cities.of(FIT), cities.of(TEST)])
    places[rows] = places[random.permutation(rows)]
    # Atlantis keeps its places, and is not judged by this control.
    return Cities(places, np.where(cities.parts == ATLANTIS, "", cities.parts))


def as_features(states: Array, layer: int) -> Array:
    """States (n, positions, layers, width) of one layer, by its place among the kept ones, with the
    positions side by side: (n, positions * width)."""
    features: Array = states[:, :, layer].reshape(len(states), -1)
    return features
