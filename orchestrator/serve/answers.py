"""What can be asked about runs, and the answers: what the commands print with ``--json``, made by
the same functions.

In: the parts of a path behind ``api/`` and its query. Out: an ``Answer``. Called by server.py.

    list                          orch list --json
    run/EXPERIMENT/NAME/status    orch status --json; ?since=N: only the jobs that changed since
                       /results   orch results --json; ?job= and ?metric= may be repeated
                       /why       orch why --json; ?job=NAME
                       /costs     orch costs --json; ?by=AXIS may be repeated
                       /plan      the plan of the run, as orch plan --json has it
                       /report    orch report --json
                       /gates     what the gates have decided, as load_run(...).gates()
                       /overview  what stands above the tables of the page
                       /curves    progress of the jobs, thinned; ?job=NAME: all metrics of one
                       /log       of orch logs; ?job=NAME&from=BYTE; below 0: from the end
                       /page      report.html of a job; ?job=NAME
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from orchestrator.api.json_documents import (
    costs_document,
    plan_document,
    results_document,
    why_document,
    wrapped,
)
from orchestrator.api.loaded import LoadedRun, list_runs
from orchestrator.errors import RunError
from orchestrator.node.light.standard import opened
from orchestrator.runs.documents.reading import content_of
from orchestrator.scores.results import gather
from orchestrator.serve.answer import HTML, TEXT, Answer, of_values
from orchestrator.serve.curves import curves_of, job_curves_of
from orchestrator.serve.overview import overview
from orchestrator.serve.runs import Runs, Seen
from orchestrator.views.logs import reports
from orchestrator.views.status import document

Query = Mapping[str, list[str]]
KEPT_SECONDS = 20.0
"""How old what costs much to compute may become while a run goes on; Slurm's accounting is asked
for costs."""
PAUSE_FACTOR = 20
"""What took a second to compute is not computed again for so many seconds."""
PIECE_BYTES = 1 << 16
"""Of a log at a time."""
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'; sandbox allow-same-origin"
)
"""For a report: its own style and pictures, no script, nothing from elsewhere."""


class Kept(NamedTuple):
    """An answer that was computed before."""

    answer: Answer
    number: int
    """Of the reading that it was computed from."""
    at: float
    took: float
    """Both of a monotonic clock, in seconds."""


def answer(runs: Runs, path: list[str], query: Query) -> Answer | None:
    """The answer to a question; None: there is no such question. OrchError where a command would
    say what is wrong."""
    if path == ["list"]:
        return of_values(wrapped("list", {"runs": list_runs(runs.root)}))
    if len(path) != 4 or path[0] != "run" or path[3] not in QUESTIONS:
        return None
    seen = runs.get(f"{path[1]}/{path[2]}")
    return QUESTIONS[path[3]](seen, query)


def status(seen: Seen, query: Query) -> Answer:
    """All jobs, or those that have changed since a number, which ``X-Orch-Number`` counts."""
    tag = f'W/"{seen.stamp[0]:x}-{seen.run.uid}-{seen.number}"'
    since = number_of(query, "since")
    rows = list(seen.rows.values())
    # After the server has started anew the numbers begin again.
    if 0 < since <= seen.number:
        rows = [values for name, values in seen.rows.items() if seen.changed[name] > since]
    else:
        since = 0
    more = {
        "X-Orch-Number": str(seen.number),
        "X-Orch-Since": str(since),
        "X-Orch-Read": f"{seen.read_at:.3f}",
        "X-Orch-Pause": f"{seen.pause:g}",
    }
    values = wrapped("status", document(seen.run, seen.records, seen.trouble, rows))
    return Answer(msgspec.json.encode(values), tag=tag, more=more)


def results(seen: Seen, query: Query) -> Answer:
    """Every result."""
    jobs, metrics = query.get("job"), query.get("metric")

    def made() -> dict[str, Any]:
        return wrapped("results", results_document(seen.run, *gather(seen.run, jobs, metrics)))

    return kept(seen, f"results {jobs} {metrics}", made)


def why(seen: Seen, query: Query) -> Answer:
    """Where a job stands."""
    record = seen.record(one(query, "job"))
    return of_values(wrapped("why", why_document(seen.run, record, seen.records, seen.trouble)))


def costs(seen: Seen, query: Query) -> Answer:
    """Hours asked for, used and wasted."""
    by = query.get("by") or ["arm"]

    def made() -> dict[str, Any]:
        return wrapped("costs", costs_document(seen.run, seen.records, seen.trouble, by))

    return kept(seen, f"costs {by}", made)


def plan(seen: Seen, _: Query) -> Answer:
    """The jobs of the run, and what they ask for."""
    return of_values(wrapped("plan", plan_document(seen.run.plan)))


def report(seen: Seen, _: Query) -> Answer:
    """The reports of the run."""
    told = reports(seen.run, seen.records)
    return of_values(wrapped("report", {"run": seen.run.name, "reports": told}))


def gates(seen: Seen, _: Query) -> Answer:
    """What the gates have decided."""
    return of_values({"run": seen.run.name, "gates": list(LoadedRun(seen.run).gates())})


def shown(seen: Seen, _: Query) -> Answer:
    """What stands above the tables of the page."""
    return kept(seen, "overview", lambda: overview(seen.run, seen.records))


def curves(seen: Seen, query: Query) -> Answer:
    """Curves of a sample of each stage, or of one job."""
    if "job" in query:
        record = seen.record(one(query, "job"))
        return of_values(job_curves_of(seen.run, record))
    return kept(seen, "curves", lambda: curves_of(seen.run, seen.records))


def log(seen: Seen, query: Query) -> Answer:
    """A piece of a job's newest log, or with ``whole`` all of it."""
    record = seen.record(one(query, "job"))
    path = seen.run.log(record)
    if record.reused:
        raise RunError(f"{record.name} has run elsewhere; its log: orch logs {record.reused}")
    if not record.attempt or not path.is_file():
        reason = f": {record.reason}" if record.reason else ""
        raise RunError(f"{record.name} is {record.state} and has no log yet{reason}")
    if "whole" in query:
        return Answer(b"", TEXT, file=path)
    size = path.stat().st_size
    asked = number_of(query, "from")
    start = max(0, size + asked) if asked < 0 else min(asked, size)
    with opened(path) as file:
        file.seek(start)
        piece = file.read(PIECE_BYTES)
    more = {
        "X-Orch-From": str(start),
        "X-Orch-Next": str(start + len(piece)),
        "X-Orch-Size": str(size),
        "X-Orch-Attempt": str(record.attempt),
    }
    return Answer(piece, TEXT, more=more)


def report_page(seen: Seen, query: Query) -> Answer:
    """report.html of a job that has written one."""
    job = one(query, "job")
    for told in reports(seen.run, seen.records):
        if told["job"] == job:
            body = content_of(told["html"])
            return Answer(body, HTML, more={"Content-Security-Policy": REPORT_POLICY})
    raise RunError(f"{job} has written no report")


QUESTIONS: dict[str, Callable[[Seen, Query], Answer]] = {
    "status": status,
    "results": results,
    "why": why,
    "costs": costs,
    "plan": plan,
    "report": report,
    "gates": gates,
    "overview": shown,
    "curves": curves,
    "log": log,
    "page": report_page,
}
"""By the last part of the path."""


def kept(seen: Seen, key: str, made: Callable[[], Any]) -> Answer:
    """What costs more to compute: once for each change of the run, and not so often that it is
    more than a twentieth of the time."""
    now = time.monotonic()
    known: Kept | None = seen.kept.get(key)
    if known is not None:
        is_same = known.number == seen.number
        if is_same and now - known.at < KEPT_SECONDS:
            return known.answer
        if now - known.at < PAUSE_FACTOR * known.took:
            # It may never change again: the page asks once more when it may be computed.
            return known.answer if is_same else replace(known.answer, more={"X-Orch-Again": "1"})
    answer = of_values(made())
    seen.kept[key] = Kept(answer, seen.number, now, time.monotonic() - now)
    return answer


def one(query: Query, key: str) -> str:
    """The one value of a key. RunError if there is none, or several."""
    values = query.get(key, [])
    if len(values) != 1:
        raise RunError(f"name one {key}: ?{key}=NAME")
    return values[0]


def number_of(query: Query, key: str) -> int:
    """A whole number; 0 where none is given. RunError if it is none."""
    text = query.get(key, ["0"])[-1]
    # Longer ones are no number of bytes or changes.
    if not text.removeprefix("-").isdecimal() or len(text) > 18:
        raise RunError(f"{key}={text[:40]}: not a whole number")
    return int(text)
