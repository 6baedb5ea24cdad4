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

from engines.shared.reporting.tables import STYLE, html_table
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
from orchestrator.views.page.curves import plot
from orchestrator.views.page.facts import (
    Facts,
    bars,
    death_rows,
    gather,
    job_rows,
    setting_rows,
    stage_boxes,
)
from orchestrator.views.page.graph import graph
from orchestrator.views.page.style import PAGE_STYLE
from orchestrator.views.page.svg import state_class
from orchestrator.views.page.sweep import sweep
from orchestrator.views.page.timeline import WHOLE_JOBS, timeline
from orchestrator.views.ran.page import link as ran_link
from orchestrator.views.status import clock

COLOUR_KEY = (
    ("ok", "completed"),
    ("run", "running"),
    ("wait", "waiting, or requeued"),
    ("bad", "died"),
    ("none", "skipped"),
)
"""Classes of the timeline's bars, and what they mean."""


def write_page(run: Run, records: Sequence[Record], trouble: str, now: float) -> Path:
    """Write ``page.html`` into the run's folder, whole, and return where it lies."""
    path = run.folder / "page.html"
    write_text(path, page(gather(run, records, trouble, now)))
    return path


def page(facts: Facts) -> str:
    """The whole document; a section with nothing to show is left out."""
    run = facts.run
    title = escape(run.name)
    drawn = bars(facts)
    waits = [bar.started if bar.submitted is None else bar.submitted for bar in drawn]
    first = min([run.created, *waits])
    last = max([bar.ended for bar in drawn], default=facts.now)
    sections = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
        'name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}{PAGE_STYLE}</style><h1>{title}</h1>",
        f'<p class="lead">{escape(run.plan.about)}</p>' if run.plan.about else "",
        pills(facts.records),
        summary(facts, last - first),
        f'<p class="bad">{escape(str(run.origin))}</p>' if run.origin else "",
        f'<p class="bad">could not ask: {escape(facts.trouble)}</p>' if facts.trouble else "",
        death_section(facts),
        f'<h2>Stages</h2><div class="wide keep">{graph(stage_boxes(run, facts.records))}</div>',
        f'<h2>Timeline</h2><p class="key read">{colour_key()}</p>{timeline(drawn, first, last)}',
        curve_section(facts),
        sweep_section(facts),
        gate_section(facts),
        cost_section(facts),
        *job_section(facts),
        launch_section(facts),
        ran_link(),
        f"<footer>{escape(str(run.folder))}, plan {run.plan.identity[:12]}</footer></html>",
    ]
    return "\n".join(section for section in sections if section) + "\n"


def summary(facts: Facts, seconds: float) -> str:
    """Jobs, cluster, when and how long, and how old the page is."""
    run = facts.run
    where = run.profile.name or run.profile.kind
    written = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(facts.now))
    return (
        f"<p>{len(facts.records)} jobs on {escape(where)}; launched {minute(run.created)}, "
        f"from the first wait to the last end {clock(seconds)}. As of {written}.</p>"
    )


def minute(seconds: float) -> str:
    """A time stamp for people, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def pills(records: Sequence[Record]) -> str:
    """Counts of states."""
    counts = Counter(record.state for record in records)
    entries = [
        f'<li><b>{count}</b> <span class="{state_class(state)}">{state}</span></li>'
        for state, count in sorted(counts.items())
    ]
    return f'<ul class="pills">{"".join(entries)}</ul>'


def colour_key() -> str:
    """What the colours of the timeline mean."""
    entries = [f'<span class="{kind}"><i></i>{words}</span>' for kind, words in COLOUR_KEY]
    return "".join(entries)


def of_words(table: str, kind: str = "") -> str:
    """A table whose cells are words: they stand on the left and may be broken."""
    return f'<div class="left {kind}">{table}</div>'


def death_section(facts: Facts) -> str:
    """Causes of death, if any job died."""
    body = death_rows(facts)
    if not body:
        return ""
    table = html_table(["job", "state", "cause, and what to do"], body)
    return f"<h2>What died, and of what</h2>{of_words(table)}"


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
        figures.append(f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>")
    return f'<h2>Progress</h2><div class="plots">{"".join(figures)}</div>'


def sweep_section(facts: Facts) -> str:
    """Of each sweep the settings as a picture and a table, the best one first."""
    parts = []
    for (stage, metric), settings in facts.sweeps.items():
        caption = f"{stage}: {metric.replace('_', ' ')} of {len(settings)} settings"
        # What a search has drawn tells its points apart, and not their numbers.
        numbers = {POINT} if stage in facts.run.plan.searches else set[str]()
        picture = sweep(settings, metric, caption, numbers)
        figure = f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
        axes = varying(settings)
        head = ["", *axes, f"mean {metric}", "n", "spread"]
        body = setting_rows(settings, axes)
        kinds = ["sum"] + [""] * (len(body) - 1)
        parts.append((figure if picture else "") + html_table(head, body, kinds))
        if len(settings) > len(body):
            parts.append(f'<p class="read">and {len(settings) - len(body)} more</p>')
    return f"<h2>Settings, the best first</h2>{''.join(parts)}" if parts else ""


def gate_section(facts: Facts) -> str:
    """What the gates decided, and on what."""
    if not facts.gates:
        return ""
    body = [[one["stage"], one["decision"], one["text"]] for one in facts.gates]
    return f"<h2>Gates</h2>{of_words(html_table(['stage', 'decision', 'why'], body))}"


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
    """The table of jobs; that of a large run is folded away."""
    count = len(facts.records)
    is_open = " open" if count <= WHOLE_JOBS else ""
    table = html_table(["job", "state", "time", "host", "progress, or why"], job_rows(facts))
    return [
        f"<h2>Jobs</h2><details{is_open}><summary>{count} jobs</summary>",
        of_words(table, "jobs"),
        "</details>",
    ]


def launch_section(facts: Facts) -> str:
    """Which command launched what, and when."""
    if not facts.launches:
        return ""
    body = [[minute(seconds), action, code] for seconds, action, code in facts.launches]
    return f"<h2>Launches</h2>{of_words(html_table(['when', 'by', 'from'], body))}"
