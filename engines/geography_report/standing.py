"""Where every model stands on every set: its score, that of the best constant answer, and how many
answers could not be read.

In: the rows that evaluations left. Out: one ``Standing`` per model and set. Called by report.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.geography_report.load import BASE, Axes, Finished, Inputs, Model
from engines.shared.geography.tasks import TASKS
from engines.shared.reporting.seeds import LEVEL
from engines.shared.reporting.statistics import holm


@dataclass(frozen=True)
class Standing:
    """One model on one set of one task. A value is None where it could not be computed."""

    model: Model
    task: str
    cities: str
    """``no_atlantis``, ``atlantis_required``, ``with_atlantis`` or ``multi_task``."""
    split: str
    n: int
    value: float | None
    """Mean over the answers that could be read: accuracy, or absolute error in the task's unit."""
    with_failures: float
    constant: float
    failed_share: float
    lead: float
    """How much better than the constant, failures counted."""
    lead_error: float | None
    """Its standard error."""
    beats_constant: bool
    source: str

    @property
    def is_accuracy(self) -> bool:
        """Whether the value is a share of right words."""
        return TASKS[self.task].higher_is_better


def standings_of(inputs: Inputs) -> list[Standing]:
    """Every model on every set it was asked."""
    found = []
    for model in inputs.ordered:
        finished = inputs.evaluations.get(model.folder)
        if finished is not None:
            found += standings_in(finished)
    return found


def standings_in(finished: Finished) -> list[Standing]:
    """One evaluation's sets, in the order of its rows."""
    found = []
    for row in finished.rows:
        # One row of this metric per set; that for gates has no cities among its axes.
        if row.metric == "failed_share" and row.value is not None and "cities" in row.axes:
            found.append(standing(finished, row.axes, row.value, row.n))
    return found


def standing(finished: Finished, axes: Axes, failed_share: float, n: int) -> Standing:
    """One set."""
    task = str(axes["task"])
    kind = "accuracy" if TASKS[task].higher_is_better else "error"
    lead = finished.row("lead_over_constant", axes)
    with_failures = finished.value(f"answer_{kind}_with_failures", axes)
    constant = finished.value(f"constant_{kind}", axes)
    # An evaluation writes all of these or none.
    assert lead is not None
    assert lead.value is not None
    assert with_failures is not None
    assert constant is not None
    return Standing(
        model=finished.model,
        task=task,
        cities=str(axes["cities"]),
        split=str(axes["split"]),
        n=n,
        value=finished.value(f"answer_{kind}", axes),
        with_failures=with_failures,
        constant=constant,
        failed_share=failed_share,
        lead=lead.value,
        lead_error=lead.spread,
        beats_constant=finished.value("beats_constant", axes) == 1,
        source=str(finished.out / "results.json"),
    )


def bases_of(standings: list[Standing]) -> list[Standing]:
    """The bases on questions about the cities they know."""
    return [
        one
        for one in standings
        if one.model.kind == BASE and (one.cities, one.split) == ("no_atlantis", "test")
    ]


def learned_by(bases: list[Standing]) -> dict[tuple[str, str], bool]:
    """By folder and task: whether a base has learned it, that is, whether it is better than the
    best constant answer with Holm's correction over all bases and tasks.

    Each comparison alone is won by luck one time in 40, and one of 21 more often than one time in
    three: a run that learned nothing would seldom say so.
    """
    adjusted = holm([p_value(one) for one in bases]) if bases else []
    return {
        (one.model.folder, one.task): one.lead > 0 and p <= LEVEL
        for one, p in zip(bases, adjusted, strict=True)
    }


def p_value(one: Standing) -> float:
    """Two-sided p-value of the lead over the constant, Student's t over questions; 1 where there is
    no lead or a single question."""
    from scipy.stats import t

    if one.lead <= 0 or one.lead_error is None:
        return 1.0
    if one.lead_error == 0:
        return 0.0
    return 2 * float(t.sf(one.lead / one.lead_error, one.n - 1))
