"""Axes that do not multiply: those of ``zip`` go together, those of ``random`` and ``search`` are
drawn.

What goes in: the keys of a stage and their nodes. What comes out: the axes, as those of a matrix
are, and the points that they have together; every mistake is told with its line. Called by
``stage_reader``.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.contract.written.nodes import Node
from jobs.draws import Draw, draw
from jobs.ranking import SEED
from jobs.searches import POINT
from jobs.stages import Point, value_text
from orchestrator.description.checking import Tell
from orchestrator.description.stage import Axis, Searched
from orchestrator.description.sweeps.axis_keys import DrawFile, RandomFile, SearchFile


def zipped(axes: Mapping[str, Axis]) -> tuple[Point, ...]:
    """The first values of all axes, then the second ones, as far as the shortest goes."""
    rows = zip(*(axis.values for axis in axes.values()), strict=False)
    return tuple(dict(zip(axes, row, strict=True)) for row in rows)


def check_zip(axes: Mapping[str, Axis], node: Node, tell: Tell) -> None:
    """Several axes, of as many values each, and no combination twice."""
    if not axes:
        return
    if len(axes) == 1:
        tell(node.value["zip"], "zip: needs several axes that go together; one belongs to 'matrix'")
    counts = {name: len(axis.values) for name, axis in axes.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        tell(
            node.value["zip"],
            f"zip: each axis must have as many values as the others, got {listed}",
        )
        return
    seen: set[tuple[str, ...]] = set()
    first = next(iter(axes.values()))
    for point, place in zip(zipped(axes), first.nodes, strict=True):
        texts = tuple(value_text(value) for value in point.values())
        if texts in seen:
            both = ", ".join(f"{name}={value}" for name, value in zip(axes, texts, strict=True))
            tell(place, f"zip: {both} is there twice; remove one")
        seen.add(texts)


def drawn(written: RandomFile | None) -> tuple[Point, ...]:
    """The points of ``random``."""
    if written is None:
        return ()
    axes = {name: draw_of(one) for name, one in written.axes.items()}
    return tuple(draw(written.n, written.seed, axes))


def searched(written: SearchFile | None) -> Searched | None:
    """The search of a stage."""
    if written is None:
        return None
    return Searched(
        metric=written.metric,
        where=dict(written.where),
        axes={name: draw_of(one) for name, one in written.axes.items()},
        rounds=written.rounds,
        n=written.n,
        seed=written.seed,
    )


def numbered(search: Searched | None) -> tuple[Point, ...]:
    """The points of a search, as far as they are known before it."""
    if search is None:
        return ()
    return tuple({POINT: number} for number in range(search.rounds * search.n))


def draw_of(written: DrawFile) -> Draw:
    """What one axis is drawn from."""
    if written.choice is not None:
        return Draw(kind="choice", among=tuple(written.choice))
    if written.integers is not None:
        return Draw(kind="integers", among=tuple(written.integers))
    if written.log_uniform is not None:
        return Draw(kind="log_uniform", among=tuple(written.log_uniform))
    return Draw(kind="uniform", among=tuple(written.uniform or ()))


def axes_of_drawn(points: tuple[Point, ...], node: Node | None) -> dict[str, Axis]:
    """The drawn values of each axis, each once, all at the place of what they are drawn from."""
    axes: dict[str, Axis] = {}
    for name in points[0] if points else ():
        place = node.value["axes"].value[name].where if node else ""
        # To Python 1, 1.0 and True are one key.
        values = {(type(point[name]), point[name]): point[name] for point in points}.values()
        nodes = tuple(Node(value, place) for value in values)
        axes[name] = Axis(values=tuple(values), nodes=nodes, brings_config=False)
    return axes


def check_drawn(
    points: tuple[Point, ...], written: RandomFile | None, node: Node, tell: Tell
) -> None:
    """As many points as were asked for."""
    if written is not None and len(points) < written.n:
        tell(
            node.value["random"],
            f"random: n is {written.n}, and no more than {len(points)} different points were "
            "found; ask for fewer, or take a matrix",
        )


def check_search(
    search: Searched | None, matrix: Mapping[str, Axis], node: Node, tell: Tell
) -> None:
    """A search has the seeds alone beside it, and room for as many different points."""
    if search is None:
        return
    for key in ("zip", "random", "pairs", "exclude", "replace"):
        if key in node.value:
            tell(node.value[key], f"'{key}' and 'search' do not go together; take one out")
    canary = node.child("canary")
    if canary is not None and isinstance(canary.value, dict):
        tell(canary, "the canary of a search is its first job; write canary: true")
    for axis in matrix:
        if axis != SEED:
            tell(matrix[axis].nodes[0], f"search: {only_seeds(axis)}")
    place = node.value["search"]
    for axis in search.axes:
        if axis in (SEED, POINT) or axis in matrix:
            tell(place, f"search: axis '{axis}' has another meaning; rename it")
    check_room(search, place, tell)


def check_room(search: Searched, place: Node, tell: Tell) -> None:
    """There are as many different points as are asked for."""
    there = 1
    for one in search.axes.values():
        if one.count is None:
            return
        there *= one.count
    asked = search.rounds * search.n
    if there < asked:
        tell(
            place,
            f"search: {search.rounds} rounds of {search.n} are {asked} points, and there are no "
            f"more than {there}; ask for fewer, or take a matrix",
        )


def only_seeds(axis: str) -> str:
    """Why another axis cannot multiply with a search."""
    return (
        f"axis '{axis}' would multiply with the points, and a value of a point is a mean over "
        f"seeds; make '{axis}' an axis of the search, or a stage for each of its values"
    )


def check_one_place(places: Mapping[str, Mapping[str, Axis]], tell: Tell) -> None:
    """No axis is in two of ``zip``, ``random`` and ``matrix``."""
    known: dict[str, str] = {}
    for key, axes in places.items():
        for name, axis in axes.items():
            if name in known:
                tell(
                    axis.nodes[0],
                    f"axis '{name}' comes from '{known[name]}' already; take it out of one",
                )
            known.setdefault(name, key)
