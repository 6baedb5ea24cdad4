"""Two arms on the same prompts, seed by seed: how much a metric has changed.

In: values per seed and prompt of both arms. Out: the change with its 95 % interval. Called by
verdict.py and tables.py.

The pairs are (seed, prompt): both arms of a seed began with the same data order and answer the same
prompts. Seeds are the clusters: prompts that one pair of models answered are not independent
evidence about the next pair. The interval has both levels (engines.shared.reporting.seeds); from
one seed there is no verdict, whatever the number of prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from engines.shared.reporting.seeds import Estimate, estimate_from
from engines.shared.reporting.statistics import Array, Interval

Known = np.ndarray[Any, np.dtype[np.bool_]]
Direction = Literal["higher", "lower", "no difference", "no verdict"]


@dataclass(frozen=True)
class Change:
    """How one metric differs between two arms."""

    estimate: Estimate
    by_seed: tuple[float, ...]
    """The change of each pair of models."""
    prompts: int
    """Prompts that have a value in every model of both arms."""
    left_out: int
    """Prompts that have not."""

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        return self.estimate.interval

    @property
    def direction(self) -> Direction:
        """What the interval says of 0; nothing with one seed."""
        if self.estimate.seeds < 2:
            return "no verdict"
        if self.interval.low > 0:
            return "higher"
        return "lower" if self.interval.high < 0 else "no difference"


def relative_change(treatment: Array, baseline: Array) -> Change | str:
    """Mean over seeds of (mean of the treatment / mean of the baseline) - 1.

    Args:
        treatment: (seeds, prompts), NaN where there is no value.
        baseline: the same seeds and prompts.

    Returns:
        The change; in words, why there is none. The part of the error that comes from prompts is
        linearised, as for any ratio of means (Cochran 1977, chapter 6).
    """
    known = shared(treatment, baseline)
    if isinstance(known, str):
        return known
    means = baseline[:, known].mean(axis=1, keepdims=True)
    if not (means > 0).all():
        return "the other arm's mean is not above 0, so there is no relative change"
    ratios = treatment[:, known].mean(axis=1, keepdims=True) / means
    # What a prompt adds to each seed's ratio, first order.
    influence = (treatment[:, known] - ratios * baseline[:, known]) / means
    return changed(ratios[:, 0] - 1, influence, known)


def difference(treatment: Array, baseline: Array) -> Change | str:
    """Mean over seeds of the mean difference; the arguments are those of ``relative_change``."""
    known = shared(treatment, baseline)
    if isinstance(known, str):
        return known
    apart = treatment[:, known] - baseline[:, known]
    by_seed = apart.mean(axis=1)
    return changed(by_seed, apart - by_seed[:, None], known)


def shared(treatment: Array, baseline: Array) -> Known | str:
    """Which prompts have a value everywhere; in words, if they are too few."""
    if treatment.shape != baseline.shape:
        return f"the arms have other seeds or prompts: {treatment.shape} and {baseline.shape}"
    known = np.asarray(~np.isnan(treatment + baseline).any(axis=0))
    if known.sum() < 2:
        return f"{int(known.sum())} of {len(known)} prompts have a value in every model"
    return known


def changed(by_seed: Array, influence: Array, known: Known) -> Change:
    """From the seeds' changes and what each prompt adds to them (seeds, prompts), of mean 0."""
    # The same prompts in all seeds: what a prompt does to all of them alike stays in.
    over_prompts = float(influence.mean(axis=0).var(ddof=1)) / influence.shape[1]
    return Change(
        estimate_from(by_seed, over_prompts),
        tuple(map(float, by_seed)),
        int(known.sum()),
        int((~known).sum()),
    )
