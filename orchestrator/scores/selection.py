"""Which of a training's checkpoints a person means by ``--checkpoints``.

In: the words of the command line, and the checkpoints that are known. Out: those that fit. Pure.
Called by evolve.py; compare.py asks for the best one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engines.contract.checkpoints import check_selector
from engines.contract.config import ConfigError
from engines.contract.metrics import is_higher_better
from orchestrator.errors import RunError
from orchestrator.scores.evolution import START, SeenCheckpoint

Selector = str | list[int]
"""``all``, ``best``, ``last``, ``every:N``, or epochs (steps, of foreign checkpoints)."""


def selector_of(text: str) -> Selector:
    """Read a selector; epochs are written ``5,10``. RunError for anything else."""
    if re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})*", text):
        return [int(word) for word in text.split(",")]
    try:
        check_selector(text)
    except ConfigError as error:
        raise RunError(
            f"--checkpoints {text}: must be all, best, last, every:N, or epochs such as 5,10"
        ) from error
    return text


def choose(seen: Sequence[SeenCheckpoint], selector: Selector, over: bool) -> list[SeenCheckpoint]:
    """Those of one training's checkpoints that ``selector`` names. The model it began with is a
    point of every curve but of ``last`` and ``best``.

    ``every:N`` counts from the first that was ever seen, so that a later call adds and never
    shifts; of a training that is ``over`` the last is always among them.
    """
    start = [one for one in seen if one.checkpoint == START]
    made = [one for one in seen if one.checkpoint != START]
    if selector == "all":
        return [*start, *made]
    if isinstance(selector, list):
        return [*start, *(one for one in made if one.epoch in selector)]
    if selector == "last":
        return made[-1:]
    if selector == "best":
        return best(made)
    every = int(selector.removeprefix("every:"))
    chosen = list(start)
    for number, one in enumerate(made, start=1):
        is_last = over and number == len(made)
        if number % every == 0 or is_last:
            chosen.append(one)
    return chosen


def best(made: Sequence[SeenCheckpoint]) -> list[SeenCheckpoint]:
    """The one whose own metric is best, of equals the earliest. RunError if none carries one."""
    ranked = [(one, one.rank_by) for one in made if one.rank_by in one.metrics]
    if not ranked:
        if made:
            raise RunError(
                f"{made[0].training}: no checkpoint carries the metric that 'best' ranks by; "
                "name last, all or epochs"
            )
        return []
    higher = is_higher_better(str(ranked[0][1]), ranked[0][0].better)

    def rank(entry: tuple[SeenCheckpoint, str | None]) -> tuple[float, int]:
        one, metric = entry
        value = one.metrics[str(metric)]
        # For ``min``: the best value is the smallest first number, and of equals the earliest step
        # wins.
        return (-value if higher else value), one.step

    return [min(ranked, key=rank)[0]]
