"""Axes that do not multiply: those of ``zip`` go together, those of ``random`` are drawn.

What goes in: the keys of a stage and their nodes. What comes out: the axes, as those of a matrix
are, and the points that they have together; every mistake is told with its line. Called by
``stage_reader``.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs.draws import Draw, draw
from jobs.stages import Point, value_text
from orchestrator.description.checking import Tell
from orchestrator.description.stage import Axis
from orchestrator.description.sweeps.axis_keys import DrawFile, RandomFile
from orchestrator.description.yaml_lines import Node


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
