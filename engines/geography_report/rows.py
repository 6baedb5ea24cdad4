"""Every number as a row for programs.

In: the report. Out: the rows of ``results.json`` and of ``tidy.csv``. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engines.contract.results import Row
from engines.contract.tidy import Tidy, with_ends
from engines.geography_report.report import DEFINITIONS, Matrix, Report
from engines.geography_report.standing import Standing
from engines.geography_report.transfer.cells import Summary
from engines.geography_report.transfer.retention import Kept

Axes = dict[str, str | int | float | bool]
NO_VALUE = "undefined: the base is not clearly better on known cities, or learned nothing"


def all_rows(report: Report) -> list[Tidy]:
    """Rows of ``tidy.csv``: every score of every model, then what the report made of them."""
    scores = [row for one in report.standings for row in standing_rows(one)]
    return [*scores, *made_rows(report)]


def own_rows(report: Report) -> list[Row]:
    """Rows of the report's own results; the ends of intervals are among their axes."""
    return [with_ends(line) for line in made_rows(report)]


def made_rows(report: Report) -> list[Tidy]:
    """Improvements, what was expected of them, differences, second tasks, similarities."""
    # By their numbers: hundreds of paths in each of hundreds of rows would be megabytes.
    source = report.inputs.sources.label("results")
    rows: list[Tidy] = []
    transfer = report.transfer
    if transfer is not None:
        for matrix in filter(None, (transfer.singles, transfer.pairs)):
            rows += matrix_rows("normalised_improvement", matrix, {}, source)
        for definition in DEFINITIONS:
            axes: Axes = {"expected_by": definition}
            if definition in transfer.expected:
                matrix = transfer.expected[definition]
                rows += matrix_rows("expected_improvement", matrix, axes, source)
            if definition in transfer.gains:
                matrix = transfer.gains[definition]
                rows += matrix_rows("improvement_over_expected", matrix, axes, source)
    rows += [kept_row(one, source) for one in report.kept]
    return [*rows, *similarity_rows(report)]


def standing_rows(one: Standing) -> Iterator[Tidy]:
    """One model on one set."""
    kind = "accuracy" if one.is_accuracy else "error"
    axes: Axes = {
        "model": one.model.name,
        "seed": one.model.seed,
        "task": one.task,
        "cities": one.cities,
        "split": one.split,
    }
    values = {
        f"answer_{kind}_with_failures": one.with_failures,
        f"constant_{kind}": one.constant,
        "failed_share": one.failed_share,
        "beats_constant": float(one.beats_constant),
    }
    # Without a single answer that could be read there is no mean over them.
    if one.value is not None:
        values = {f"answer_{kind}": one.value, **values}
    for metric, value in values.items():
        yield Tidy(Row(metric=metric, value=value, n=one.n, axes=axes), one.source)
    lead = Row(
        metric="lead_over_constant", value=one.lead, n=one.n, spread=one.lead_error, axes=axes
    )
    yield Tidy(lead, one.source)


def matrix_rows(metric: str, matrix: Matrix, axes: Axes, source: str) -> Iterable[Tidy]:
    """One row per cell, then one per kind of cells."""
    for cell in matrix.cells:
        place: Axes = {
            "trained": "+".join(cell.trained),
            "task": cell.task,
            "cell": "trained" if cell.is_trained else "transfer",
            **axes,
        }
        if cell.value is None:
            yield Tidy(Row(metric=metric, value=None, n=0, axes=place, error=NO_VALUE), source)
            continue
        ends = cell.value.interval
        if metric == "improvement_over_expected":
            place |= {"p": cell.value.p_value, "verdict": cell.verdict}
            place["p_adjusted"] = 1.0 if cell.p_adjusted is None else cell.p_adjusted
        row = Row(metric=metric, value=ends.value, n=cell.value.seeds, axes=place)
        yield Tidy(row, source, ends.low, ends.high)
    for summary in matrix.summaries:
        yield summary_row(metric, summary, len(matrix.rows[0]), axes, source)


def summary_row(metric: str, summary: Summary, tasks: int, axes: Axes, source: str) -> Tidy:
    """The mean over a kind of cells."""
    place: Axes = {"cell": f"mean of {summary.kind}", "tasks_trained": tasks, **axes}
    if summary.value is None:
        return Tidy(Row(metric=metric, value=None, n=0, axes=place, error=NO_VALUE), source)
    ends = summary.value.interval
    if metric == "improvement_over_expected":
        place |= {"p": summary.value.p_value, "verdict": summary.verdict}
    row = Row(metric=metric, value=ends.value, n=summary.value.seeds, axes=place)
    return Tidy(row, source, ends.low, ends.high)


def kept_row(one: Kept, source: str) -> Tidy:
    """One ordered pair of tasks."""
    axes: Axes = {
        "trained": one.first,
        "second": one.second,
        "before": one.before,
        "after": one.after,
        "constant": one.constant,
        "bases_learned": one.learned,
        "verdict": one.verdict,
    }
    if one.change is None:
        row = Row(metric="change_by_second_task", value=None, n=0, axes=axes, error="one question")
        return Tidy(row, source)
    ends = one.change.interval
    if one.p_adjusted is not None:
        axes["p_adjusted"] = one.p_adjusted
    row = Row(metric="change_by_second_task", value=ends.value, n=one.change.seeds, axes=axes)
    return Tidy(row, source, ends.low, ends.high)


def similarity_rows(report: Report) -> Iterator[Tidy]:
    """Every pair of models."""
    found = report.similarity
    if found is None:
        return
    source = report.inputs.sources.label("similarity")
    for place, first in enumerate(found.models):
        for other in range(place):
            axes: Axes = {
                "model": first.name,
                "second": found.models[other].name,
                "layer": found.layer,
            }
            for metric, table in (("cka", found.cka), ("procrustes", found.procrustes)):
                value = float(table[place, other])
                yield Tidy(Row(metric=metric, value=value, n=found.cities, axes=axes), source)
