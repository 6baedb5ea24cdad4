"""How large a plan may be.

What goes in: a stage, and what its own axes multiply with. What comes out: how many jobs it has,
and a mistake where these are more than is planned. Called by ``drafts`` and ``expand``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engines.contract.written.mistakes import Mistakes
from jobs.stages import MOST_POINTS, PAIR_AXES
from orchestrator.description.stage import Stage
from orchestrator.planning.replacements import Place

MOST_WAITS = 10_000_000
"""Jobs of a stage times the jobs that each waits for: minutes of planning."""
MOST_JUDGED = 1_000_000
"""Jobs of a stage times the jobs whose results each hangs on by gates of its own, or follows the
best of: of each a decision is kept with the value of every one."""


def points_below(stage: Stage, above: Sequence[Place]) -> int:
    """How many points a stage has below these, before any is excluded."""
    first = PAIR_AXES[0]
    by_first = Counter((type(pair[0]), pair[0]) for pair in stage.pairs)
    count = 0
    for place in above:
        # A parent's value takes the pairs that begin with it.
        value = place.point.get(first)
        own = len(stage.pairs) if value is None else by_first[type(value), value]
        count += own if stage.pairs else 1
    for axes in (*stage.product_axes.values(), *stage.joined):
        count *= len(axes)
    return count


def too_many(stage: Stage, before: int, own: int, waits: int, mistakes: Mistakes) -> bool:
    """Whether a stage has more jobs, or they wait for more, than is planned, which is told.

    Args:
        before: jobs of the stages before it.
        own: points of its axes.
        waits: jobs that each of its jobs waits for.
    """
    if before + own > MOST_POINTS:
        mistakes.add(
            stage.place("pairs" if stage.pairs else "matrix"),
            f"stage '{stage.name}': its axes have {own} points, and an experiment may have "
            f"{MOST_POINTS} in all (before 'exclude'); take values out, or make several "
            "experiments",
        )
    elif own * waits > MOST_WAITS:
        mistakes.add(
            stage.place("after"),
            f"stage '{stage.name}': each of its {own} jobs would wait for {waits} others; put a "
            "stage of one job between the two",
        )
    else:
        return False
    return True


def too_much_judged(stage: Stage, key: str, jobs: int, judged: int, mistakes: Mistakes) -> bool:
    """Whether more results hang together than is kept for a stage, which is told at ``key``.

    Args:
        jobs: of the stage.
        judged: by each of them, all together.
    """
    if judged <= MOST_JUDGED:
        return False
    mistakes.add(
        stage.place(key),
        f"stage '{stage.name}': {key}: its {jobs} jobs hang on {judged} results, each job's own "
        f"counted, of {MOST_JUDGED} at most; name fewer jobs, or put a stage of one job between "
        "the two",
    )
    return True
