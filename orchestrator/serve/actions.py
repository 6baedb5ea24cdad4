"""What a page may change, where the server was started with ``--allow-actions``: the commands
`orch cancel`, `retry` and `override`, with their own checks.

In: the name of an action, a run, and the values of a JSON object. Out: what the command prints with
``--json``. Called by server.py, which has checked who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.api.json_documents import wrapped
from orchestrator.errors import RunError
from orchestrator.lifecycle import interventions
from orchestrator.lifecycle.retry import retry_from_here
from orchestrator.runs.run import Run
from orchestrator.serve.answer import Answer, of_values
from orchestrator.serve.runs import Runs

ALL = "all"
DECISIONS = ("run", "skip", "take")


def act(runs: Runs, path: list[str], values: Mapping[str, Any]) -> Answer | None:
    """Do it, and say what was done; None: there is no such action. OrchError as the command."""
    if len(path) != 4 or path[0] != "run" or path[3] not in ACTIONS:
        return None
    with runs.alone(f"{path[1]}/{path[2]}") as run:
        lines = ACTIONS[path[3]](run, values)
    return of_values(wrapped("changed", {"run": run.name, "lines": lines}))


def cancel(run: Run, values: Mapping[str, Any]) -> list[str]:
    """``{"jobs": [NAME, ...]}``, or ``"all"``."""
    return interventions.cancel(run, jobs_of(run, values))


def retry(run: Run, values: Mapping[str, Any]) -> list[str]:
    """``{"jobs": [NAME, ...]}``, or ``"all"``."""
    lines: list[str] = []
    retry_from_here(run, jobs_of(run, values), lines.append)
    return lines


def override(run: Run, values: Mapping[str, Any]) -> list[str]:
    """``{"job": NAME, "decision": "run" | "skip" | "take", "reason": TEXT, "take": JOB}``."""
    decision, job, reason = (text_of(values, key) for key in ("decision", "job", "reason"))
    if decision not in DECISIONS:
        raise RunError(f"decision is one of {', '.join(DECISIONS)}")
    refuse_unknown(run, [job])
    take = text_of(values, "take") if decision == "take" else None
    return interventions.override(run, job, decision != "skip", reason, take)


ACTIONS: dict[str, Callable[[Run, Mapping[str, Any]], list[str]]] = {
    "cancel": cancel,
    "retry": retry,
    "override": override,
}
"""By the last part of the path."""


def jobs_of(run: Run, values: Mapping[str, Any]) -> list[str] | None:
    """The jobs or stages that are named in full; None: all of them, where that is said."""
    jobs = values.get("jobs")
    if jobs == ALL:
        return None
    if not isinstance(jobs, list) or not jobs or not all(isinstance(one, str) for one in jobs):
        raise RunError('"jobs" is a list of names, or "all"')
    refuse_unknown(run, jobs)
    return jobs


def refuse_unknown(run: Run, names: list[str]) -> None:
    """RunError if a name is neither a job's nor a stage's: a part of a name could mean many."""
    known = {name for job in run.plan.jobs for name in (job.name, job.stage)}
    for name in names:
        if name not in known:
            raise RunError(f"{run.name} has no job or stage '{name}'")


def text_of(values: Mapping[str, Any], key: str) -> str:
    """A text. RunError if it is none."""
    value = values.get(key)
    if not isinstance(value, str):
        raise RunError(f'"{key}" is a text')
    return value
