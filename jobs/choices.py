"""The best of several jobs: which one another job follows, decided by their results. Pure, no I/O.

A choice is open while a value can still come. Jobs without a value, such as failed ones, are not
taken for bad ones: they do not stand for choice, and the text counts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.gates import Finding, number, without_value
from jobs.stages import Point, digest, literal

FOLDER = "choices"
"""Folder in a run's folder: for each job that follows the best one of others a folder of its own
name, with the decision and a link to the chosen job's folder."""
LINK = "job"
"""Name of that link. It is there once the choice holds for good: just before the job that waited
for it is submitted."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The job with the best value of a metric among some jobs of a stage."""

    metric: str
    stage: str
    """Whose results count."""
    jobs: tuple[str, ...]
    """Those of its jobs among which is chosen."""
    higher: bool
    """Whether higher values are better."""
    where: Point
    """Axes that a row of their results must have, such as ``{"checkpoint": "last"}``."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"jobs": list(self.jobs)}

    @property
    def asks(self) -> str:
        """``lowest val_loss of train (6 jobs)``."""
        where = "".join(f", {axis}={literal(value)}" for axis, value in self.where.items())
        return (
            f"{'highest' if self.higher else 'lowest'} {self.metric} of {self.stage} "
            f"({len(self.jobs)} jobs{where})"
        )

    def identity(self, of: Mapping[str, str]) -> str:
        """Hash of what decides which job is taken; ``of``: the identities of the jobs by name. It
        does not depend on which one that is."""
        among = sorted(of[name] for name in self.jobs)
        return digest(["best", self.metric, self.higher, self.where, among])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the results say."""

    job: str | None
    """The chosen job; None: open."""
    text: str
    final: bool
    """Whether no job is left that could still bring a value."""
    skipped: bool
    """None of the jobs will run."""
    findings: tuple[Finding, ...]


def choose(
    choice: Choice,
    findings: Sequence[Finding],
    to_come: int,
    taken: str | None = None,
    now: bool = False,
) -> Outcome:
    """The best job, if no value can still come; of equals the first one in the plan.

    Args:
        findings: what each of the jobs says, in their order.
        to_come: how many of those without a value may still bring one.
        taken: the job that a person has chosen.
        now: a person wants it chosen among what is there.
    """
    valued = [one for one in findings if one.value is not None]
    best = taken
    if best is None and valued and (now or not to_come):
        best = ordered(choice, valued)[0].job
    parts = []
    if best is not None:
        value = next((one.value for one in valued if one.job == best), None)
        shown = f", {number(value)}" if value is not None else ""
        parts.append(f"{best}{shown}" + (", as a person decided" if taken else ""))
    parts.append(f"{len(valued)} of {len(findings)} values")
    missing = without_value(findings)
    if missing:
        parts.append(", ".join(missing))
    if best is None and not to_come:
        parts.append("nothing more will come: orch retry, or orch override --take")
    return Outcome(
        job=best,
        text=f"{choice.asks}: {'; '.join(parts)}",
        final=not to_come,
        skipped=all(one.skipped for one in findings),
        findings=tuple(findings),
    )


def ordered(choice: Choice, findings: Sequence[Finding]) -> list[Finding]:
    """Those with a value, the best one first."""
    sign = -1.0 if choice.higher else 1.0
    valued = [one for one in findings if one.value is not None]
    return sorted(valued, key=lambda one: sign * float(one.value or 0.0))
