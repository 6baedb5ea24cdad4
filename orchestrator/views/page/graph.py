"""The graph of a run's stages: a box per stage with the states of its jobs, arrows for what comes
after what.

In: the stages in the order of the plan, in which each follows those it needs. Out: SVG as text.
Pure. Called by page.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from orchestrator.runs.record import JobState
from orchestrator.views.page.svg import shortened, state_class, svg, text

MARGIN = 8
BOX_WIDTH, BOX_HEIGHT = 168, 50
COLUMN_WIDTH, ROW_HEIGHT = 216, 66
"""From a box to the next one, to the right and down."""
PADDING = 10
"""Between the border of a box and what stands in it."""
NAME_LINE, COUNT_LINE = 18, 33
"""Base lines of a box's two lines, from its top."""
NAME_LETTERS = 22
BAR_HEIGHT, BAR_FROM_BOTTOM = 5, 11
ARROW_HEAD = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" class="edge-tip"/></marker></defs>'
)


@dataclass(frozen=True, kw_only=True)
class StageBox:
    """One stage in the graph."""

    name: str
    counts: Mapping[JobState, int]
    needs: frozenset[str]
    """Stages whose jobs its jobs come after."""
    gates: frozenset[str]
    """Stages whose results decide whether it runs."""


class Arrow(NamedTuple):
    """From a stage to one that comes after it."""

    source: str
    target: str
    gate: bool
    """Whether results of the source decide about the target."""


def graph(stages: Sequence[StageBox]) -> str:
    """Stages from left to right with their counts and a bar of states; dashed arrows are gates."""
    column = columns(stages)
    corners: dict[str, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for stage in stages:
        number = column[stage.name]
        row = filled.get(number, 0)
        corners[stage.name] = (MARGIN + number * COLUMN_WIDTH, MARGIN + row * ROW_HEIGHT)
        filled[number] = row + 1
    body = [ARROW_HEAD]
    for arrow in direct_arrows(stages):
        body.append(curve(corners[arrow.source], corners[arrow.target], arrow.gate))
    for stage in stages:
        body.append(box(stage, *corners[stage.name]))
    width = 2 * MARGIN + max(column.values(), default=0) * COLUMN_WIDTH + BOX_WIDTH
    height = MARGIN + max(filled.values(), default=0) * ROW_HEIGHT
    return svg(width, height, body, "graph of the stages")


def columns(stages: Sequence[StageBox]) -> dict[str, int]:
    """Column of each stage: one more than the last of those before it."""
    column: dict[str, int] = {}
    for stage in stages:
        before = [column[name] for name in stage.needs | stage.gates if name in column]
        column[stage.name] = max(before, default=-1) + 1
    return column


def direct_arrows(stages: Sequence[StageBox]) -> list[Arrow]:
    """An arrow for each thing that a stage comes after, without those that a longer way says
    already; a gate is always drawn."""
    arrows = []
    ancestors: dict[str, set[str]] = {}
    for stage in stages:
        parents = (stage.needs | stage.gates) & ancestors.keys()
        # A transitive reduction: beside a -> b -> c an arrow a -> c would say nothing new.
        further = set().union(*(ancestors[parent] for parent in parents))
        for parent in sorted(parents):
            is_gate = parent in stage.gates
            if is_gate or parent not in further:
                arrows.append(Arrow(parent, stage.name, is_gate))
        ancestors[stage.name] = {*parents, *further}
    return arrows


def curve(source: tuple[int, int], target: tuple[int, int], gate: bool) -> str:
    """From the right side of one box to the left side of another; given are their upper left
    corners."""
    x0, x1 = source[0] + BOX_WIDTH, target[0]
    y0 = source[1] + BOX_HEIGHT / 2
    y1 = target[1] + BOX_HEIGHT / 2
    # It bends in the free space before the target, so that it passes no box in between. The bend is
    # the x of both control points of a cubic curve.
    bend = x1 - (COLUMN_WIDTH - BOX_WIDTH) / 2
    kind = "edge gate" if gate else "edge"
    start = f"M{x0:.0f} {y0:.0f}"
    control_points = f"C{bend:.0f} {y0:.0f} {bend:.0f} {y1:.0f}"
    end = f" {x1:.0f} {y1:.0f}"
    path = start + control_points + end
    return f'<path class="{kind}" marker-end="url(#tip)" d="{path}"/>'


def box(stage: StageBox, x: int, y: int) -> str:
    """One stage: name, number of jobs, states as a bar."""
    jobs = sum(stage.counts.values())
    counts = ", ".join(f"{count} {state}" for state, count in stage.counts.items())
    if len(stage.counts) == 1:
        (state,) = stage.counts
        summary = f"{jobs} {state.lower()}"
    else:
        summary = f"{stage.counts.get(JobState.COMPLETED, 0)} of {jobs} completed"
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    parts = [
        f"<g><title>{escape(f'{stage.name}: {counts}')}</title>",
        f'<rect class="box" x="{x}" y="{y}" {size} rx="6"/>',
        text(x + PADDING, y + NAME_LINE, shortened(stage.name, NAME_LETTERS), "name"),
        text(x + PADDING, y + COUNT_LINE, summary, "small"),
    ]
    left: float = x + PADDING
    for state, count in sorted(stage.counts.items(), key=lambda item: state_class(item[0])):
        # The bar is as wide as all jobs of the stage; each state has its share of it.
        width = (BOX_WIDTH - 2 * PADDING) * count / jobs
        parts.append(
            f'<rect class="{state_class(state)}" x="{left:.1f}" '
            f'y="{y + BOX_HEIGHT - BAR_FROM_BOTTOM}" '
            f'width="{max(width, 1):.1f}" height="{BAR_HEIGHT}"/>'
        )
        left += width
    return "".join([*parts, "</g>"])
