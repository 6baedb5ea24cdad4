"""The drawings of a run's page as inline SVG: graph of stages, timeline, curves. Pure; colours are
the page's own (``var(--ok)``).

A drawing's size depends on the number of stages and lines, never on the number of jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from orchestrator.runs.record import FAILED, JobState

WIDTH = 960
BOX_WIDTH, BOX_HEIGHT, COLUMN, ROW = 168, 50, 216, 66
LABEL = 250
"""Width of the names left of a timeline."""
BINS = 240
"""Moments at which an aggregated timeline counts its jobs."""
ROWS = 80
"""A run of more jobs has a band per stage in place of a line per job."""
TICKS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    172800,
    604800,
)
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7f7f7f")
"""Colours of curves after Okabe and Ito."""


def colour(state: JobState) -> str:
    """The class of a state's colour."""
    if state in FAILED:
        return "bad"
    return {
        JobState.COMPLETED: "ok",
        JobState.RUNNING: "run",
        JobState.COMPLETING: "run",
        JobState.PENDING: "wait",
        JobState.SUSPENDED: "wait",
        JobState.UNKNOWN: "odd",
    }.get(state, "none")


@dataclass(frozen=True, kw_only=True)
class StageBox:
    """One stage in the graph."""

    name: str
    counts: Mapping[JobState, int]
    needs: frozenset[str]
    """Stages whose jobs its jobs come after."""
    gates: frozenset[str]
    """Stages whose results decide whether it runs."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One start of one job, for the timeline."""

    job: str
    stage: str
    submitted: float | None
    """None: unknown, or an earlier start of the job was drawn with it."""
    started: float
    ended: float
    state: JobState
    """RUNNING, COMPLETED, PENDING (requeued) or a failure."""
    told: str
    """Shown when the pointer rests on it."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one job over its steps."""

    label: str
    """Its arm; curves of one label share a colour."""
    points: Sequence[tuple[float, float]]


def svg(width: float, height: float, body: Sequence[str], label: str) -> str:
    """A drawing that a page scales down, and a screen reader names."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" '
        f'aria-label="{escape(label)}">{"".join(body)}</svg>'
    )


def text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    """A line of words."""
    return (
        f'<text class="{kind or "plain"}" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="{anchor}">{escape(said)}</text>'
    )


def shortened(said: str, most: int) -> str:
    """A name that fits, its end kept: there stands what varies."""
    return said if len(said) <= most else f"…{said[-most + 1 :]}"


def depths(stages: Sequence[StageBox]) -> dict[str, int]:
    """Column of each stage: one more than the last of those before it."""
    found: dict[str, int] = {}
    for stage in stages:  # in an order in which each follows the ones it needs
        found[stage.name] = max(
            (found[name] + 1 for name in stage.needs | stage.gates if name in found), default=0
        )
    return found


def direct(stages: Sequence[StageBox]) -> list[tuple[str, str, bool]]:
    """Arrows (from, to, gate) without those that a longer way says already."""
    before: dict[str, set[str]] = {}
    arrows = []
    for stage in stages:
        mine = (stage.needs | stage.gates) & before.keys()
        further = {name for parent in mine for name in before[parent]}
        arrows += [
            (name, stage.name, name in stage.gates)
            for name in sorted(mine)
            if name not in further or name in stage.gates
        ]
        before[stage.name] = set(mine) | further
    return arrows


def graph(stages: Sequence[StageBox]) -> str:
    """Stages from left to right with their counts and a bar of states; dashed arrows are gates."""
    column = depths(stages)
    place: dict[str, tuple[float, float]] = {}
    filled: dict[int, int] = {}
    for stage in stages:
        depth = column[stage.name]
        place[stage.name] = (8 + depth * COLUMN, 8 + filled.get(depth, 0) * ROW)
        filled[depth] = filled.get(depth, 0) + 1
    body = [
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" class="edge-tip"/></marker></defs>'
    ]
    for one, other, gate in direct(stages):
        x0, y0 = place[one][0] + BOX_WIDTH, place[one][1] + BOX_HEIGHT / 2
        x1, y1 = place[other][0], place[other][1] + BOX_HEIGHT / 2
        middle = x1 - (COLUMN - BOX_WIDTH) / 2
        body.append(
            f'<path class="edge{" gate" if gate else ""}" marker-end="url(#tip)" '
            f'd="M{x0:.0f} {y0:.0f}C{middle:.0f} {y0:.0f} {middle:.0f} {y1:.0f} {x1:.0f} '
            f'{y1:.0f}"/>'
        )
    body += [box(stage, *place[stage.name]) for stage in stages]
    width = 16 + max(column.values(), default=0) * COLUMN + BOX_WIDTH
    return svg(width, 8 + max(filled.values(), default=0) * ROW, body, "graph of the stages")


def box(stage: StageBox, x: float, y: float) -> str:
    """One stage: name, number of jobs, states as a bar."""
    jobs = sum(stage.counts.values())
    told = ", ".join(f"{count} {state}" for state, count in stage.counts.items())
    done = stage.counts.get(JobState.COMPLETED, 0)
    said = (
        f"{jobs} {next(iter(stage.counts)).lower()}"
        if len(stage.counts) == 1
        else f"{done} of {jobs} completed"
    )
    parts = [
        f'<g><title>{escape(f"{stage.name}: {told}")}</title><rect class="box" x="{x}" '
        f'y="{y}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="6"/>',
        text(x + 10, y + 18, shortened(stage.name, 22), "name"),
        text(x + 10, y + 33, said, "small"),
    ]
    left, room = x + 10, BOX_WIDTH - 20
    for state, count in sorted(stage.counts.items(), key=lambda item: colour(item[0])):
        width = room * count / jobs
        parts.append(
            f'<rect class="{colour(state)}" x="{left:.1f}" y="{y + BOX_HEIGHT - 11}" '
            f'width="{max(width, 1):.1f}" height="5"/>'
        )
        left += width
    return "".join([*parts, "</g>"])


def step_of(span: float, most: int) -> int:
    """The distance of ticks on a time axis, in seconds, so that there are at most ``most``."""
    return next((one for one in TICKS if span / one <= most), max(TICKS[-1], round(span / most)))


def span_text(seconds: float) -> str:
    """A time since the launch: 0, 30 s, 5 min, 2 h, 3 d."""
    if not seconds:
        return "0"
    size, word = next(
        (pair for pair in ((86400, "d"), (3600, "h"), (60, "min")) if seconds >= pair[0]), (1, "s")
    )
    return f"{seconds / size:g} {word}"


def axis(first: float, last: float, top: float, bottom: float) -> list[str]:
    """Ticks since the launch, with lines through the drawing."""
    span = max(last - first, 1.0)
    step, marks = step_of(span, 8), []
    for number in range(int(span // step) + 1):
        x = LABEL + (WIDTH - LABEL - 10) * number * step / span
        marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        marks.append(
            text(x, bottom + 14, span_text(number * step), "small", "middle" if number else "start")
        )
    return marks


def timeline(bars: Sequence[Bar], first: float, last: float) -> str:
    """A line per job, its wait thin and its runs thick; of a large run a band per stage."""
    jobs = list(dict.fromkeys(bar.job for bar in bars))
    if not jobs:
        return "<p>No job has started yet.</p>"
    if len(jobs) > ROWS:
        return bands(bars, first, last)
    scale = (WIDTH - LABEL - 10) / max(last - first, 1.0)
    height, body = 16 * len(jobs) + 4, []
    body += axis(first, last, 2, height)
    rows = {job: 4 + 16 * place for place, job in enumerate(jobs)}
    body += [text(LABEL - 8, y + 10, shortened(job, 36), "small", "end") for job, y in rows.items()]
    for bar in bars:
        y, x = rows[bar.job], LABEL + (bar.started - first) * scale
        if bar.submitted is not None and bar.started > bar.submitted:
            body.append(
                '<rect class="wait thin" '
                f'x="{LABEL + (bar.submitted - first) * scale:.1f}" y="{y + 5}" '
                f'width="{(bar.started - bar.submitted) * scale:.1f}" height="2"/>'
            )
        body.append(
            f'<rect class="{colour(bar.state)}" x="{x:.1f}" y="{y}" '
            f'width="{max((bar.ended - bar.started) * scale, 1.5):.1f}" '
            f'height="12" rx="2"><title>{escape(bar.told)}</title></rect>'
        )
    return svg(WIDTH, height + 20, body, "timeline of the jobs")


def counts_at(spans: Sequence[tuple[float, float]], first: float, width: float) -> list[int]:
    """How many spans each of BINS moments lies in."""
    change = [0] * (BINS + 1)
    for start, end in spans:
        change[min(BINS, max(0, int((start - first) / width)))] += 1
        change[min(BINS, max(0, int((end - first) / width) + 1))] -= 1
    found, now = [], 0
    for step in change[:BINS]:
        now += step
        found.append(now)
    return found


def bands(bars: Sequence[Bar], first: float, last: float) -> str:
    """Per stage how many jobs ran and waited over time, and where some died."""
    stages = list(dict.fromkeys(bar.stage for bar in bars))
    width, high = max(last - first, 1.0) / BINS, 44
    scale, height = (WIDTH - LABEL - 10) / BINS, len(stages) * (high + 10) + 4
    body = axis(first, last, 2, height)
    for place, stage in enumerate(stages):
        mine = [bar for bar in bars if bar.stage == stage]
        ran = counts_at([(bar.started, bar.ended) for bar in mine], first, width)
        waited = counts_at(
            [(bar.submitted, bar.started) for bar in mine if bar.submitted is not None],
            first,
            width,
        )
        most = max(max(a + b for a, b in zip(ran, waited, strict=True)), 1)
        base = 4 + place * (high + 10) + high
        for kind, values in (
            ("wait faint", [a + b for a, b in zip(ran, waited, strict=True)]),
            ("run", ran),
        ):
            path = "".join(f"V{base - high * value / most:.1f}h{scale:.2f}" for value in values)
            body.append(f'<path class="{kind}" d="M{LABEL} {base}{path}V{base}z"/>')
        dead = sorted({int((bar.ended - first) / width) for bar in mine if bar.state in FAILED})
        body += [
            f'<rect class="bad" x="{LABEL + scale * one:.1f}" y="{base - high}" width="2" '
            'height="8"/>'
            for one in dead
        ]
        jobs = len({bar.job for bar in mine})
        body += [
            text(LABEL - 8, base - 20, shortened(stage, 28), "name", "end"),
            text(LABEL - 8, base - 6, f"{jobs} jobs, at most {max(ran)} at once", "small", "end"),
        ]
    return svg(WIDTH, height + 20, body, "jobs running and waiting per stage over time")


def thinned(points: Sequence[tuple[float, float]], most: int = 160) -> list[tuple[float, float]]:
    """At most so many points; of more the means of neighbours."""
    if len(points) <= most:
        return list(points)
    edges = [place * len(points) // most for place in range(most + 1)]
    parts = [points[low:high] for low, high in pairwise(edges)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts
    ]


def plot(curves: Sequence[Curve], name: str) -> str:
    """Curves of one metric, a colour for each label, with a key."""
    lines = [(curve.label, thinned(curve.points)) for curve in curves if curve.points]
    xs, ys = (
        [x for _, points in lines for x, _ in points],
        [y for _, points in lines for _, y in points],
    )
    low, high, right = min(ys), max(ys), max(xs)
    room = (high - low) or abs(high) or 1.0
    low, high = low - 0.05 * room, high + 0.05 * room
    left, top, bottom, wide = 56, 12, 190, 460

    def at(x: float, y: float) -> str:
        return (
            f"{left + (wide - left - 12) * x / (right or 1):.1f} "
            f"{bottom - (bottom - top) * (y - low) / (high - low):.1f}"
        )

    if len({label for label, _ in lines}) > len(
        SERIES
    ):  # too many to tell apart: what they do together is what can be seen
        lines = [(f"{len(lines)} jobs", points) for _, points in lines]
    labels = list(dict.fromkeys(label for label, _ in lines))
    colours = {label: SERIES[place % len(SERIES)] for place, label in enumerate(labels)}
    body = []
    for part in (0, 0.5, 1):
        y = bottom - part * (bottom - top)
        body.append(f'<line class="grid" x1="{left}" x2="{wide - 12}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(text(left - 6, y + 4, f"{low + part * (high - low):.3g}", "small", "end"))
    thick = 1.6 if len(lines) <= 2 * len(labels) else 1
    for label, points in lines:
        places = " ".join(at(x, y) for x, y in (points if len(points) > 1 else points * 2))
        width = thick if len(points) > 1 else 5  # a single point is a dot
        body.append(
            f'<polyline fill="none" stroke="{colours[label]}" stroke-width="{width}" '
            f'stroke-linecap="round" points="{places}"/>'
        )
    body.append(text((left + wide) / 2, bottom + 16, f"step, 0 to {right:g}", "small", "middle"))
    x, y = float(left), bottom + 34.0
    for label in labels:
        wide_label = 24 + 6.6 * len(label)
        x, y = (x, y) if x + wide_label <= wide else (float(left), y + 16)
        body.append(
            f'<rect x="{x:.1f}" y="{y - 8}" width="12" height="4" fill="{colours[label]}"/>'
            + text(x + 16, y - 3, label, "small")
        )
        x += wide_label
    return svg(wide, y + 8, body, name)
