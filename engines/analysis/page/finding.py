"""The first screen of the report: the finding as a heading, both scores in two sentences, and one
table that is the figure too, with each interval drawn in its row.

In: the report. Out: text and HTML. Called by page.py. The heading claims what the table shows and
nothing else.
"""

from __future__ import annotations

from html import escape

from engines.analysis.comparison import LEVEL, MACRO, Line
from engines.analysis.load import Inputs
from engines.analysis.report import Report
from engines.analysis.text import beyond_zero, seeds_note
from engines.shared.reporting.look import MINUS, limits, ticks, word_variable
from engines.shared.reporting.sources import labels, ran
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.text import percent, probability

WIDTH, HEIGHT, MARK = 190, 18, 3.6
"""Of an interval that is drawn in its row, in pixels, and of the mark at its middle."""
CORRECTED = (
    "How often arms that are equal would differ by so much, raised because several lines were "
    "tested: Holm over domains, Benjamini and Hochberg over tasks"
)
FOUND_FROM = "The true difference that so many problems find four times in five (80 % power)"


def heading(report: Report) -> str:
    """What was found, in words: better, worse, no measurable difference, mixed, or that it cannot
    be told."""
    names, macro = report.config.compare, report.macro
    treatment, baseline = names.treatment, names.baseline
    if macro.difference is None or macro.p_value is None:
        return f"Whether {treatment} or {baseline} is better cannot be told"
    if report.inputs.trained_on_test:
        return f"No test of {treatment} against {baseline}: trained on evaluated problems"
    up, down = (evident(report, side) for side in (1, -1))
    if up and down:
        return f"{treatment} is better in {', '.join(up)} and worse in {', '.join(down)}"
    side = beyond_zero(macro.difference) if macro.p_value < LEVEL else 0
    if not side:
        return f"No measurable difference between {treatment} and {baseline}"
    word = "better" if side > 0 else "worse"
    if report.over_seeds is not None and beyond_zero(report.over_seeds) != side:
        return f"{treatment} scored {word} than {baseline}, but its seeds differ too much to say so"
    return f"{treatment} is {word} than {baseline}"


def evident(report: Report, side: int) -> list[str]:
    """The domains with evidence of a difference on one side of 0."""
    return [
        line.name
        for line in report.lines
        if line.difference is not None
        and not line.task
        and line.name != MACRO
        and is_evident(line)
        and beyond_zero(line.difference) == side
    ]


def is_evident(line: Line) -> bool:
    """Whether the corrected p-value is evidence."""
    return line.adjusted is not None and line.adjusted < LEVEL


def about(report: Report) -> list[str]:
    """What was run: experiment, date, model, data, steps, seeds."""
    inputs: Inputs = report.inputs
    counts = sorted({len(seeds) for seeds in report.seeds.values()})
    seeds = " or ".join(map(str, counts))
    per_arm = f"{seeds} training seed{'' if counts == [1] else 's'} per arm"
    return [*ran(inputs.sources.files), *inputs.trained, per_arm]


def lead(report: Report) -> str:
    """Both scores, the difference with its interval, and what could have been found."""
    names, macro = report.config.compare, report.macro
    if not (macro.baseline and macro.treatment and macro.difference):
        return f"<p class=lead>{escape(macro.missing)}.</p>"
    domains = sum(not line.task for line in report.lines) - 1
    mean = f", mean over {domains} domains" if domains > 1 else ""
    p_value = probability(macro.p_value)
    found = ""
    if macro.detectable is not None:
        points = percent(macro.detectable)
        found = f" A true difference of {points} points would have been found four times in five."
    return (
        f"<p class=lead>{name_of(names.treatment, 1)} has {percent(macro.treatment.value)} % "
        f"{escape(report.config.metric)} and {name_of(names.baseline, 0)} "
        f"{percent(macro.baseline.value)} % on the same {macro.n} problems{mean}: a difference of "
        f"{signed(macro.difference.value)} points, with a 95 % interval from "
        f"{span(macro.difference)} (p {p_value if p_value.startswith('<') else f'= {p_value}'})."
        f"{found}</p>"
    )


def limit(report: Report) -> str:
    """What the numbers cannot show of training, where there is one seed."""
    if report.over_seeds is not None:
        return f"<p>{escape(seeds_note(report))}</p>"
    return f'<p class="limit">{escape(seeds_note(report))}</p>'


def table(report: Report) -> str:
    """Each domain with its interval, all domains first and the others by their difference."""
    names = report.config.compare
    known = [line.difference for line in report.lines if line.difference is not None]
    ends = [end for one in known for end in (one.low, one.high)]
    low, high = limits([0.0, *(100 * end for end in ends)])
    head = [
        ("domain", "", ""),
        (f"{names.treatment} better →", "drawn", ""),
        ("difference", "", "Percentage points, treatment minus baseline, on the same problems"),
        ("95 % interval", "later", "Bootstrap over problems"),
        (f"{names.baseline} %", "", ""),
        (f"{names.treatment} %", "", ""),
        ("p, corrected", "later", CORRECTED),
        ("found from", "later", FOUND_FROM),
        ("problems", "later", ""),
    ]
    top = "".join(heading_cell(*cell) for cell in head)
    rows = "".join(row(line, (low, high)) for line in in_order(report.lines))
    marks = f"{tick_words(low, high)} points"
    return (
        f'<div class="wide finding"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<p class="read">Line: 95 % interval of the difference; the upright line is 0, the axis '
        f"reaches from {marks}. A filled mark is evidence of a difference (corrected p below "
        f"{LEVEL}); where an interval leaves out 0 and its mark is empty, several lines were "
        f"tested, and p holds. {labels(report.inputs.sources.uses.get('scores', []))}</p>"
    )


def tick_words(low: float, high: float) -> str:
    """The ends of the axis in round numbers."""
    marks = [text for _, text in ticks(low, high)]
    return f"{marks[0]} to {marks[-1]}" if marks else "0 to 0"


def heading_cell(words: str, kind: str, told: str) -> str:
    """A heading, with what it means where that is not said by its name."""
    opening = f' class="{kind}"' if kind else ""
    title = f' title="{escape(told)}"' if told else ""
    return f"<th{opening}{title}>{escape(words)}</th>"


def in_order(lines: list[Line]) -> list[Line]:
    """The mean over all first, then the domains by their difference, each with its tasks."""
    blocks: list[list[Line]] = []
    for line in lines[:-1]:
        if line.task and blocks:
            blocks[-1].append(line)
        else:
            blocks.append([line])
    blocks.sort(key=lambda block: block[0].difference.value if block[0].difference else 2.0)
    return [lines[-1], *(line for block in blocks for line in block)]


def row(line: Line, ends: tuple[float, float]) -> str:
    """One line of the table."""
    kind = "macro" if line.name == MACRO else "task" if line.task else ""
    name = f"<td>{escape(line.name)}</td>"
    opening = f'<tr class="{kind}">' if kind else "<tr>"
    if not (line.baseline and line.treatment and line.difference):
        return f'{opening}{name}<td class=words colspan="8">{escape(line.missing)}</td></tr>'
    n = str(line.n) if line.n == line.total else f"{line.n} of {line.total}"
    found = "" if line.detectable is None else percent(line.detectable)
    later = [span(line.difference), probability(line.adjusted), found, n]
    interval, p_value, detectable, size = (f"<td class=later>{escape(one)}</td>" for one in later)
    return (
        f"{opening}{name}<td class=drawn>{drawn(line.difference, is_evident(line), ends)}</td>"
        f"<td>{signed(line.difference.value)}</td>{interval}"
        f"<td>{percent(line.baseline.value)}</td><td>{percent(line.treatment.value)}</td>"
        f"{p_value}{detectable}{size}</tr>"
    )


def drawn(difference: Interval, is_filled: bool, ends: tuple[float, float]) -> str:
    """An interval as a line with a mark, and where 0 is."""
    low, high = ends

    def place(share: float) -> float:
        return MARK + (WIDTH - 2 * MARK) * (100 * share - low) / (high - low)

    fill = "currentColor" if is_filled else "Canvas"
    middle = HEIGHT / 2
    told = f"{signed(difference.value)} points, {span(difference)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{told}" stroke="currentColor">'
        f'<path d="M{place(0.0):.1f} 0V{HEIGHT}" opacity=".35"/>'
        f'<path d="M{place(difference.low):.1f} {middle}H{place(difference.high):.1f}" '
        f'stroke-width="1.6"/><circle cx="{place(difference.value):.1f}" cy="{middle}" '
        f'r="{MARK}" stroke-width="1.4" fill="{fill}"/></svg>'
    )


def signed(share: float) -> str:
    """Points of a difference with their sign."""
    return f"{100 * share:+.1f}".replace("-", MINUS)


def span(difference: Interval) -> str:
    """The ends of an interval, in points."""
    return f"{signed(difference.low)} to {signed(difference.high)}"


def name_of(arm: str, colour: int) -> str:
    """The name of an arm in its colour."""
    return f'<b style="color:{word_variable(colour)}">{escape(arm)}</b>'
