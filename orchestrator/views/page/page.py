"""`orch page`: one HTML file that shows a run, readable without a network, a script or this
program.

``gather`` reads, ``page`` is pure. A run of ten thousand jobs gives a page of the same size as one
of a hundred.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from engines.contract.progress import read_progress
from engines.shared.reporting.tables import STYLE, rows
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.failure_causes import alike
from orchestrator.node.system import write_text
from orchestrator.runs.provenance.launches import launches, summary
from orchestrator.runs.provenance.redaction import redacted
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.costs.hours import Start
from orchestrator.views.costs.tables import (
    COST_HEAD,
    USE_HEAD,
    Spent,
    advice_lines,
    cost_rows,
    notes,
    spent,
    use_rows,
)
from orchestrator.views.page.drawings import (
    ROWS,
    Bar,
    Curve,
    StageBox,
    colour,
    graph,
    plot,
    timeline,
)
from orchestrator.views.status import clock, elapsed, folded, progress_text, row

METRICS = ("validation_reward_mean", "validation_accuracy", "train_reward_mean", "loss")
"""Of each stage the first two that its progress holds are drawn."""
SAMPLED = 48
"""Jobs of a stage whose progress is read for its curves, spread over the stage."""
LISTED = 400
"""Lines of the table of jobs; failed jobs come first."""
OUTCOMES = {
    "running": JobState.RUNNING,
    "results": JobState.COMPLETED,
    "requeued": JobState.PENDING,
    "stopped": JobState.PREEMPTED,
    "died": JobState.FAILED,
}
PAGE_STYLE = """:root{--ok:#2b8a3e;--run:#1971c2;--wait:#e0a100;--bad:#c92a2a;--odd:#9c36b5;--none:#868e96;--card:#8881}
@media (prefers-color-scheme:dark){:root{--ok:#51cf66;--run:#4dabf7;--wait:#ffd43b;--bad:#ff6b6b;--odd:#da77f2;--none:#909296}}
body{max-width:66rem}svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}.keep svg{max-width:none}
svg text{fill:currentColor}svg .small{font-size:11px;opacity:.75}svg .name{font-weight:600}
.ok{fill:var(--ok);color:var(--ok)}.run{fill:var(--run);color:var(--run)}.wait{fill:var(--wait);color:var(--wait)}
.bad{fill:var(--bad);color:var(--bad)}.odd{fill:var(--odd);color:var(--odd)}.none{fill:var(--none);color:var(--none)}
.faint{opacity:.35}.thin{opacity:.8}.box{fill:Canvas;stroke:var(--none)}.grid{stroke:var(--line)}
.edge{fill:none;stroke:var(--none)}.edge.gate{stroke-dasharray:5 4}.edge-tip{fill:var(--none)}
.pills{display:flex;flex-wrap:wrap;gap:.5rem;padding:0;list-style:none}
.pills li{background:var(--card);border-radius:1rem;padding:.15rem .8rem}
.pills b{font-variant-numeric:tabular-nums}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(24rem,1fr));gap:1rem}
.left td,.left th{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}
.left th,.left td:first-child{overflow-wrap:break-word}
.left td:nth-child(2),.jobs td:nth-child(3),.jobs td:nth-child(4){white-space:nowrap}
.key span{margin-right:1rem}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;background:currentColor;margin-right:.3rem}
footer{margin-top:3rem;font-size:.85rem;opacity:.8}
"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a page shows."""

    run: Run
    records: Sequence[Record]
    trouble: str
    now: float
    spent: Spent
    curves: dict[tuple[str, str], list[Curve]]
    """By stage and metric."""
    gates: Sequence[dict[str, Any]]
    launches: Sequence[tuple[float, str, str]]
    """When, by which command, from which code."""


def gather(run: Run, records: Sequence[Record], trouble: str, now: float) -> Facts:
    """Read everything that the page shows. It is for others to read, so secrets that a job has
    printed are taken out of the reasons."""
    clean = {reason: redacted(reason) for reason in {record.reason for record in records}}
    records = [
        record
        if clean[record.reason] == record.reason
        else replace(record, reason=clean[record.reason])
        for record in records
    ]
    launched = launches(run.folder)
    decided = [found for stage in run.plan.gates if (found := gates.kept(run, stage)) is not None]
    return Facts(
        run=run,
        records=records,
        trouble=trouble,
        now=now,
        spent=spent(run, records, now),
        curves=read_curves(run, records),
        gates=decided,
        launches=[(one["time"], one["action"], summary(one)) for one in launched],
    )


def read_curves(run: Run, records: Sequence[Record]) -> dict[tuple[str, str], list[Curve]]:
    """Curves by stage and metric, of a sample of the jobs of a large stage."""
    stages: dict[str, list[Record]] = {}
    for record in records:
        if record.attempt:
            stages.setdefault(record.stage, []).append(record)
    found: dict[tuple[str, str], list[Curve]] = {}
    for stage, mine in stages.items():
        for record in mine[:: max(1, -(-len(mine) // SAMPLED))]:
            lines = read_progress(run.folder / record.folder / "out")
            for metric in [
                name for name in METRICS if any(name in line["metrics"] for line in lines)
            ][:2]:
                points = [
                    (float(line["step"]), float(line["metrics"][metric]))
                    for line in lines
                    if metric in line["metrics"]
                ]
                found.setdefault((stage, metric), []).append(
                    Curve(label=label(run, record), points=points)
                )
    return found


def label(run: Run, record: Record) -> str:
    """What tells a curve apart: the job's axes but for the seed."""
    return (
        ", ".join(
            f"{axis}={value}"
            for axis, value in run.by_name[record.name].axes.items()
            if axis != "seed"
        )
        or record.stage
    )


def stage_boxes(run: Run, records: Iterable[Record]) -> list[StageBox]:
    """The stages in the order of the plan."""
    counts: dict[str, Counter[JobState]] = {}
    for record in records:
        counts.setdefault(record.stage, Counter())[record.state] += 1
    stage_of = {job.name: job.stage for job in run.plan.jobs}
    needs: dict[str, set[str]] = {}
    for job in run.plan.jobs:
        needs.setdefault(job.stage, set()).update(stage_of[name] for name in job.after)
    judged = {
        stage: frozenset(stage_of[name] for one in conditions for name in one.jobs)
        for stage, conditions in run.plan.gates.items()
    }
    return [
        StageBox(
            name=stage,
            counts=dict(found),
            needs=frozenset(needs[stage] - {stage}),
            gates=judged.get(stage, frozenset()),
        )
        for stage, found in counts.items()
    ]


def bars(facts: Facts) -> list[Bar]:
    """Every start, with the wait before the first one of a job's newest attempt."""
    by_name = {record.name: record for record in facts.records}
    found = []
    for start in facts.spent.starts:
        record, ended = (
            by_name[start.job],
            start.ended if start.ended is not None else start.started,
        )
        state = OUTCOMES[start.outcome]
        if state is JobState.FAILED and start.attempt == record.attempt and record.state in FAILED:
            state = record.state
        found.append(
            Bar(
                job=start.job,
                stage=record.stage,
                started=start.started,
                ended=ended,
                state=state,
                told=told(start, record),
                submitted=record.submitted
                if start.attempt == record.attempt and not start.restart
                else None,
            )
        )
    return found


def told(start: Start, record: Record) -> str:
    """One line on a start: job, which attempt, how it ended, how long it took."""
    again = f", attempt {start.attempt}" if start.attempt > 1 else ""
    again += f", restart {start.restart}" if start.restart else ""
    ended = (
        record.reason
        if start.outcome == "died" and start.attempt == record.attempt and record.reason
        else start.outcome
    )
    return f"{start.job}{again}: {clock(start.seconds)}, {ended}"


def deaths(facts: Facts) -> list[list[str]]:
    """Causes of death: how many jobs, which, of what; jobs that died of the same share a line."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in facts.records:
        if record.state in FAILED:
            groups.setdefault((record.stage, str(record.state), alike(record.reason)), []).append(
                record
            )
    lines = []
    for (stage, state, _), mine in sorted(groups.items(), key=lambda item: -len(item[1])):
        names = (
            mine[0].name
            if len(mine) == 1
            else f"{len(mine)} jobs of {stage}, such as {mine[0].name}"
        )
        lines.append([names, state, mine[0].reason or "no reason is known"])
    return lines


def job_rows(facts: Facts) -> list[list[str]]:
    """The table of jobs: state, host, time, progress or reason; like jobs of a large run share a
    line."""
    ordered = sorted(facts.records, key=lambda record: record.state not in FAILED)
    lines = []
    for like in folded(ordered, every=False)[:LISTED]:
        values = row(facts.run, like[0], facts.now)
        one = len(like) == 1
        said = (progress_text(values, facts.now) if one else "") or values["reason"]
        name = values["job"] if one else f"{len(like)} jobs, {like[0].name} to {like[-1].name}"
        lines.append(
            [
                name,
                values["state"],
                clock(elapsed(like[0], facts.now)) if one else "",
                values["host"] or "" if one else "",
                said,
            ]
        )
    return lines


def pills(records: Sequence[Record]) -> str:
    """Counts of states."""
    counts = Counter(record.state for record in records)
    return (
        '<ul class="pills">'
        + "".join(
            f'<li><b>{count}</b> <span class="{colour(state)}">{state}</span></li>'
            for state, count in sorted(counts.items())
        )
        + "</ul>"
    )


def left(table: str, kind: str = "") -> str:
    """A table whose cells are words."""
    return f'<div class="left {kind}">{table}</div>'


def curve_section(facts: Facts) -> str:
    """All curves, two beside each other."""
    if not facts.curves:
        return ""
    sizes = Counter(record.stage for record in facts.records if record.attempt)
    drawn = []
    for (stage, metric), curves in facts.curves.items():
        few = f", {len(curves)} of {sizes[stage]} jobs" if len(curves) < sizes[stage] else ""
        caption = f"{stage}: {metric.replace('_', ' ')}{few}"
        drawn.append(
            f"<figure>{plot(curves, caption)}<figcaption>{escape(caption)}</figcaption></figure>"
        )
    return f'<h2>Progress</h2><div class="plots">{"".join(drawn)}</div>'


def gate_section(facts: Facts) -> str:
    """What the gates decided, and on what."""
    if not facts.gates:
        return ""
    body = [[one["stage"], one["decision"], one["text"]] for one in facts.gates]
    return "<h2>Gates</h2>" + left(rows(["stage", "decision", "why"], body))


def cost_section(facts: Facts) -> str:
    """Hours, use, advice."""
    unit, body = cost_rows(facts.spent)
    parts = [f"<h2>Costs, in {unit}</h2>", rows(COST_HEAD, body, [""] * (len(body) - 1) + ["sum"])]
    if facts.spent.used:
        parts += [
            "<h3>Used at most, of what was asked for</h3>",
            rows(USE_HEAD, use_rows(facts.spent)),
        ]
    advice = "".join(f"<li><code>{escape(line)}</code></li>" for line in advice_lines(facts.spent))
    parts += [f"<p>Next time:</p><ul>{advice}</ul>"] if advice else []
    return "".join(
        [*parts, *(f'<p class="read">{escape(line)}</p>' for line in notes(facts.spent))]
    )


def death_section(facts: Facts) -> str:
    """Causes of death, if any job died."""
    found = deaths(facts)
    return (
        "<h2>What died, and of what</h2>"
        + left(rows(["job", "state", "cause, and what to do"], found))
        if found
        else ""
    )


def page(facts: Facts) -> str:
    """The whole document."""
    run, records = facts.run, facts.records
    drawn = bars(facts)
    first = min(
        [
            run.created,
            *(bar.submitted if bar.submitted is not None else bar.started for bar in drawn),
        ]
    )
    last = max([bar.ended for bar in drawn], default=facts.now)
    moment = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(facts.now))
    where = run.profile.name or run.profile.kind
    known = [
        [time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)), action, said]
        for moment, action, said in facts.launches
    ]
    names = (
        ("ok", "completed"),
        ("run", "running"),
        ("wait", "waiting, or requeued"),
        ("bad", "died"),
        ("none", "skipped"),
    )
    key = "".join(f'<span class="{kind}"><i></i>{name}</span>' for kind, name in names)
    return (
        "\n".join(
            filter(
                None,
                [
                    '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
                    'name="viewport" content="width=device-width">'
                    f"<title>{escape(run.name)}</title><style>{STYLE}{PAGE_STYLE}</style><h1>{escape(run.name)}</h1>",
                    f'<p class="lead">{escape(run.plan.about)}</p>' if run.plan.about else "",
                    pills(records),
                    f"<p>{len(records)} jobs on {escape(where)}; launched "
                    f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(run.created))}, "
                    f"from the first wait to the last end {clock(last - first)}. As of "
                    f"{moment}.</p>",
                    f'<p class="bad">could not ask: {escape(facts.trouble)}</p>'
                    if facts.trouble
                    else "",
                    death_section(facts),
                    '<h2>Stages</h2><div class="wide '
                    f'keep">{graph(stage_boxes(run, records))}</div>',
                    f'<h2>Timeline</h2><p class="key read">{key}</p>{timeline(drawn, first, last)}',
                    curve_section(facts),
                    gate_section(facts),
                    cost_section(facts),
                    f"<h2>Jobs</h2><details{' open' if len(records) <= ROWS else ''}><summary>{len(records)} jobs</summary>",
                    left(
                        rows(["job", "state", "time", "host", "progress, or why"], job_rows(facts)),
                        "jobs",
                    ),
                    "</details>",
                    "<h2>Launches</h2>" + left(rows(["when", "by", "from"], known))
                    if known
                    else "",
                    f"<footer>{escape(str(run.folder))}, plan "
                    f"{run.plan.identity[:12]}</footer></html>",
                ],
            )
        )
        + "\n"
    )


def write_page(run: Run, records: Sequence[Record], trouble: str, now: float) -> Path:
    """Write ``page.html`` into the run's folder, whole, and return where it lies."""
    path = run.folder / "page.html"
    write_text(path, page(gather(run, records, trouble, now)))
    return path
