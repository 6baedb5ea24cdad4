"""A model of two layers whose map is put in by hand: it knows where each city is, and answers
compass by comparing two places.

What is to be found in it is known beforehand, so it is the closed form for probes and causal
checks. The world is a band from west to east: the directions are east and west alone.

* Layer 1: three attention heads look exactly 1, 2 and 3 tokens back, so that the last digit of an
  id sees all four. One unit of the feed-forward layer for each city answers to its four digits and
  writes the city's x and y.
* Layer 2: at ``=`` one head looks at the first city's last digit, another at the second's, and
  copies its x.
* The head of the vocabulary says E where the second x is larger, W where it is smaller, then the
  end.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from engines.shared.geography.cities.table import City
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import ROTARY_BASE, Parameters
from engines.shared.geography.network.shapes import shapes
from engines.shared.geography.vocabulary import END, NUMBER, SIZE

WIDTH, HEADS = 64, 4
EACH = WIDTH // HEADS
SHAPE = Shape(width=WIDTH, layers=2, heads=HEADS, feed_forward=256)
# Where things lie in a state.
OWN, BACK = 0, (10, 20, 30)
"""One column per digit: the token's own, and those 1, 2 and 3 tokens back."""
CONSTANT, X, Y, FIRST_X, SECOND_X, EQUALS, WORD, OTHER = range(40, 48)
LEVEL = 30.0
"""Of the constant column: so large that the norm of a state hardly depends on the rest."""
UNIT = 1000.0
"""Tenths of a degree that are 1 in a state."""
SHARP = 20.0


def band(real: int = 160, atlantis: int = 8, seed: int = 0) -> World:
    """Cities from west to east, every 20 units one, in random order; y is within 2 of the
    equator."""
    random = np.random.default_rng(seed)
    places = [20 * k - 10 * real for k in random.permutation(real)]
    places += [20 * k - 430 + 10 for k in random.permutation(atlantis)]
    heights = random.integers(-2, 3, real + atlantis)
    codes = ("NA", "SA", "EU", "AF", "AS", "OC")
    cities = [
        City(
            geonameid=row + 1 if row < real else real - row - 1,
            name=f"City {row}",
            country="XX",
            continent=codes[min(5, (x + 10 * real) * 6 // (20 * real))] if row < real else "",
            x=int(x),
            y=int(y),
            population=1,
        )
        for row, (x, y) in enumerate(zip(places, heights, strict=True))
    ]
    ids = random.permutation(10_000)[: real + atlantis].astype(np.int32)
    return World(cities, ids, np.arange(real + atlantis) >= real)


def look_back(parameters: Parameters, layer: int, head: int, offset: int) -> None:
    """One head attends to the token ``offset`` places back and to nothing else.

    Queries and keys are biases alone. Their rotations make the score a sum of cosines of (distance
    - offset) times the frequencies, which is largest where all of them are 1.
    """
    half = EACH // 2
    frequency = ROTARY_BASE ** (-torch.arange(half) / half)
    bias = parameters[f"{layer}.qkv_bias"][0].view(3, HEADS, EACH)
    bias[0, head, :half] = SHARP
    bias[1, head, :half] = SHARP * torch.cos(offset * frequency)
    bias[1, head, half:] = SHARP * torch.sin(offset * frequency)


def carry(parameters: Parameters, layer: int, head: int, columns: range, target: int) -> None:
    """One head copies some columns of the token that it looks at to those from ``target`` on."""
    values = parameters[f"{layer}.qkv"][0].view(3, HEADS, EACH, WIDTH)
    for place, column in enumerate(columns):
        values[2, head, place, column] = 1.0
        parameters[f"{layer}.out"][0, target + place, head * EACH + place] = 1.0


def keep_scale(parameters: Parameters, name: str, squares: float) -> None:
    """Set a norm's weight so that states whose other columns have so large a sum of squares pass
    unchanged."""
    parameters[name][0] = math.sqrt((LEVEL**2 + squares) / WIDTH)


def planted(world: World) -> Parameters:
    """The parameters, (1, ...) each; ``SHAPE`` is theirs."""
    parameters = {name: torch.zeros(1, *size) for name, size in shapes(SHAPE).items()}
    plant_embedding(parameters)
    keep_scale(parameters, "0.norm1", 1)
    keep_scale(parameters, "0.norm2", 4)
    for head, target in enumerate(BACK, start=1):
        look_back(parameters, 0, head, head)
        carry(parameters, 0, head, range(OWN, OWN + 10), target)
    plant_cities(parameters, world)
    keep_scale(parameters, "1.norm1", 4)
    keep_scale(parameters, "1.norm2", 4)
    # From "=" the last digit of the second city is 2 tokens back, that of the first 9.
    for head, (offset, target) in enumerate(((9, FIRST_X), (2, SECOND_X))):
        look_back(parameters, 1, head, offset)
        carry(parameters, 1, head, range(X, X + 1), target)
    keep_scale(parameters, "norm", 1)
    head_rows = parameters["head"][0]
    for word, sign in (("E", 1.0), ("W", -1.0)):
        head_rows[NUMBER[word], EQUALS] = 100.0
        head_rows[NUMBER[word], SECOND_X] = 20.0 * sign
        head_rows[NUMBER[word], FIRST_X] = -20.0 * sign
    head_rows[END, WORD] = 100.0
    return parameters


def plant_embedding(parameters: Parameters) -> None:
    """Each token has the constant and one more column of 1, so that all have the same norm."""
    table = parameters["embedding"][0]
    table[:, CONSTANT] = LEVEL
    columns = dict.fromkeys(range(SIZE), OTHER)
    columns |= {NUMBER[str(digit)]: OWN + digit for digit in range(10)}
    columns |= {NUMBER["="]: EQUALS, NUMBER["E"]: WORD, NUMBER["W"]: WORD}
    for token, column in columns.items():
        table[token, column] = 1.0


def plant_cities(parameters: Parameters, world: World) -> None:
    """One unit per city: open where all four digits are there, closed where one is missing."""
    gate_up, down = parameters["0.gate_up"][0], parameters["0.down"][0]
    for unit, city in enumerate(world.cities):
        digits = [int(digit) for digit in f"{int(world.ids[unit]):04d}"]
        for column, digit in zip((*BACK[::-1], OWN), digits, strict=True):
            gate_up[unit, column + digit] = 40.0
        gate_up[unit, CONSTANT] = -40.0 * 3.5 / LEVEL
        gate_up[SHAPE.feed_forward + unit, CONSTANT] = 1 / LEVEL
        # silu(20) = 20 up to 4e-8.
        down[X, unit], down[Y, unit] = city.x / UNIT / 20, city.y / UNIT / 20
