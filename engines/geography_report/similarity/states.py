"""The states that maps kept, and the table of their cities.

In: the output folder of a job of the engine ``geography_maps``. Out: arrays. Called by compare.py
and by the figure of maps.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.geography_report.load import Finished
from engines.shared.reporting.statistics import Array

FIT, TEST, ATLANTIS = "fit", "test", "atlantis"
"""Parts of the cities: those a probe was fitted on, those that judge it, and the new ones. Others
were left out."""


@dataclass(frozen=True)
class Cities:
    """The cities of one map, by row of the world."""

    row: Array
    part: np.ndarray[tuple[int], np.dtype[np.str_]]
    place: Array
    """(cities, 2): x and y in tenths of a degree."""
    predicted: Array
    """(cities, 2): where the probe of the best layer reads them."""

    @property
    def compared(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """The cities that models are compared on: real ones that no probe left out."""
        return np.isin(self.part, [FIT, TEST])


def read_cities(out: Path) -> Cities:
    """``cities.csv`` of a map."""
    with (out / "cities.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return Cities(
        np.array([float(line["row"]) for line in lines]),
        np.array([line["part"] for line in lines]),
        np.array([[float(line["x"]), float(line["y"])] for line in lines]),
        np.array([[float(line["predicted_x"]), float(line["predicted_y"])] for line in lines]),
    )


def layers_of(finished: Finished) -> list[int]:
    """The layers that a map kept, by index from the embedding (0)."""
    return [int(layer) for layer in finished.document["facts"]["layers"]]


def read_states(out: Path, place: int) -> Array:
    """States of every city at one of the kept layers, positions side by side: (cities, positions *
    width). The other layers stay on disk."""
    # Loaded here: a report without maps needs no safetensors.
    from safetensors import safe_open

    with safe_open(out / "representations.safetensors", framework="np") as file:
        states: np.ndarray[Any, Any] = file.get_slice("states")[:, :, place, :]
    return states.reshape(len(states), -1).astype(np.float64)
