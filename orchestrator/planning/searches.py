"""``search`` of a stage -> how its rounds are drawn; the values themselves are drawn while it runs.

In: the drafts. Out: a ``Search`` for each stage that has one, and of each of its jobs what is part
of the identity; mistakes that only several stages, or an engine, show. Called by ``expand`` and
``drafts``.
"""

from __future__ import annotations

from pydantic import BaseModel

from engines.contract.metrics import METRICS, Metric
from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from jobs.draws import draw
from jobs.ranking import SEED
from jobs.searches import POINT, Search
from jobs.stages import Point
from orchestrator.description.stage import Searched, Stage
from orchestrator.planning.drafts import Draft, Drafts


def searches_of(drafts: Drafts, mistakes: Mistakes) -> dict[str, Search]:
    """How the rounds of each stage with a search are drawn."""
    found = {}
    for stage in drafts.stages.values():
        search = stage.search
        if search is None or not drafts.sound[stage.name]:
            continue
        higher = direction(stage, "search", search.metric, stage, mistakes)
        if higher is not None:
            found[stage.name] = Search(
                metric=search.metric,
                higher=higher,
                where=search.where,
                axes=search.axes,
                rounds=search.rounds,
                n=search.n,
                seed=search.seed,
                command=stage.command,
            )
    return found


def direction(
    stage: Stage, key: str, metric: str, judged: Stage, mistakes: Mistakes
) -> bool | None:
    """Whether higher values of a metric of ``judged`` are better, or None with the mistake told at
    ``key`` of ``stage``."""
    known: dict[str, Metric] = judged.metrics if judged.engine is None else METRICS
    word = "for_each: best" if key == "for_each" else f"{key}: metric"
    text = ""
    if metric not in known:
        text = f"unknown metric {metric!r}{near(metric, known)}"
        if judged.engine is None:
            text += (
                f"; stage '{judged.name}' is a command: name what it measures under its 'metrics'"
            )
    elif known[metric].higher_is_better is None:
        text = f"neither higher nor lower values of {metric!r} are better; name another metric"
        if judged.engine is None:
            text = f"{metric!r} must say which values are better: {{better: lower}}"
    if text:
        mistakes.add(stage.place(key), f"stage '{stage.name}': {word}: {text}")
        return None
    return known[metric].higher_is_better


def identities_of(draft: Draft, drafts: Drafts, searches: dict[str, Search]) -> list[str]:
    """What the search adds to the identity of a job."""
    search = searches.get(draft.stage_name)
    if search is None:
        return []
    seeds = {
        str(one.point[SEED]): one.point[SEED]
        for one in drafts.by_stage[draft.stage.name]
        if SEED in one.point
    }
    return [search.identity(int(draft.point[POINT]), [seeds[text] for text in sorted(seeds)])]


def standing_in(search: Searched) -> Point:
    """Values that the config of a job is checked with, as its own are not drawn yet."""
    return draw(1, search.seed, search.axes)[0]


def check_keys(stage: Stage, kind: type[BaseModel], mistakes: Mistakes) -> None:
    """Each axis of a search sets a config key of an engine."""
    for axis in stage.search.axes if stage.search else ():
        if axis not in kind.model_fields:
            mistakes.add(
                stage.place("search"),
                f"stage '{stage.name}': axis '{axis}' sets the config key '{axis}', which no "
                f"engine '{stage.engine}' reads{near(axis, kind.model_fields)}",
            )


def is_searched(stage: Stage, axis: str) -> bool:
    """Whether the values of an axis come from the search of a stage."""
    return stage.search is not None and axis in stage.search.axes
