"""Draw the points of one round of a search, by the values of those before.

In: the search, which round, and what is known of earlier points. Out: the points, the same for the
same input: the study is made anew of what is told each time, and nothing of Optuna's is kept.
Called by ``rounds``. Optuna, an optional library that loads numpy, is imported when a second round
is drawn.

The first round holds the points that ``random`` has for the same ``n`` and seed. Later ones are of
Optuna's TPE, the tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
Optimization", NeurIPS 2011): multivariate (Falkner et al., "BOHB", ICML 2018, section 3.2), and
with a constant liar (Ginsbourger et al. 2010), which takes points without a value yet for bad ones,
so that those of one round lie apart. There are no further random points: the first round is that.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.draws import Draw, draw
from jobs.searches import Search, Told
from jobs.stages import Point, Scalar, value_text

FIRST = "random"
"""What draws the first round."""
TRIES = 20
"""Proposals in a row that are points which were there already: then one is drawn at random."""


def drawn_by(number: int) -> str:
    """What draws a round."""
    if number == 1:
        return FIRST
    from importlib.metadata import version

    return f"optuna {version('optuna')}"


def draw_round(search: Search, number: int, known: Sequence[Told]) -> list[Point]:
    """The points of a round, all different and unlike earlier ones as long as there are such."""
    if number == 1:
        return draw(search.n, search.seed, search.axes)
    seen = {text_of(one.axes) for one in known}
    seed = seed_of(search.seed, number)
    with warnings.catch_warnings():
        # That an option is experimental is no news to who runs a sweep.
        warnings.simplefilter("ignore")
        study = study_of(search, known, seed)
        found = []
        for _ in range(search.n):
            point = next_point(search, study, seen)
            if point is None:
                others = draw(len(seen) + 1, seed, search.axes)
                # A space that is used up is told when the stage is read; else the last is new.
                point = next((one for one in others if text_of(one) not in seen), others[-1])
            seen.add(text_of(point))
            found.append(point)
    return found


def next_point(search: Search, study: Any, seen: set[tuple[str, ...]]) -> Point | None:
    """What Optuna proposes next; None if all that it does is there already."""
    kinds = distributions(search.axes)
    for _ in range(TRIES):
        # A proposal stays in the study as one without a value: the next one keeps away from it.
        proposed = study.ask(kinds).params
        point = {axis: value_of(one, proposed[axis]) for axis, one in search.axes.items()}
        if text_of(point) not in seen:
            return point
    return None


def study_of(search: Search, known: Sequence[Told], seed: int) -> Any:
    """A study in memory that knows what is told."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True
    )
    direction = "maximize" if search.higher else "minimize"
    study = optuna.create_study(direction=direction, sampler=sampler)
    kinds = distributions(search.axes)
    for one in known:
        state = optuna.trial.TrialState.FAIL
        if one.value is not None:
            state = optuna.trial.TrialState.COMPLETE
        elif one.open:
            state = optuna.trial.TrialState.RUNNING
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=one.value,
                params={axis: inner_of(kind, one.axes[axis]) for axis, kind in search.axes.items()},
                distributions=kinds,
            )
        )
    return study


def distributions(axes: Mapping[str, Draw]) -> dict[str, Any]:
    """What Optuna calls what the values are drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for axis, one in axes.items():
        if one.kind == "choice":
            # By their places: to Python 1, 1.0 and True are one value.
            found[axis] = CategoricalDistribution(range(len(one.among)))
        elif one.kind == "integers":
            found[axis] = IntDistribution(int(one.among[0]), int(one.among[1]))
        else:
            low, high = (float(end) for end in one.among)
            found[axis] = FloatDistribution(low, high, log=one.kind == "log_uniform")
    return found


def value_of(one: Draw, proposed: Any) -> Scalar:
    """A value of an axis as it stands in files, from Optuna's."""
    if one.kind == "choice":
        return one.among[int(proposed)]
    if one.kind == "integers":
        return int(proposed)
    return one.rounded(float(proposed))


def inner_of(one: Draw, value: Scalar) -> Any:
    """The inverse of ``value_of``."""
    if one.kind != "choice":
        return value
    texts = [value_text(other) for other in one.among]
    return texts.index(value_text(value))


def text_of(point: Point) -> tuple[str, ...]:
    """What tells points apart, as in names."""
    return tuple(value_text(value) for value in point.values())


def seed_of(seed: int, number: int) -> int:
    """A seed for each round, of 32 bits as numpy wants them."""
    return int.from_bytes(hashlib.sha256(f"{seed}/round/{number}".encode()).digest()[:4], "big")
