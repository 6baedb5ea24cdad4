"""Every cell of the matrices: a model's improvement, what its specialists let one expect, and the
difference with its verdict.

In: ``Improvements``. Out: ``Cell`` per model and task, and ``Summary`` per kind of cell. Called by
report.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.geography_report.transfer.improvement import (
    Chooser,
    Improvements,
    chosen_by_other_seeds,
)
from engines.geography_report.transfer.scores import Trained
from engines.shared.reporting.seeds import LEVEL, Estimate, estimate, mean_of_known
from engines.shared.reporting.statistics import Array, benjamini_hochberg, holm

SYNERGY, NONE, NEGATIVE = "synergy", "none", "negative transfer"
NOT_DECIDED = "not decided"
UNDEFINED = "undefined"
VERDICTS = (SYNERGY, NONE, NEGATIVE, NOT_DECIDED, UNDEFINED)
KINDS: dict[str, Callable[[Trained, str], bool]] = {
    "trained": lambda trained, task: task in trained,
    "transfer": lambda trained, task: task not in trained,
    "with distance": lambda trained, _: "distance" in trained,
    "without distance": lambda trained, _: "distance" not in trained,
}
"""Which cells are summarised together: those whose task was trained, and the others; those of
models that were trained on distance, which the paper found to harm the others, and the rest."""


@dataclass(frozen=True)
class Cell:
    """One model (over its seeds) on one task."""

    trained: Trained
    task: str
    value: Estimate | None
    """None: undefined, or not evaluated."""
    p_adjusted: float | None = None

    @property
    def is_trained(self) -> bool:
        """Whether the task is among those that were trained."""
        return self.task in self.trained

    @property
    def verdict(self) -> str:
        """The verdict, corrected for the number of cells that were looked at."""
        return verdict(self.value, self.p_adjusted)

    @property
    def alone(self) -> str:
        """The verdict that its 95 % interval alone would give."""
        return verdict(self.value, None if self.value is None else self.value.p_value)


@dataclass(frozen=True)
class Summary:
    """The mean over all cells of a kind."""

    kind: str
    cells: int
    """Cells that have a value."""
    value: Estimate | None
    spread: float | None
    """Standard deviation over cells and seeds, as published; None for fewer than two values."""
    p_adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """The verdict, corrected for the number of kinds."""
        return verdict(self.value, self.p_adjusted)


def verdict(value: Estimate | None, p_value: float | None) -> str:
    """Synergy, none or negative transfer; one seed decides nothing.

    A p-value below 5 % is an interval clear of 0, at the confidence that the correction leaves.
    """
    if value is None or p_value is None:
        return UNDEFINED
    if value.seeds < 2:
        return NOT_DECIDED
    if p_value > LEVEL:
        return NONE
    return SYNERGY if value.interval.value > 0 else NEGATIVE


@dataclass(frozen=True)
class Grid:
    """One number for every row (what was trained), seed and task, with its draws."""

    rows: list[Trained]
    values: Array
    """(rows, seeds, tasks)."""
    draws: Array
    """(draws, rows, seeds, tasks)."""
    chosen_share: float = 0.0
    """Share of the variance over seeds that lies between two equal specialists of which one was
    chosen by the other seeds: 1/2 of what is expected, 1/4 of a difference from it. 0: none was."""

    def estimate(self, by_seed: Array, drawn: Array) -> Estimate | None:
        """Mean over seeds of some of the values, with its interval."""
        return estimate(by_seed, drawn, tied(self.values.shape[1], self.chosen_share))


def tied(seeds: int, share: float) -> float:
    """How much larger the variance of a mean over seeds is than s^2 / n, where each seed's
    specialist was chosen by the others.

    Of two equal specialists with the differences d_1..d_n between runs, seed s contributes d_s / 2
    with the sign of the others' sum. The contributions of two seeds are correlated: given the sum T
    of the other n - 2, E[d sign(d + T)] = 2 phi(T) for each, so that the correlation is
    E[4 phi(T)^2] = (2 / pi) / sqrt(2 n - 3) (in units of the deviation of d; T is normal with
    variance n - 2). With rho = share of the variance times this, the variance of the mean is
    (1 + (n - 1) rho) / (1 - rho) times what s^2 / n says: 1.3 for differences of three seeds.
    Unequal specialists are chosen more surely, and tie the seeds less.
    """
    if seeds < 2:
        return 1.0
    rho = share * (2 / math.pi) / math.sqrt(2 * seeds - 3)
    return (1 + (seeds - 1) * rho) / (1 - rho)


def improvements_of(improvements: Improvements, rows: Sequence[Trained]) -> Grid:
    """The improvements of some models; NaN for one that was not trained."""
    places = [improvements.scores.place(row) for row in rows]
    return Grid(
        list(rows),
        np.stack([_take(improvements.values, place, 0) for place in places]),
        np.stack([_take(improvements.draws, place, 1) for place in places], 1),
    )


def _take(values: Array, place: int | None, axis: int) -> Array:
    """One model's part; NaN for none."""
    if place is None:
        return np.full_like(np.take(values, 0, axis), np.nan)
    return np.asarray(np.take(values, place, axis))


def expected_of(improvements: Improvements, rows: Sequence[Trained], choose: Chooser) -> Grid:
    """What the better of two specialists reaches, each trained on one task of the row.

    As all models are normalised by the same base, the better improvement is that of the better
    score.
    """
    singles = [improvements_of(improvements, [(one,) for one in row]) for row in rows]
    values, draws = [], []
    for row, single in zip(rows, singles, strict=True):
        places = [improvements.scores.place((one,)) for one in row]
        if None in places:
            values.append(np.full_like(single.values[0], np.nan))
            draws.append(np.full_like(single.draws[:, 0], np.nan))
            continue
        first, second = (place for place in places if place is not None)
        choice = choose(improvements, first, second)
        values.append(_chosen(choice, single.values[0], single.values[1]))
        draws.append(_chosen(choice, single.draws[:, 0], single.draws[:, 1]))
    share = 0.5 if choose is chosen_by_other_seeds else 0.0
    return Grid(list(rows), np.stack(values), np.stack(draws, 1), share)


def _chosen(choice: Array, first: Array, second: Array) -> Array:
    """``first`` where the choice is 0, ``second`` where it is 1, NaN where there is none."""
    taken = np.where(choice == 1, second, first)
    return np.where(np.isnan(choice), np.nan, taken)


def difference(actual: Grid, expected: Grid) -> Grid:
    """Actual minus expected, draw by draw."""
    values, draws = actual.values - expected.values, actual.draws - expected.draws
    # A model of two tasks varies as much as a specialist does.
    return Grid(actual.rows, values, draws, expected.chosen_share / 2)


def cells_of(improvements: Improvements, grid: Grid) -> list[Cell]:
    """A cell per row and task, its mean over seeds; Benjamini and Hochberg's correction over all
    that have a verdict."""
    cells = []
    for row, trained in enumerate(grid.rows):
        for place, task in enumerate(improvements.tasks):
            value = grid.estimate(grid.values[row, :, place], grid.draws[:, row, :, place])
            cells.append(Cell(trained, task, value))
    return corrected(cells)


def corrected(cells: list[Cell]) -> list[Cell]:
    """The same cells with their adjusted p-values."""
    p_values = [cell.value.p_value for cell in cells if cell.value is not None]
    adjusted = iter(benjamini_hochberg(p_values) if p_values else [])
    return [
        cell if cell.value is None else replace(cell, p_adjusted=next(adjusted)) for cell in cells
    ]


def summaries_of(improvements: Improvements, grid: Grid) -> list[Summary]:
    """The mean over each kind of cells, first within each seed; Holm's correction over the kinds
    that have a value."""
    found = []
    for kind, belongs in KINDS.items():
        wanted = np.array(
            [[belongs(row, task) for task in improvements.tasks] for row in grid.rows]
        )
        # (rows, seeds, tasks) -> (seeds, rows, tasks), of which only the cells of this kind stay.
        values = np.moveaxis(grid.values, 1, 0)[:, wanted]
        drawn = np.moveaxis(grid.draws, 1, 2)[:, :, wanted]
        known = values[~np.isnan(values)]
        found.append(
            Summary(
                kind,
                int((~np.isnan(values)).any(axis=0).sum()),
                grid.estimate(mean_of_known(values, axis=1), mean_of_known(drawn, axis=2)),
                float(known.std(ddof=1)) if len(known) > 1 else None,
            )
        )
    p_values = [one.value.p_value for one in found if one.value is not None]
    adjusted = iter(holm(p_values) if p_values else [])
    return [one if one.value is None else replace(one, p_adjusted=next(adjusted)) for one in found]
