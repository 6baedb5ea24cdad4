"""Gates: whether a stage runs, decided by the results of another one. Pure, no I/O.

A condition counts the jobs of a stage whose value of a metric reaches a threshold. While a value is
missing it may be open: it is decided as soon as the missing ones cannot change it, and never by
taking a missing value for a bad one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.stages import Point, Scalar, literal, same

SHOWN = 12
"""Values and jobs that the text of a decision names; the decision itself has all of them."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """``at least K of N jobs have METRIC >= X``, or with ``negated`` that this is not so."""

    metric: str
    stage: str
    """Whose results count."""
    jobs: tuple[str, ...]
    """The jobs of that stage that count."""
    chosen: Point
    """Axes that chose the jobs, such as ``{"model": "lstm-large"}``."""
    where: Point
    """Axes that a row of their results must have, such as ``{"checkpoint": "best"}``."""
    at_least: float | None
    at_most: float | None
    """Exactly one of the two is set."""
    need: int
    """How many of the jobs must reach the threshold."""
    negated: bool = False
    """Written under ``unless``: the stage runs if the condition does not hold."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"jobs": list(self.jobs)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Condition:
        """The inverse of ``to_dict``."""
        return cls(**{**known(cls, values), "jobs": tuple(values["jobs"])})

    def reached(self, value: float) -> bool:
        """Whether one job's value is good enough."""
        return (
            value >= self.at_least
            if self.at_least is not None
            else value <= float(self.at_most or 0.0)
        )

    @property
    def whose(self) -> str:
        """``unless test_accuracy of hard (checkpoint=last)``."""
        axes = {**self.chosen, **self.where}
        where = (
            f" ({', '.join(f'{axis}={literal(value)}' for axis, value in axes.items())})"
            if axes
            else ""
        )
        return f"{'unless ' if self.negated else ''}{self.metric} of {self.stage}{where}"

    @property
    def asks(self) -> str:
        """``test_accuracy of hard >= 0.9 in 2 of 3``."""
        sign, limit = (">=", self.at_least) if self.at_least is not None else ("<=", self.at_most)
        return f"{self.whose} {sign} {limit:g} in {self.need} of {len(self.jobs)}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one job says: a value, or why there is none."""

    job: str
    value: float | None
    state: str = ""
    """The job's state, if it has no results."""
    why: str = ""
    """What is wrong with its results, if it has some but not the value."""
    skipped: bool = False
    """The job will not run: a gate said no."""
    file: str = ""
    """Where the value was read."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """From the JSON of a decision that was kept. Older ones say the state of a job without
        results under ``why``."""
        # A file that was read means that there were results, and `why` is about these.
        if "state" not in values and values["value"] is None and not values["file"]:
            values = {**values, "state": values["why"], "why": ""}
        return cls(**known(cls, values))


def known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a dataclass has; a newer version may have noted more."""
    return {key: value for key, value in values.items() if key in kind.__dataclass_fields__}


def met(condition: Condition, findings: Sequence[Finding]) -> int:
    """How many jobs reach the threshold."""
    return sum(
        finding.value is not None and condition.reached(finding.value) for finding in findings
    )


def holds(condition: Condition, findings: Sequence[Finding]) -> bool | None:
    """Whether the condition lets the stage run; None while missing values could still change the
    answer.

    Where so many jobs were skipped that nothing is left to judge, it lets nothing run, negated or
    not: the stage hangs on work that was given up.
    """
    # Three bounds: `good` jobs have reached the threshold, up to `good + unknown` may in the end,
    # and skipped ones never will.
    good = met(condition, findings)
    if findings and all(finding.skipped for finding in findings):
        return False
    unknown = sum(finding.value is None and not finding.skipped for finding in findings)
    if good >= condition.need:
        return not condition.negated
    if good + unknown < condition.need:
        return condition.negated
    return None


def decide(judged: Sequence[bool | None]) -> bool | None:
    """All conditions together: one that says no is enough, and one that is open keeps the rest
    waiting."""
    if any(one is False for one in judged):
        return False
    return None if any(one is None for one in judged) else True


def summary(condition: Condition, findings: Sequence[Finding]) -> str:
    """``test_accuracy of hard: 0.95, 0.41 < 0.9; 1 of 3, 2 needed; 1 RUNNING``; what went wrong in
    a job is said with its name."""
    sign, limit = ("<", condition.at_least)
    if condition.at_least is None:
        sign, limit = (">", condition.at_most)
    values = []
    for finding in findings:
        if finding.value is not None:
            reached = condition.reached(finding.value)
            shortfall = "" if reached else f" {sign} {limit:g}"
            values.append(f"{number(finding.value)}{shortfall}")
    values = in_short(values)
    missing = without_value(findings)
    counted = f"{met(condition, findings)} of {len(findings)}, {condition.need} needed"
    parts = [", ".join(values), counted, ", ".join(missing)]
    return f"{condition.whose}: " + "; ".join(part for part in parts if part)


def without_value(findings: Sequence[Finding]) -> list[str]:
    """How many jobs are in which state, and what is wrong in those that have results."""
    states = Counter(finding.state for finding in findings if finding.state)
    wrong = [f"{finding.job} {finding.why}" for finding in findings if finding.why]
    return [*(f"{count} {state}" for state, count in states.items()), *in_short(wrong)]


def in_short(words: Sequence[str]) -> list[str]:
    """The first ones, and how many more: each job that waits for a gate has the text as its
    reason."""
    if len(words) <= SHOWN:
        return list(words)
    return [*words[:SHOWN], f"and {len(words) - SHOWN} more"]


def number(value: float) -> str:
    """A value with as many digits as a decision needs to be followed."""
    return f"{value:.4g}"


def pick(
    rows: Sequence[Mapping[str, Any]], metric: str, where: Mapping[str, Scalar]
) -> tuple[float | None, str]:
    """The one value of ``metric`` among the rows of a job's results, or why there is none.

    Of the rows that have the axes of ``where`` the ones with the fewest further axes count: the
    whole, not its parts. Of several checkpoints ``best`` counts, unless ``where`` names another.
    """
    named = [row for row in rows if row["metric"] == metric]
    if not named:
        return None, f"has no {metric}"
    fitting = [
        row
        for row in named
        if all(
            axis in row["axes"] and same(row["axes"][axis], value) for axis, value in where.items()
        )
    ]
    if not fitting:
        return (
            None,
            f"has no {metric} with "
            f"{', '.join(f'{axis}={literal(value)}' for axis, value in where.items())}",
        )
    # {task: math} beside {task: math, level: 5}: the first is the whole.
    least = min(len(row["axes"]) for row in fitting)
    whole = [row for row in fitting if len(row["axes"]) == least]
    if len(whole) > 1 and "checkpoint" not in where:
        whole = [row for row in whole if row["axes"].get("checkpoint") == "best"] or whole
    if len(whole) > 1:
        axes = ", ".join(sorted({axis for row in whole for axis in row["axes"]} - where.keys()))
        return (
            None,
            f"has {len(whole)} values of {metric}: tell them apart with where: {{{axes}: ...}}",
        )
    if whole[0]["value"] is None:
        return None, f"could not compute {metric}: {whole[0]['error']}"
    return float(whole[0]["value"]), ""
