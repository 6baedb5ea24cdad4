"""Linear probes for places: ridge regression whose penalty the training rows choose.

In: features (n, d), such as states of a model, and coordinates (n, k). Out: a probe, and how far
its readings lie from the truth. Called by the engine that maps models of cities.

The penalty of each coordinate is the one of a fixed grid with the least leave-one-out error, which
a ridge has in closed form: e_i / (1 - H_ii) is the error at row i of a fit without it (Allen 1974;
Hastie, Tibshirani & Friedman 2009, equation 7.64). One eigen-decomposition of X'X serves all
penalties and all coordinates. No row outside the training part is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.shared.reporting.statistics import ratio

Array = np.ndarray[Any, np.dtype[Any]]

PENALTIES = 10.0 ** np.arange(-8, 4.5, 0.5)
"""The grid, in units of the features' mean eigenvalue: what is chosen does not depend on the unit
of the features."""
FEWEST_ROWS = 3


@dataclass(frozen=True)
class Probe:
    """A fitted linear map from d features to k coordinates."""

    weights: Array
    """(d, k)."""
    intercept: Array
    """(k,)."""
    penalties: Array
    """The chosen penalty of each coordinate, in units of the mean eigenvalue, (k,)."""
    left_out: Array
    """Each training row's coordinates as read by a fit without that row, (n, k). The penalty was
    chosen with the row, so they flatter a little; in-sample readings would flatter much."""
    left_out_r2: Array
    """R2 of these readings, (k,): what to choose a layer by without looking at test rows."""

    def read(self, features: Array) -> Array:
        """The coordinates (n, k) that the probe reads from features (n, d)."""
        places: Array = features.astype(np.float64) @ self.weights + self.intercept
        return places


def fit(features: Array, places: Array) -> Probe:
    """Fit one probe on training rows.

    Args:
        features: (n, d); centred here, not scaled, so that a rotation of them changes nothing.
        places: (n, k), in any unit; each column gets a penalty of its own.

    ValueError for fewer than three rows, a value that is not finite, or a coordinate that is the
    same in all rows.
    """
    x, y = features.astype(np.float64), places.astype(np.float64)
    check(x, y)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    variation = np.square(y).sum(axis=0)
    values, vectors = np.linalg.eigh(x.T @ x)
    values = np.clip(values, 0.0, None)
    # All features constant: nothing can be read, whatever the penalty is.
    unit = float(values.mean()) or 1.0
    shrunk = 1.0 / (values[:, None] + PENALTIES * unit)
    solved = [solve(x @ vectors, shrunk, y[:, k]) for k in range(y.shape[1])]
    weights = np.stack([vectors @ one[1] for one in solved], axis=1)
    readings = np.stack([one[2] for one in solved], axis=1)
    return Probe(
        weights=weights,
        intercept=y_mean - x_mean @ weights,
        penalties=PENALTIES[[one[0] for one in solved]],
        left_out=readings + y_mean,
        left_out_r2=1.0 - np.square(y - readings).sum(axis=0) / variation,
    )


def check(x: Array, y: Array) -> None:
    """ValueError for rows that nothing can be fitted to."""
    if len(x) < FEWEST_ROWS or len(x) != len(y):
        raise ValueError(f"probe: needs {FEWEST_ROWS} rows or more, got {len(x)} and {len(y)}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("probe: a feature or a coordinate is not finite")
    if (y == y[0]).all(axis=0).any():
        raise ValueError("probe: a coordinate is the same in all rows")


def solve(scores: Array, shrunk: Array, y: Array) -> tuple[int, Array, Array]:
    """The place of the best penalty, the weights (d,) on the scores, and the leave-one-out readings
    (n,) of one centred coordinate.

    Args:
        scores: (n, d), centred features on the eigenvectors of X'X.
        shrunk: (d, penalties), 1 / (eigenvalue + penalty).
        y: (n,).
    """
    # H = 1 1' / n + Z diag(shrunk) Z': the intercept, which is not penalised, has a share of 1/n.
    leverage = 1.0 / len(scores) + np.square(scores) @ shrunk
    weights = shrunk * (scores.T @ y)[:, None]
    # Where a fit goes through its rows error and freedom are both 0: such a penalty is not chosen.
    errors = (y[:, None] - scores @ weights) / np.maximum(1.0 - leverage, 1e-9)
    # From the end: where nothing can be read the curve is flat, and the largest penalty is taken.
    best = len(PENALTIES) - 1 - int(np.square(errors).sum(axis=0)[::-1].argmin())
    return best, weights[:, best], y - errors[:, best]


def r2(truth: Array, read: Array) -> tuple[float, float | None]:
    """R2 of one coordinate on rows that were not fitted, and its standard error.

    1 - sum of squared errors / sum of squares about the rows' own mean: 0 is what their mean gives,
    and there is no lower end. The error is that of a ratio of two sums, linearised (Cochran 1977,
    chapter 6); None for fewer than two rows. ValueError if all true values are equal.
    """
    spread = np.square(truth - truth.mean())
    if not spread.sum() > 0:
        raise ValueError("R2: all true values are equal")
    share, error = ratio(np.square(truth - read).astype(np.float64), spread.astype(np.float64))
    return 1.0 - share, error


def distances(truth: Array, read: Array) -> Array:
    """How far each reading (n, 2) lies from the truth (n, 2), in the unit of both, (n,)."""
    apart: Array = np.hypot(*(read - truth).T)
    return apart
