"""The timeline of a run: when its jobs waited, ran and died.

In: a ``Bar`` per start of a job. Out: SVG as text, with a line per job, or for a large run a band
per stage that counts its jobs. Pure. Called by page.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from orchestrator.runs.record import FAILED, JobState
from orchestrator.views.page.svg import Plot, shortened, state_class, svg, text

WIDTH = 960
NAMES_WIDTH = 250
"""Of the names left of the plot."""
NAMES_GAP = 8
"""Between a name and the plot."""
TOP_MARGIN, RIGHT_MARGIN = 2, 10
AXIS_HEIGHT = 20
AXIS_LINE = 14
"""Base line of the words at the ticks, below the plot."""
MOST_TICKS = 8
TICKS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14400, 21600, 43200),
    *(86400, 172800, 604800),
)
"""Distances of ticks in seconds: of seconds, minutes, hours and days."""
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

WHOLE_JOBS = 80
"""A run of more jobs has a band per stage in place of a line per job."""
FIRST_LINE = 4
"""From the top of the plot to the first line or band."""
LINE_HEIGHT, BAR_HEIGHT = 16, 12
LINE_WORDS, LINE_LETTERS = 10, 36
"""Base line of a job's name, from the top of its line, and how long it may be."""
WAIT_HEIGHT, WAIT_FROM_TOP = 2, 5
"""Of the thin bar of a job that waited."""
LEAST_WIDTH = 1.5
"""Of a bar, so that the shortest job is seen."""

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
    """A line per job, its waits thin and its runs thick; of a large run a band per stage.

    Args:
        first: the launch, in Unix seconds; ticks count from it.
        last: the end of the drawing.
    """
    jobs = list(dict.fromkeys(bar.job for bar in bars))
    if not jobs:
        return "<p>No job has started yet.</p>"
    if len(jobs) > WHOLE_JOBS:
        return bands(bars, first, last)
    plot = plot_of(first, last, FIRST_LINE + LINE_HEIGHT * len(jobs))
    body = axis(plot)
    tops = {job: FIRST_LINE + LINE_HEIGHT * number for number, job in enumerate(jobs)}
    for job, top in tops.items():
        name = shortened(job, LINE_LETTERS)
        body.append(text(NAMES_WIDTH - NAMES_GAP, top + LINE_WORDS, name, "small", "end"))
    for bar in bars:
        body += job_bar(plot, bar, tops[bar.job])
    return svg(WIDTH, plot.bottom + AXIS_HEIGHT, body, "timeline of the jobs")


def plot_of(first: float, last: float, bottom: float) -> Plot:
    """The area right of the names; it shows a second at least."""
    return Plot(
        left=NAMES_WIDTH,
        right=WIDTH - RIGHT_MARGIN,
        top=TOP_MARGIN,
        bottom=bottom,
        x_range=(first, first + max(last - first, 1.0)),
    )


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


def axis(plot: Plot) -> list[str]:
    """Ticks since the launch, with lines through the drawing."""
    first, last = plot.x_range
    span = last - first
    step = tick_seconds(span, MOST_TICKS)
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
    """A time since the launch: 0, 30 s, 5 min, 2 h, 3 d."""
    if not seconds:
        return "0"
    for size, word in UNITS:
        if seconds >= size:
            return f"{seconds / size:g} {word}"
    return f"{seconds:g} s"


def bands(bars: Sequence[Bar], first: float, last: float) -> str:
    """Per stage how many jobs ran and waited over time, and where some died."""
    stages: dict[str, list[Bar]] = {}
    for bar in bars:
        stages.setdefault(bar.stage, []).append(bar)
    plot = plot_of(first, last, FIRST_LINE + len(stages) * (BAND_HEIGHT + BAND_GAP))
    body = axis(plot)
    for number, (stage, own) in enumerate(stages.items()):
        bottom = FIRST_LINE + number * (BAND_HEIGHT + BAND_GAP) + BAND_HEIGHT
        body += band(plot, stage, own, bottom)
    return svg(
        WIDTH, plot.bottom + AXIS_HEIGHT, body, "jobs running and waiting per stage over time"
    )


def band(plot: Plot, stage: str, bars: Sequence[Bar], bottom: int) -> list[str]:
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
    drawn = [steps("wait faint", both, most, bottom), steps("run", running, most, bottom)]
    # One mark per bin, however many died in it.
    died = {int((bar.ended - first) / bin_seconds) for bar in bars if bar.state in FAILED}
    for number in sorted(died):
        x = plot.left + (plot.right - plot.left) / BINS * number
        place = f'x="{x:.1f}" y="{bottom - BAND_HEIGHT}"'
        size = f'width="{DEATH_WIDTH}" height="{DEATH_HEIGHT}"'
        drawn.append(f'<rect class="bad" {place} {size}/>')
    jobs = len({bar.job for bar in bars})
    counts = f"{jobs} jobs, at most {max(running)} at once"
    right = NAMES_WIDTH - NAMES_GAP
    name = shortened(stage, BAND_LETTERS)
    drawn.append(text(right, bottom - BAND_NAME, name, "name", "end"))
    drawn.append(text(right, bottom - BAND_COUNT, counts, "small", "end"))
    return drawn


def steps(kind: str, values: Sequence[int], most: int, bottom: int) -> str:
    """The area below one value per bin; ``most`` is as high as the band."""
    width = (WIDTH - RIGHT_MARGIN - NAMES_WIDTH) / BINS
    # "V60.0h2.92": up or down to the bin's value, then right by its width.
    path = "".join(f"V{bottom - BAND_HEIGHT * value / most:.1f}h{width:.2f}" for value in values)
    return f'<path class="{kind}" d="M{NAMES_WIDTH} {bottom}{path}V{bottom}z"/>'


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
