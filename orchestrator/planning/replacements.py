"""Jobs of a plan that take the place of others: a seed for which nothing was learned, by another.

What goes in: the ``replace`` of a stage, and the points of its jobs. What comes out: the points as
they are now, each with what it was before, so that a run goes on as the run it was and everybody
can be told. Called by ``drafts``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from jobs.stages import Point, fits, job_name
from orchestrator.description.stage import Replacement, Stage


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job stands."""

    point: Point
    before: Point
    """What it was before anything was replaced."""
    reason: str = ""
    """Why it takes another's place; empty if it does not."""


def places_below(stage: Stage, parent: Place, points: Iterable[Point]) -> list[Place]:
    """The jobs of a stage below one parent: what was replaced there is replaced here, and what the
    stage itself replaces."""
    places = []
    for point in points:
        # This stage's own axes, and those of the parent as they were.
        before = {**point, **parent.before}
        place = Place(point=point, before=before, reason=parent.reason)
        for replacement in stage.replacements:
            if fits(point, replacement.where):
                now = {**point, **replacement.by}
                place = Place(point=now, before=before, reason=replacement.reason)
                break
        places.append(place)
    return places


def check_replacements(stage: Stage, places: Sequence[Place], mistakes: Mistakes) -> None:
    """Every replacement replaces something, on axes that only set a key of the config, and by what
    is not there already."""
    for replacement in stage.replacements:
        head = f"stage '{stage.name}': replace: "
        for axis in replacement.by:
            entry = stage.matrix.get(axis)
            if entry is None or entry.brings_config:
                lists = [name for name, known in stage.matrix.items() if not known.brings_config]
                mistakes.add(
                    replacement.node.where,
                    f"{head}'{axis}' is no axis of the stage that is written as a list"
                    f"{near(axis, lists)}",
                )
        if fits(replacement.where, replacement.by):
            mistakes.add(
                replacement.node.where,
                f"{head}{replacement.where} is replaced by itself; take another value",
            )
        if not any(used(replacement, place) for place in places):
            mistakes.add(
                replacement.node.where, f"{head}no job has {replacement.where}; look at the matrix"
            )
    names = [job_name(stage.name, place.point) for place in places]
    for place, name in zip(places, names, strict=True):
        # Those below follow: one line, where it is written, and not one for each of them.
        if stage.replacements and place.reason and names.count(name) > 1:
            mistakes.add(
                stage.place("replace"),
                f"stage '{stage.name}': replace: '{name}' is there already; take another value",
            )


def used(replacement: Replacement, place: Place) -> bool:
    """Whether a job is where it is by this replacement."""
    return fits(place.before, replacement.where) and fits(place.point, replacement.by)
