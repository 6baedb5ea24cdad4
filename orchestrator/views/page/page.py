"""`orch page`: one HTML file that shows a run, readable without a network, a script or this
program.

In: ``Facts`` (facts.py). Out: the document, section by section. Only ``write_page`` reads and
writes. Called by the command `orch page`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from engines.shared.reporting.style import STYLE
from engines.shared.reporting.tables import html_table
from jobs.ranking import varying
from jobs.searches import POINT
from orchestrator.node.system import write_text
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.costs.tables import (
    COST_HEAD,
    USE_HEAD,
    advice_lines,
    cost_rows,
    notes,
    use_rows,
)
from orchestrator.views.overview.signs import ORDER, SIGNS, decision_word, word_of
from orchestrator.views.page.curves import FOLLOWED, plot
from orchestrator.views.page.facts import (
    Facts,
    bars,
    deaths,
    gather,
    job_table,
    setting_rows,
    stage_boxes,
    stage_table,
)
from orchestrator.views.page.graph import graph
from orchestrator.views.page.style import PAGE_STYLE
from orchestrator.views.page.svg import state_class
from orchestrator.views.page.sweep import best_words, sweep
from orchestrator.views.page.tables import columns_table
from orchestrator.views.page.timeline import timeline
from orchestrator.views.ran.page import link as ran_link
from orchestrator.views.status import clock
from orchestrator.views.tables.folding import counted

OPEN_JOBS = 80
"""A run of more jobs has their table folded away."""
MEANS = "A line for each job, or their mean;"
BARS = (
    "A dot for each setting; a bar is the mean of a value over the settings that all values of its "
    "axis share;"
)
COLOUR_KEY = (
    ("ok", "✓ done"),
    ("run", "▶ running"),
    ("wait", "· waiting, or requeued"),
    ("bad", "✗ failed"),
    ("none", "– stopped: cancelled or preempted"),
)
"""Classes of the timeline's bars, and what they mean."""

DECISIONS_LISTED = 100
"""Lines of the table of gates and choices."""


def write_page(run: Run, records: Sequence[Record], trouble: str, now: float) -> Path:
    """Write ``page.html`` into the run's folder, whole, and return where it lies."""
    path = run.folder / "page.html"
    write_text(path, page(gather(run, records, trouble, now)))
    return path


def page(facts: Facts) -> str:
    """The whole document; a section with nothing to show is left out."""
    run = facts.run
    title = escape(f"{run.name}, {date(run.created)}")
    drawn = bars(facts)
    waits = [bar.started if bar.submitted is None else bar.submitted for bar in drawn]
    first = min([run.created, *waits])
    last = max([bar.ended for bar in drawn], default=facts.now)
    sections = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
        'name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}{PAGE_STYLE}</style><main>",
        f'<p class="what">{what(facts, last - first)}</p><h1>{escape(run.name)}</h1>',
        f"<p>{escape(run.plan.about)}</p>" if run.plan.about else "",
        report_section(facts),
        pills(facts.records),
        f'<p class="bad">{escape(str(run.origin))}</p>' if run.origin else "",
        f'<p class="bad">could not ask: {escape(facts.trouble)}</p>' if facts.trouble else "",
        death_section(facts),
        sweep_section(facts),
        f"<h2>Stages</h2>{columns_table(stage_table(facts))}{graph_part(facts)}",
        curve_section(facts),
        f'<h2>When each job ran</h2><p class="key read">{colour_key()}</p>'
        f"{timeline(drawn, first, last)}",
        *job_section(facts),
        settings_section(facts),
        gate_section(facts),
        cost_section(facts),
        launch_section(facts),
        ran_link(),
        f"<footer>{escape(str(run.folder))}, plan {run.plan.identity[:12]}</footer></main></html>",
    ]
    return "\n".join(section for section in sections if section) + "\n"


def what(facts: Facts, seconds: float) -> str:
    """Jobs, cluster, when and how long, and how old the page is."""
    run = facts.run
    told = [
        date(run.created),
        counted(len(facts.records), "job"),
        f"on {run.profile.name or run.profile.kind}",
        f"launched {minute(run.created)}",
        f"{clock(seconds)} to the last end",
        time.strftime("as of %Y-%m-%d %H:%M:%S %Z", time.localtime(facts.now)),
    ]
    return escape(" · ".join(told))


def date(seconds: float) -> str:
    """A day for people."""
    return time.strftime("%-d %B %Y", time.localtime(seconds))


def report_section(facts: Facts) -> str:
    """What the reports of the run have found, and where they lie."""
    parts = []
    for one in facts.reports:
        words = f"{escape(one.headline)} " if one.headline else ""
        name = "Read the report" if len(facts.reports) == 1 else f"Report {escape(one.job)}"
        parts.append(f'<p class="lead">{words}<a href="{escape(one.link)}">{name}</a></p>')
    return "".join(parts)


def graph_part(facts: Facts) -> str:
    """What comes after what, where there are several stages; on a phone the table has to do."""
    boxes = stage_boxes(facts.run, facts.records)
    if len(boxes) < 2:
        return ""
    return f'<div class="wide keep on-wide">{graph(boxes)}</div>'


def minute(seconds: float) -> str:
    """A time stamp for people, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def pills(records: Sequence[Record]) -> str:
    """Counts of states, and a bar of them."""
    counts = Counter(record.state for record in records)
    ordered = sorted(counts, key=ORDER.index)
    parts = [
        f'<i class="{state_class(state)}" style="flex:{counts[state]}"></i>' for state in ordered
    ]
    entries = [
        f'<li class="{state_class(state)}">{SIGNS[state].sign} <b>{counts[state]:,}</b> '
        f"{word_of(state)}</li>"
        for state in ordered
    ]
    bar = f'<div class="bar" aria-hidden="true">{"".join(parts)}</div>' if parts else ""
    return f'{bar}<ul class="pills">{"".join(entries)}</ul>'


def colour_key() -> str:
    """What the colours of the timeline mean."""
    entries = [f'<span class="{kind}">{words}</span>' for kind, words in COLOUR_KEY]
    return "".join(entries)


def of_words(table: str, kind: str = "") -> str:
    """A table whose cells are words: they stand on the left and may be broken."""
    return f'<div class="left {kind}">{table}</div>'


def death_section(facts: Facts) -> str:
    """Causes of death, if any job died: of which jobs, what the log says, and what helps."""
    entries = []
    for one in deaths(facts):
        cause = one.cause
        line = f"<code>{escape(cause.line)}</code>" if cause.line else "no reason is known"
        helps = f'<p class="read">What helps: {escape(cause.advice)}</p>' if cause.advice else ""
        entries.append(
            f'<li><p><b class="bad">✗ {escape(cause.kind)}</b> {escape(one.jobs)}</p>'
            f"<p>{line}</p>{helps}</li>"
        )
    return f'<h2>What failed</h2><ul class="deaths">{"".join(entries)}</ul>' if entries else ""


def curve_section(facts: Facts) -> str:
    """All curves, two beside each other."""
    if not facts.curves:
        return ""
    started = Counter(record.stage for record in facts.records if record.attempt or record.reused)
    figures = []
    for (stage, metric), curves in facts.curves.items():
        caption = f"{stage}: {metric.replace('_', ' ')}"
        if len(curves) < started[stage]:
            # Of a large stage the curves are of a sample.
            caption += f", {len(curves)} of {started[stage]} jobs"
        drawing = plot(curves, caption)
        figures.append(figure(drawing, caption))
    read = f"{MEANS} bands what more than {FOLLOWED} seeds span"
    if any(curve.died for curves in facts.curves.values() for curve in curves):
        read += "; × where a job ended early, which is in no mean"
    return f'<h2>Curves</h2><p class="read">{read}</p><div class="plots">{"".join(figures)}</div>'


def figure(drawing: str, caption: str) -> str:
    """A drawing below its caption: stage or axis, then what it shows."""
    head, colon, rest = escape(caption).partition(":")
    return (
        f'<figure class="fits"><figcaption><b>{head}</b>{colon}{rest}</figcaption>{drawing}'
        "</figure>"
    )


def sweep_section(facts: Facts) -> str:
    """Of each sweep the settings as a table, the best one first, and as pictures."""
    parts = []
    for (stage, metric), settings in facts.sweeps.items():
        caption = f"{stage}: {metric.replace('_', ' ')} of {len(settings)} settings"
        # What a search has drawn tells its points apart, and not their numbers.
        numbers = {POINT} if stage in facts.run.plan.searches else set[str]()
        axes = varying(settings)
        words = metric.replace("_", " ")
        parts.append(f"<h3>{escape(stage)}</h3>")
        head = [words if words.startswith("mean ") else f"{words}, mean", *axes, "n", "spread", ""]
        body = setting_rows(settings, axes)
        kinds = ["sum"] + [""] * (len(body) - 1)
        parts.append(f'<div class="cells settings">{html_table(head, body, kinds)}</div>')
        if len(settings) > len(body):
            parts.append(f'<p class="read">and {len(settings) - len(body)} more</p>')
        pictures = sweep(settings, caption, numbers, facts.colours)
        if pictures:
            ring = f"ring: {best_words(settings[0], metric)}"
            told = f"{BARS} {ring}" if len(pictures) > 1 else f"Small dots are seeds; {ring}"
            shown = "".join(figure(one, caption) for one in pictures)
            parts.append(f'<div class="plots">{shown}</div><p class="read">{escape(told)}</p>')
    return f"<h2>Settings, the best first</h2>{''.join(parts)}" if parts else ""


def gate_section(facts: Facts) -> str:
    """What the gates decided and which best jobs are followed, and on what."""
    if not facts.gates:
        return ""
    choices = sum(one["stage"] in facts.run.plan.choices for one in facts.gates)
    kinds = (("Gates", len(facts.gates) - choices), ("Choices", choices))
    title = " and ".join(name for name, count in kinds if count).capitalize()
    # What is decided alike for the same reason is said once.
    alike: dict[tuple[str, str], list[str]] = {}
    for one in facts.gates:
        alike.setdefault((decision_word(one["decision"]), one["text"]), []).append(one["stage"])
    # Where each job has gates of its own there are thousands; `orch why` tells of one.
    lines = list(alike.items())
    body = [
        [f"{of[0]} and {len(of) - 1} more" if len(of) > 1 else of[0], decision, words]
        for (decision, words), of in lines[:DECISIONS_LISTED]
    ]
    more: Counter[str] = Counter()
    for (decision, _), of in lines[DECISIONS_LISTED:]:
        more[decision] += len(of)
    told = ", ".join(f"{count} {decision}" for decision, count in more.items())
    rest = f'<p class="read">and {more.total()} more: {escape(told)}</p>' if more else ""
    table = of_words(html_table(["stage", "decision", "why"], body))
    return f"<h2>{title}</h2>{table}{rest}"


def cost_section(facts: Facts) -> str:
    """Hours, use, advice."""
    unit, body = cost_rows(facts.spent)
    kinds = [""] * (len(body) - 1) + ["sum"]
    parts = [f"<h2>Costs, in {unit}</h2>", html_table(COST_HEAD, body, kinds)]
    if facts.spent.used:
        parts.append("<h3>Used at most, of what was asked for</h3>")
        parts.append(html_table(USE_HEAD, use_rows(facts.spent)))
    advice = [f"<li><code>{escape(line)}</code></li>" for line in advice_lines(facts.spent)]
    if advice:
        parts.append(f"<p>Next time:</p><ul>{''.join(advice)}</ul>")
    parts += [f'<p class="read">{escape(line)}</p>' for line in notes(facts.spent)]
    return "".join(parts)


def job_section(facts: Facts) -> list[str]:
    """The table of jobs with their axes and newest metrics; that of a large run is folded away."""
    count = len(facts.records)
    is_open = " open" if count <= OPEN_JOBS else ""
    columns, left = job_table(facts)
    more = f'<p class="read">and {left:,} more: orch status --all</p>' if left else ""
    return [
        f"<h2>Jobs</h2><details{is_open}><summary>{counted(count, 'job')}</summary>",
        columns_table(columns) + more,
        "</details>",
    ]


def settings_section(facts: Facts) -> str:
    """What the jobs of each stage ran with, folded."""
    if not facts.settings:
        return ""
    parts = [
        f"<h3>{escape(stage)}</h3><pre>{escape(text)}</pre>"
        for stage, text in facts.settings.items()
    ]
    summary = "Settings of the first job of each stage"
    return f"<details><summary>{summary}</summary>{''.join(parts)}</details>"


def launch_section(facts: Facts) -> str:
    """Which command launched what, and when."""
    if not facts.launches:
        return ""
    body = [[minute(seconds), action, code] for seconds, action, code in facts.launches]
    table = of_words(html_table(["when", "by", "from"], body))
    return f"<details><summary>Launches</summary>{table}</details>"
