"""Jobs of a plan that take the place of others: a seed for which nothing was learned, by another.

What goes in: the ``replace`` of a stage, and the points of its jobs. What comes out: the points as
they are now, each with what it was before, so that a run goes on as the run it was and everybody
can be told. Called by ``drafts``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from jobs.stages import Entries, Point, Scalar, fits, job_name, points_of_each
from orchestrator.description.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job stands."""

    point: Point
    before: Point
    """What it was before anything was replaced."""
    reason: str = ""
    """Why it takes another's place; empty if it does not."""


def places_of_each(stage: Stage, parents: Sequence[Place]) -> Iterator[list[Place]]:
    """The jobs of a stage below each of its parents: what was replaced there is replaced here, and
    what the stage itself replaces."""
    above = [parent.point for parent in parents]
    each = points_of_each(stage.product_axes, stage.exclude, above, stage.pairs, stage.joined)
    replaced = Entries(replacement.where for replacement in stage.replacements)
    for parent, below in zip(parents, each, strict=True):
        yield places_below(stage, replaced, parent, below)


def places_below(
    stage: Stage, replaced: Entries, parent: Place, points: Iterable[Point]
) -> list[Place]:
    """The jobs below one parent."""
    places = []
    for point in points:
        # This stage's own axes, and those of the parent as they were.
        before = {**point, **parent.before}
        place = Place(point=point, before=before, reason=parent.reason)
        # Of several the first one counts.
        for number in replaced.fitting(point)[:1]:
            replacement = stage.replacements[number]
            now = {**point, **replacement.by}
            place = Place(point=now, before=before, reason=replacement.reason)
        places.append(place)
    return places


def check_replacements(stage: Stage, places: Sequence[Place], mistakes: Mistakes) -> None:
    """Every replacement replaces something, on axes that only set a key of the config, and by what
    is not there already."""
    in_use = used(stage, places)
    for number, replacement in enumerate(stage.replacements):
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
        if number not in in_use:
            mistakes.add(
                replacement.node.where, f"{head}no job has {replacement.where}; check the matrix"
            )
    names = [job_name(stage.name, place.point) for place in places if stage.replacements]
    counts = Counter(names)
    for place, name in zip(places, names, strict=bool(names)):
        # Those below follow: one line, where it is written, and not one for each of them.
        if place.reason and counts[name] > 1:
            mistakes.add(
                stage.place("replace"),
                f"stage '{stage.name}': replace: '{name}' is there already; take another value",
            )


def used(stage: Stage, places: Iterable[Place]) -> set[int]:
    """The numbers of the replacements by which some job is where it is."""
    both = Entries(
        was_and_is(replacement.where, replacement.by) for replacement in stage.replacements
    )
    found: set[int] = set()
    for place in places if stage.replacements else ():
        found.update(both.fitting(was_and_is(place.before, place.point)))
    return found


def was_and_is(before: Mapping[str, Scalar], point: Mapping[str, Scalar]) -> Point:
    """Values of before and of now beside one another."""
    was = {f"was {axis}": value for axis, value in before.items()}
    return was | {f"is {axis}": value for axis, value in point.items()}
