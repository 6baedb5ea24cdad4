"""The documents that ``--json`` prints of a run, made in one place for the commands and for `orch
serve`, and the wrapping that all of them have.

In: a run and its records, or a plan. Out: plain values. Called by orchestrator/cli/commands and
orchestrator/serve. `orch schema NAME` prints what each document holds; status and costs have theirs
beside their views.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.planning.plan import Plan
from orchestrator.runs.documents.decisions import load_decision
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run

if TYPE_CHECKING:
    from engines.contract.tidy import Tidy

VERSIONS = {
    "archive": 1,
    "changed": 1,
    "check": 2,
    "compare": 1,
    "costs": 1,
    "diff": 1,
    "experiments": 1,
    "files": 1,
    "list": 1,
    "plan": 1,
    "profiles": 1,
    "report": 1,
    "results": 1,
    "settings": 1,
    "status": 1,
    "taken": 1,
    "wait": 1,
    "why": 1,
}
"""Every document, with the number of its present form: it rises when a key goes away or means
something else; new keys may come without that."""
PLAN_KEYS = ("name", "stage", "axes", "after", "resources", "pack", "canary")
"""What a plan says of a job."""


def wrapped(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its name and version."""
    return {"schema": f"orch/{name}", "version": VERSIONS[name], **values}


def plan_document(plan: Plan) -> dict[str, Any]:
    """`orch plan`: the jobs and what they ask for."""
    head = {key: plan.head()[key] for key in ("experiment", "preset", "gpu_hours")}
    jobs = [{key: job.to_dict()[key] for key in PLAN_KEYS} for job in plan.jobs]
    return {**head, "jobs": jobs}


def why_document(
    run: Run, record: Record, records: Sequence[Record], trouble: str
) -> dict[str, Any]:
    """`orch why`: the lines for a person, the job's row, and the decision of its gate."""
    # Late, as it imports rich.
    from orchestrator.views.status import row
    from orchestrator.views.why import why

    key = run.plan.gate_keys.get(record.name)
    return {
        "run": run.name,
        "job": row(run, record, time.time()),
        "lines": why(run, record, records),
        "gate": None if key is None else load_decision(run, key),
        "trouble": trouble,
    }


def results_document(
    run: Run, lines: Sequence[Tidy], unfinished: list[str], problems: list[str]
) -> dict[str, Any]:
    """`orch results`: what ``gather`` of orchestrator/scores/results.py has found."""
    # Late, as it imports pydantic and YAML.
    from engines.contract.tidy import records

    return {
        "run": run.name,
        "reused": reused_jobs(run),
        "rows": records(lines),
        "unfinished": unfinished,
        "problems": problems,
    }


def reused_jobs(run: Run) -> dict[str, str]:
    """The jobs whose results were taken from other runs, each with its source."""
    return {record.name: record.reused for record in run.load() if record.reused}


def costs_document(
    run: Run, records: Sequence[Record], trouble: str, by: Sequence[str]
) -> dict[str, Any]:
    """`orch costs`: hours of each stage and start. RunError of a run without jobs."""
    # Late, as it imports rich.
    from orchestrator.views.costs.tables import document, spent

    seen = spent(run, records, run.now(), by)
    return {**document(run, seen), "trouble": trouble}
