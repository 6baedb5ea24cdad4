"""What gates and persons have decided, as it is kept in a run's ``gates/``.

In: a run, and the key of a gate. Out: documents, checked. Written by gates.py and interventions.py
in orchestrator/lifecycle with the run's lock held; read by these and by the views.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec

from jobs.gates import Condition, Finding
from orchestrator.errors import RunError
from orchestrator.runs.documents.damage import note
from orchestrator.runs.documents.reading import Moment, content_of, decoded, document, unknown_form
from orchestrator.runs.run import Run

UNREADABLE = (KeyError, TypeError, AttributeError, OverflowError, msgspec.MsgspecError)
"""What values of another kind raise."""
REMEDY = "left out; the gate decides anew while jobs wait for it"


class Past(TypedDict):
    """An earlier decision: of a gate, or of the best job."""

    time: Moment
    text: str
    decision: NotRequired[str]
    chosen: NotRequired[str | None]


class Kept(TypedDict):
    """What ``gates/<stage or job>.json`` holds."""

    stage: str
    decision: str
    """``run``, ``skip`` or ``open``."""
    text: str
    time: Moment
    inputs: list[dict[str, Any]]
    """Conditions with the value of every judged job."""
    history: list[Past]


class Override(TypedDict):
    """A person's word in ``gates/overrides.json``."""

    job: str
    decision: str
    """``run``, ``skip`` or ``take``."""
    reason: str
    by: str
    time: Moment
    take: NotRequired[str | None]


class Skipped(TypedDict):
    """What ``skipped.json`` of a job holds."""

    reason: str


def decision_file(run: Run, key: str) -> Path:
    """Where the decision of a stage, or of a job with gates of its own, is kept."""
    job = run.by_name.get(key)
    name = key if job is None else Path(job.folder).name
    return run.folder / "gates" / f"{name}.json"


def load_decision(run: Run, key: str) -> Kept | None:
    """The decision of a stage, or of a job, that is on disk."""
    path = decision_file(run, key)
    kept = document(path, Kept, REMEDY)
    if kept is None:
        return None
    try:
        for entry in kept["inputs"]:
            condition = msgspec.convert(entry["condition"], Condition)
            if (condition.at_least is None) is (condition.at_most is None):
                raise TypeError("a condition without a threshold")
            check_findings(entry["findings"])
        for past in kept["history"]:
            past["decision"]
    except UNREADABLE as error:
        note(path, unknown_form(error), REMEDY)
        return None
    return kept


def check_findings(values: list[dict[str, Any]]) -> None:
    """One of UNREADABLE if these are not what jobs have said."""
    msgspec.convert([vars(Finding.from_dict(one)) for one in values], list[Finding])


def overrides_file(run: Run) -> Path:
    """Where it is kept what persons decided."""
    return run.folder / "gates" / "overrides.json"


def read_overrides(run: Run) -> dict[str, Override]:
    """What persons decided, by job: the newest word counts."""
    return {line["job"]: line for line in override_lines(run)}


def override_lines(run: Run) -> list[Override]:
    """Every override, oldest first. RunError if they cannot be read: a person's word must not be
    passed over in silence."""
    path = overrides_file(run)
    try:
        return decoded(content_of(path), list[Override])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: {error}: what persons decided in place of gates cannot be known; remove the "
            "file, and say it again: orch override"
        ) from error
