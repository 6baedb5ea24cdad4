"""Whether answers follow the map: a city's state is moved along a probe's direction, and the
question is asked again.

In: a model, probes, test questions. Out: rows of ``results.json``. Called by maps.py.

At one layer the states at the first city's last digit and delimiter are moved together, so that the
probe reads the city ``shift`` farther along x and at the same y (or the other way round), in the
direction in which states of cities vary with these readings: the pattern S W (W'S W)^-1 that
belongs to the probe's weights W, for the covariance S of the states (Haufe et al. 2014, equation
6). The shortest vector that changes the readings, W (W'W)^-1, was tried: states do not vary along
it; on one trained model answers followed it less in x and as far in y. The answer should change as
it does in truth if the first city is moved by ``shift``. A probe that reads little moves states far
beyond where any city lies; ``move`` in the facts says how far.

``causal_share``: of the questions whose true answer changes, those where the model's answer changes
in the same direction (numbers) or changes to the new true one (words). ``causal_slope``: what the
answer changes by for each unit that the true one changes by, a line through the origin: 1 where
answers follow fully, 0 where they ignore the move. For compass, in degrees, it is that of least
squares, as a turn is at most half a circle; for numbers, which a model may write with too many
digits, that of least absolute deviations; for other words it is not defined. The control moves each
state as far in a random direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engines.contract.results import Row
from engines.geography_maps.probes import COORDINATES
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Shape
from engines.shared.geography.network.generate import complete
from engines.shared.geography.network.model import Parameters
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.store import Questions, tokens
from engines.shared.geography.questions.written import read_written
from engines.shared.geography.representations.probe import Probe
from engines.shared.geography.tasks import SECTORS, TASKS
from engines.shared.reporting.statistics import ratio, standard_error

Array = np.ndarray[Any, np.dtype[Any]]
Axes = dict[str, str | int | float | bool]

DIRECTIONS = ("probe", "random")
DRAWS = 200
"""Samples of the questions for a standard error (Efron and Tibshirani 1993, section 6.4: seldom are
more needed)."""


@dataclass(frozen=True)
class Model:
    """One model (S = 1) that is asked."""

    parameters: Parameters
    shape: Shape


@dataclass(frozen=True)
class Asked:
    """Questions, and by how much their first city is moved."""

    world: World
    questions: Questions
    places: list[int]
    """The tokens whose states are moved."""
    moves: Array
    """(n,), tenths of a degree."""

    def moved_answers(self, coordinate: int) -> Array:
        """What is true with each question's first city moved along x (0) or y (1), (n,) int32."""
        first = self.questions.cities[:, 0]
        moved = [self.world.x[first], self.world.y[first]]
        moved[coordinate] = moved[coordinate] + self.moves
        # The moved cities stand behind the world's own.
        x = np.concatenate([self.world.x, moved[0]]).astype(np.int32)
        y = np.concatenate([self.world.y, moved[1]]).astype(np.int32)
        found = np.empty(len(first), np.int32)
        for count, rows in self.questions.by_count():
            cities = self.questions.cities[rows, :count].T.copy()
            cities[0] = len(self.world) + rows
            found[rows] = answers(self.questions.task, x, y, cities)
        return found


def directions(probe: Probe, features: Array) -> Array | None:
    """For each coordinate the vector that moves a reading of it by 1 and no other reading, (k, d);
    None where the probe does not read all of them.

    Args:
        features: (n, d), of the fitted cities: regressed on the probe's readings of them.
    """
    readings = probe.read(features)
    centred = readings - readings.mean(axis=0)
    # A reading that leaving out rows shows to be worth nothing has a direction by chance.
    if not (probe.left_out_r2 > 0).all() or np.linalg.matrix_rank(centred) < centred.shape[1]:
        return None
    found: Array = np.linalg.lstsq(centred, features - features.mean(axis=0), rcond=None)[0]
    return found


def random_directions(length: Array, width: int, random: np.random.Generator) -> Array:
    """A random vector for each of n questions, with the lengths (n,): (n, width)."""
    drawn = random.normal(size=(len(length), width))
    found: Array = drawn * (length / np.linalg.norm(drawn, axis=1))[:, None]
    return found


def ask(model: Model, asked: Asked, layer: int | None = None, by: Array | None = None) -> Array:
    """Answers to all questions, (n,), the states of ``layer`` moved ``by`` (n, positions * width)
    where that is given."""
    table, _, first_answers = tokens(asked.world, [asked.questions])
    device = model.parameters["embedding"].device
    found = np.empty(len(table), np.int32)
    for length in np.unique(first_answers):
        rows = np.flatnonzero(first_answers == length)
        prompts = torch.from_numpy(table[rows, :length].astype(np.int64)).to(device)
        change = None
        if by is not None:
            vectors = torch.from_numpy(by[rows].reshape(len(rows), len(asked.places), -1))
            change = mover(layer, asked.places, vectors.float().to(device))
        written = complete(model.parameters, model.shape, prompts, change=change)
        found[rows] = read_written(asked.questions.task, written[0].cpu().numpy())
    return found


def mover(
    wanted: int | None, places: list[int], by: torch.Tensor
) -> Callable[[int, torch.Tensor], torch.Tensor]:
    """A change of states that adds ``by`` (B, positions, d) at ``places`` of one layer."""

    def change(layer: int, states: torch.Tensor) -> torch.Tensor:
        if layer != wanted:
            return states
        changed = states.clone()
        changed[:, :, places] += by
        return changed

    return change


def causal_rows(
    model: Model,
    asked: Asked,
    before: Array,
    steps: dict[int, Array | None],
    random: np.random.Generator,
) -> list[Row]:
    """Share and slope at each layer along x and y, for the probe's direction and a random one.

    Args:
        before: the answers without a move.
        steps: by layer, without the model's last one, the ``directions`` of its probe.
    """
    rows = []
    for layer, step in steps.items():
        for coordinate, name in enumerate(COORDINATES):
            moved = asked.moved_answers(coordinate)
            for which in DIRECTIONS:
                axes: Axes = {"layer": layer, "coordinate": name, "direction": which}
                if step is None:
                    reason = (
                        "the probe reads nothing of x or y at this layer, so it has no direction"
                    )
                    rows.append(without_value(reason, axes))
                    continue
                by = asked.moves[:, None] * step[coordinate]
                if which == "random":
                    by = random_directions(np.linalg.norm(by, axis=1), by.shape[1], random)
                after = ask(model, asked, layer, by)
                rows += follow_rows(asked.questions, moved, before, after, axes)
    return rows


def without_value(reason: str, axes: Axes) -> Row:
    """Why there is no share."""
    return Row(metric="causal_share", value=None, n=0, axes=axes, error=reason)


def follow_rows(
    questions: Questions, moved: Array, before: Array, after: Array, axes: Axes
) -> list[Row]:
    """How answers follow. ``moved`` (n,) is true after the move; ``before`` and ``after`` are the
    model's answers, -1 where there is none."""
    task, truth = questions.task, questions.answers
    # An answer that cannot be read after the move has not followed it.
    counted = (moved != truth) & (before >= 0)
    if not counted.any():
        reason = "no question has a readable answer that the move would change"
        return [without_value(reason, axes)]
    if TASKS[task].words is None:
        follows = np.sign(after.astype(int) - before) == np.sign(moved.astype(int) - truth)
    else:
        follows = (after == moved) & (after != before)
    shares = (follows & (after >= 0))[counted].astype(np.float64)
    rows = [
        Row(
            metric="causal_share",
            value=float(shares.mean()),
            n=len(shares),
            spread=standard_error(shares),
            axes=axes,
        )
    ]
    both = counted & (after >= 0)
    if TASKS[task].words in (None, SECTORS) and both.any():
        wanted = change_of(task, truth[both], moved[both])
        got = change_of(task, before[both], after[both])
        value, error = slope(task, wanted, got)
        rows.append(
            Row(metric="causal_slope", value=value, n=int(both.sum()), spread=error, axes=axes)
        )
    return rows


def slope(task: str, wanted: Array, got: Array) -> tuple[float, float | None]:
    """Change of the answers ``got`` for each unit of ``wanted``, both (n,), and its standard
    error."""
    if TASKS[task].words is None:
        return least_absolute_slope(wanted, got)
    # Half a turn has no side of its own: it goes the way that the truth does.
    got = np.where(np.abs(got) == 180, np.copysign(180, wanted), got)
    return ratio(got * wanted, wanted * wanted)


def least_absolute_slope(wanted: Array, got: Array) -> tuple[float, float | None]:
    """The b that makes the sum of |got - b wanted| smallest, and its standard error over questions.

    It is the median of the ratios got / wanted, weighted by |wanted| (Bloomfield and Steiger 1983,
    Least Absolute Deviations, chapter 1), the middle where several b are as good. A wild answer
    counts as one on its side of the line, however far it lies: least squares gave -37 +- 37 for the
    distances of one model. Ratios without weights would let a question whose truth hardly changes,
    and whose answer is rounded, count as much as the others. The error is the deviation over
    samples of the questions with replacement; None for fewer than two.

    Args:
        wanted: (n,), none of them 0.
        got: (n,).
    """
    ratios = got / wanted
    order = np.argsort(ratios)
    ratios, weights = ratios[order], np.abs(wanted)[order]
    value = float(middles(ratios, weights[None])[0])
    count = len(ratios)
    if count < 2:
        return value, None
    # Drawn by a generator of its own: the same questions give the same error.
    often = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    return value, float(middles(ratios, often * weights).std(ddof=1))


def middles(values: Array, weights: Array) -> Array:
    """Weighted medians of (n,) values in rising order, for (m, n) weights of which some in each row
    are above 0: (m,)."""
    below = np.cumsum(weights, axis=1)
    half = below[:, -1:] / 2
    # Between the two lies every point with as much weight on either side.
    low, high = (below < half).sum(axis=1), (below <= half).sum(axis=1)
    found: Array = (values[low] + values[high]) / 2
    return found


def change_of(task: str, first: Array, second: Array) -> Array:
    """By how much an answer changes, (n,) float64: a number's difference, a direction's turn in
    degrees, -180 to 180."""
    difference = second.astype(np.float64) - first
    if TASKS[task].words is None:
        return difference
    turn: Array = (difference * 45 + 180) % 360 - 180
    return turn
