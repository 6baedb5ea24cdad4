"""The timeline of a run: when its jobs waited, ran and died.

In: a ``Bar`` per start of a job. Out: SVG as text, once for a wide page and once for a phone: a
line per job, or of more jobs a block per stage in whose lanes they lie, or of a large run a band
per stage that counts its jobs. Pure. Called by page.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from orchestrator.runs.record import FAILED, JobState
from orchestrator.views.page.svg import STOPPED, Plot, shortened, state_class, svg, text


@dataclass(frozen=True)
class Frame:
    """How wide a drawing is, and where its names stand."""

    width: int
    names: int
    """Width of the names left of the plot; 0: they stand above what they name."""
    ticks: int
    """At most so many."""


WIDE, NARROW = Frame(1040, 250, 8), Frame(380, 0, 5)
NAMES_GAP = 8
"""Between a name and the plot."""
TOP_MARGIN, RIGHT_MARGIN = 2, 14
AXIS_HEIGHT = 20
AXIS_LINE = 14
"""Base line of the words at the ticks, below the plot."""
TICKS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14400, 21600, 43200),
    *(86400, 172800, 604800),
)
"""Distances of ticks in seconds: of seconds, minutes, hours and days."""
UNITS = ((86400, "d", 0), (3600, "h", 60), (60, "min", 1))
"""Seconds of a unit, its word, and what the part behind its colon counts."""

WHOLE_JOBS = 40
"""A run of more jobs has lanes in place of a line per job."""
MOST_LANES = 12
"""A stage of which more run at once has a band that counts its jobs."""
MOST_BARS = 400
"""A run of more starts has bands alone."""
FIRST_LINE = 4
"""From the top of the plot to the first line or band."""
LINE_HEIGHT, BAR_HEIGHT = 17, 12
LINE_WORDS, LINE_LETTERS = 10, 36
"""Base line of a job's name, from the top of its line, and how long it may be."""
WAIT_HEIGHT, WAIT_FROM_TOP = 2, 5
"""Of the thin bar of a job that waited."""
LEAST_WIDTH = 1.5
"""Of a bar, so that the shortest job is seen."""
LANE_HEIGHT, LANE_BAR, BLOCK_GAP = 11, 9, 8
"""Of the lanes of a stage, and between two stages."""
NAME_ABOVE = 16
"""Of a name that stands above what it names."""

BINS = 240
"""Moments at which a band counts its jobs."""
BAND_HEIGHT, BAND_GAP = 44, 10
BAND_NAME, BAND_COUNT = 20, 6
"""Base lines of a band's two lines of words, from its bottom up."""
BAND_LETTERS = 28
DEATH_WIDTH, DEATH_HEIGHT = 2, 8
"""Of the mark at the top of a band where a job died."""


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
    hint: str
    """Shown when the pointer rests on it."""


def timeline(bars: Sequence[Bar], first: float, last: float) -> str:
    """The drawing for a wide page and the one for a phone, of which the page shows one.

    Args:
        first: the launch, in Unix seconds; ticks count from it.
        last: the end of the drawing.
    """
    jobs = list(dict.fromkeys(bar.job for bar in bars))
    if not jobs:
        return "<p>No job has started yet.</p>"
    span = first, first + max(last - first, 1.0)
    draw = blocks if len(jobs) > WHOLE_JOBS else lines
    wide = draw(bars, span, WIDE)
    narrow = blocks(bars, span, NARROW)
    return f'<div class="on-wide">{wide}</div><div class="on-narrow">{narrow}</div>'


def lines(bars: Sequence[Bar], span: tuple[float, float], frame: Frame) -> str:
    """A line per job, its waits thin and its runs thick."""
    jobs = list(dict.fromkeys(bar.job for bar in bars))
    plot = plot_of(span, FIRST_LINE + LINE_HEIGHT * len(jobs), frame)
    body = axis(plot, frame)
    tops = {job: FIRST_LINE + LINE_HEIGHT * number for number, job in enumerate(jobs)}
    for job, top in tops.items():
        name = shortened(job, LINE_LETTERS)
        body.append(text(frame.names - NAMES_GAP, top + LINE_WORDS, name, "small", "end"))
    for bar in bars:
        body += job_bar(plot, bar, tops[bar.job])
    return svg(frame.width, plot.bottom + AXIS_HEIGHT, body, "timeline of the jobs")


def plot_of(span: tuple[float, float], bottom: float, frame: Frame) -> Plot:
    """The area right of the names."""
    return Plot(
        left=frame.names,
        right=frame.width - RIGHT_MARGIN,
        top=TOP_MARGIN,
        bottom=bottom,
        x_range=span,
    )


def blocks(bars: Sequence[Bar], span: tuple[float, float], frame: Frame) -> str:
    """Per stage its jobs in lanes, or a band that counts them."""
    above = 0 if frame.names else NAME_ABOVE
    top = FIRST_LINE
    stages: dict[str, list[Bar]] = {}
    for bar in bars:
        stages.setdefault(bar.stage, []).append(bar)
    placed: list[tuple[str, list[Bar], list[int] | None, int]] = []
    for stage, members in stages.items():
        lanes = lanes_of(members)
        if len(bars) > MOST_BARS or max(lanes) >= MOST_LANES:
            placed.append((stage, members, None, top + above))
            top += above + BAND_HEIGHT + BAND_GAP
        else:
            placed.append((stage, members, lanes, top + above))
            height = max(2 * LANE_HEIGHT, LANE_HEIGHT * (max(lanes) + 1))
            top += above + height + BLOCK_GAP
    plot = plot_of(span, top, frame)
    body = axis(plot, frame)
    for stage, members, own_lanes, start in placed:
        if own_lanes is None:
            body += band(plot, stage, members, start + BAND_HEIGHT, frame)
        else:
            body += block(plot, stage, list(zip(members, own_lanes, strict=True)), start, frame)
    return svg(frame.width, plot.bottom + AXIS_HEIGHT, body, "timeline of the jobs, by stage")


def lanes_of(bars: Sequence[Bar]) -> list[int]:
    """A lane for each bar, the first one that is free when it starts."""
    ends: list[float] = []
    lanes = [0] * len(bars)
    for place in sorted(range(len(bars)), key=lambda place: bars[place].started):
        bar = bars[place]
        free = [lane for lane, end in enumerate(ends[:MOST_LANES]) if end <= bar.started]
        lane = free[0] if free else len(ends)
        if lane == len(ends):
            ends.append(bar.ended)
        ends[lane] = bar.ended
        lanes[place] = lane
    return lanes


def block(
    plot: Plot, stage: str, members: Sequence[tuple[Bar, int]], top: int, frame: Frame
) -> list[str]:
    """The lanes of one stage, and its name."""
    drawn = []
    for bar, lane in members:
        width = max(plot.width(bar.ended - bar.started), LEAST_WIDTH)
        drawn.append(
            f'<rect class="{state_class(bar.state)}" x="{plot.x(bar.started):.1f}" '
            f'y="{top + LANE_HEIGHT * lane}" width="{width:.1f}" height="{LANE_BAR}" rx="1.5">'
            f"<title>{escape(bar.hint)}</title></rect>"
        )
    jobs = len({bar.job for bar, _ in members})
    words = f"{shortened(stage, BAND_LETTERS)} {jobs if jobs > 1 else ''}".rstrip()
    return [*drawn, block_name(words, top + LANE_BAR, top, frame)]


def block_name(words: str, beside: float, top: float, frame: Frame) -> str:
    """A name beside what it names, or above it."""
    if frame.names:
        return text(frame.names - NAMES_GAP, beside, words, "name", "end")
    return text(0, top - NAMES_GAP / 2, words, "name")


def job_bar(plot: Plot, bar: Bar, top: int) -> list[str]:
    """A start in the line of its job, after a thin bar for its wait."""
    drawn = []
    if bar.submitted is not None and bar.started > bar.submitted:
        drawn.append(
            f'<rect class="wait thin" x="{plot.x(bar.submitted):.1f}" y="{top + WAIT_FROM_TOP}" '
            f'width="{plot.width(bar.started - bar.submitted):.1f}" height="{WAIT_HEIGHT}"/>'
        )
    width = max(plot.width(bar.ended - bar.started), LEAST_WIDTH)
    drawn.append(
        f'<rect class="{state_class(bar.state)}" x="{plot.x(bar.started):.1f}" y="{top}" '
        f'width="{width:.1f}" height="{BAR_HEIGHT}" rx="2"><title>{escape(bar.hint)}</title></rect>'
    )
    return drawn


def axis(plot: Plot, frame: Frame) -> list[str]:
    """Ticks since the launch, with lines through the drawing."""
    first, last = plot.x_range
    span = last - first
    step = tick_seconds(span, frame.ticks)
    marks = []
    for number in range(int(span // step) + 1):
        x = plot.left + plot.width(number * step)
        anchor = "middle" if number else "start"
        words = span_text(number * step)
        ends = f'y1="{plot.top}" y2="{plot.bottom}"'
        marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
        marks.append(text(x, plot.bottom + AXIS_LINE, words, "small", anchor))
    return marks


def tick_seconds(span: float, most: int) -> int:
    """The distance of ticks on a time axis, in seconds, so that there are at most ``most``."""
    for seconds in TICKS:
        if span / seconds <= most:
            return seconds
    return max(TICKS[-1], round(span / most))


def span_text(seconds: float) -> str:
    """A time since the launch: 0, 30 s, 1:30 min, 2 h, 1:30 h, 3 d."""
    if not seconds:
        return "0"
    for size, word, part in UNITS:
        if seconds >= size:
            whole, left = divmod(round(seconds), size)
            minutes = f":{left // part:02}" if part and left else ""
            return f"{whole}{minutes} {word}"
    return f"{seconds:g} s"


def band(plot: Plot, stage: str, bars: Sequence[Bar], bottom: int, frame: Frame) -> list[str]:
    """The band of one stage: how many jobs ran, above them how many waited, deaths, its name."""
    # The band shows BINS values, however many jobs there are and however long they ran.
    first, last = plot.x_range
    bin_seconds = (last - first) / BINS
    runs = [(bar.started, bar.ended) for bar in bars]
    waits = [(bar.submitted, bar.started) for bar in bars if bar.submitted is not None]
    running = counts_at(runs, first, bin_seconds)
    waiting = counts_at(waits, first, bin_seconds)
    both = [ran + waited for ran, waited in zip(running, waiting, strict=True)]
    # 1: a band in which nothing ran or waited has no height to divide by.
    most = max(*both, 1)
    # The area of those that ran covers the lower part of the area of both.
    drawn = [
        steps("wait faint", both, most, bottom, plot),
        steps("run", running, most, bottom, plot),
    ]
    # One mark per bin, however many died in it.
    died = {int((bar.ended - first) / bin_seconds) for bar in bars if bar.state in FAILED - STOPPED}
    for number in sorted(died):
        x = plot.left + (plot.right - plot.left) / BINS * number
        place = f'x="{x:.1f}" y="{bottom - BAND_HEIGHT}"'
        size = f'width="{DEATH_WIDTH}" height="{DEATH_HEIGHT}"'
        drawn.append(f'<rect class="bad" {place} {size}/>')
    jobs = len({bar.job for bar in bars})
    counts = f"{jobs} jobs, at most {max(running)} at once"
    name = shortened(stage, BAND_LETTERS)
    if not frame.names:
        return [*drawn, block_name(f"{name}: {counts}", 0, bottom - BAND_HEIGHT, frame)]
    right = frame.names - NAMES_GAP
    drawn.append(text(right, bottom - BAND_NAME, name, "name", "end"))
    drawn.append(text(right, bottom - BAND_COUNT, counts, "small", "end"))
    return drawn


def steps(kind: str, values: Sequence[int], most: int, bottom: int, plot: Plot) -> str:
    """The area below one value per bin; ``most`` is as high as the band."""
    width = (plot.right - plot.left) / BINS
    # "V60.0h2.92": up or down to the bin's value, then right by its width.
    path = "".join(f"V{bottom - BAND_HEIGHT * value / most:.1f}h{width:.2f}" for value in values)
    return f'<path class="{kind}" d="M{plot.left:g} {bottom}{path}V{bottom}z"/>'


def counts_at(spans: Sequence[tuple[float, float]], first: float, width: float) -> list[int]:
    """How many spans each of BINS moments lies in, which are ``width`` seconds apart."""
    # One up where a span begins, one down behind its end: the running sum is how many there are.
    # The work grows with spans plus bins and not with their product.
    change = [0] * (BINS + 1)
    for start, end in spans:
        change[min(BINS, max(0, int((start - first) / width)))] += 1
        change[min(BINS, max(0, int((end - first) / width) + 1))] -= 1
    counts = []
    now = 0
    for step in change[:BINS]:
        now += step
        counts.append(now)
    return counts
