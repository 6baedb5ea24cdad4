"""The report's tables, each made once and written out by the text and the page.

In: the report. Out: headings with their tables. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engines.geography_report.load import NEW_CITIES, Axes, Finished, Inputs, Model
from engines.geography_report.published.computed import computed
from engines.geography_report.published.values import PUBLISHED, is_full_size
from engines.geography_report.report import CHOSEN, DEFINITIONS, Matrix, Report
from engines.geography_report.report import PUBLISHED as DEFINITION
from engines.geography_report.standing import Standing
from engines.geography_report.transfer.cells import UNDEFINED, VERDICTS, Cell
from engines.geography_report.transfer.retention import Kept
from engines.geography_report.transfer.scores import Trained
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS
from engines.shared.reporting.seeds import Estimate
from engines.shared.reporting.statistics import t_quantile
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import probability

SHORT = {
    "distance": "dist",
    "trianglearea": "area",
    "angle": "angle",
    "compass": "comp",
    "inside": "ins",
    "perimeter": "peri",
    "crossing": "cross",
}
"""Names of tasks where there is little room."""
SIGNS = {"synergy": "^", "negative transfer": "v", "none": " ", "not decided": "?"}
NOTHING = "-"
GAINS = "Actual minus expected"
Tables = dict[str, Table]
"""Heading -> table; those without a row are left out."""


def make_tables(report: Report) -> Tables:
    """The tables that the text and the page show first."""
    tables = {"Bases on the cities they know": bases_table(report)}
    transfer = report.transfer
    if transfer is not None:
        matrices = {
            "Normalised improvement, one task": transfer.singles,
            "Normalised improvement, two tasks": transfer.pairs,
            "Expected of the specialist chosen on validation": transfer.expected.get(CHOSEN),
            "Expected, published definition (best on the test)": transfer.expected.get(DEFINITION),
            GAINS: transfer.gains.get(CHOSEN),
        }
        tables |= with_values({name: one for name, one in matrices.items() if one is not None})
        if GAINS in tables:
            tables["Actual minus expected, by kind of cell"] = gains_table(report)
    tables["A second task: what is kept of the first"] = kept_table(report.kept)
    tables["Maps"] = maps_table(report.inputs)
    tables["How alike representations are"] = similarity_table(report)
    tables["Published, full size"] = published_table(report)
    return {heading: table for heading, table in tables.items() if table.rows}


def with_values(tables: dict[str, Matrix]) -> Tables:
    """Matrices as tables; those in which every cell is undefined are left out."""
    return {
        heading: matrix_table(matrix, verdicts=heading == GAINS)
        for heading, matrix in tables.items()
        if any(cell.value is not None for cell in matrix.cells)
    }


def raw_tables(report: Report) -> Tables:
    """Every score beside its constant, set by set."""
    names = {
        ("no_atlantis", "test"): "Scores on known cities (test)",
        ("atlantis_required", "test"): "Scores with new cities (test)",
        ("multi_task", "test"): "Scores on the set of all tasks (test)",
        ("with_atlantis", "test"): "Scores on all cities (test)",
    }
    tables = {}
    for key in dict.fromkeys((one.cities, one.split) for one in report.standings):
        heading = names.get(key, f"Scores on {key[0].replace('_', ' ')} ({key[1]})")
        tables[heading] = scores_table(
            [one for one in report.standings if (one.cities, one.split) == key]
        )
    return tables


def number(value: float | None, share: bool) -> str:
    """A share with two digits, an error with three significant ones."""
    if value is None:
        return NOTHING
    if share:
        return f"{value:.2f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def score(one: Standing) -> str:
    """``516 (470)``: the value with that of the constant beside it, a star where the first beats
    the second, and the share of answers that could not be read where there are any."""
    text = f"{number(one.value, one.is_accuracy)} ({number(one.constant, one.is_accuracy)})"
    text += "*" if one.beats_constant else ""
    return f"{text} {100 * one.failed_share:.1f}%" if one.failed_share else text


def bases_table(report: Report) -> Table:
    """One line per base and task."""
    head = ["base", "task", "value", "constant", "failed", "lead [95 %]", "learned"]
    rows = []
    for one in report.bases:
        lead = number(one.lead, one.is_accuracy)
        if one.lead_error is not None and one.n > 1:
            half = t_quantile(one.n - 1) * one.lead_error
            ends = (number(one.lead + sign * half, one.is_accuracy) for sign in (-1, 1))
            lead = f"{lead} [{', '.join(ends)}]"
        rows.append(
            [
                one.model.name,
                one.task,
                number(one.value, one.is_accuracy),
                number(one.constant, one.is_accuracy),
                f"{100 * one.failed_share:.1f} %",
                lead,
                learned_text(one, report.has_learned(one)),
            ]
        )
    return Table(head, rows)


def learned_text(one: Standing, learned: bool) -> str:
    """Whether a base has learned a task; a lead that the correction takes back is named."""
    if learned:
        return "yes"
    return "no (by luck)" if one.beats_constant else "no"


def scores_table(standings: Sequence[Standing]) -> Table:
    """One line per model, one column per task."""
    tasks = [task for task in TASKS if any(one.task == task for one in standings)]
    by_place = {(one.model.name, one.task): one for one in standings}
    rows = []
    for name in dict.fromkeys(one.model.name for one in standings):
        cells = [by_place.get((name, task)) for task in tasks]
        rows.append([name, *(NOTHING if one is None else score(one) for one in cells)])
    return Table(["model", *tasks], rows)


def short(trained: Iterable[str]) -> str:
    """``dist+area``."""
    return "+".join(SHORT[task] for task in trained)


def row_name(trained: Trained) -> str:
    """``1 dist+area``: with the published number of a pair or a task."""
    if len(trained) == 1:
        return f"{TASKS[trained[0]].number} {SHORT[trained[0]]}"
    return f"{PUBLISHED_PAIRS.index(trained) + 1} {short(trained)}"


def matrix_table(matrix: Matrix, verdicts: bool = False) -> Table:
    """Rows: what was trained; columns: what was asked. T marks trained cells, a dash undefined
    ones."""
    by_place = {(cell.trained, cell.task): cell for cell in matrix.cells}
    rows = []
    for trained in matrix.rows:
        cells = [by_place[trained, task] for task in matrix.tasks]
        rows.append([row_name(trained), *(cell_text(cell, verdicts) for cell in cells)])
    return Table(["trained", *(SHORT[task] for task in matrix.tasks)], rows)


def cell_text(cell: Cell, verdicts: bool) -> str:
    """``+0.12T^``: value, whether the task was trained, and the verdict's sign."""
    mark = "T" if cell.is_trained else " "
    if cell.value is None:
        return f"{NOTHING}{mark}" + (" " if verdicts else "")
    value = cell.value.interval.value
    if verdicts:
        return f"{signed(value)}{mark}{SIGNS[cell.verdict]}"
    return f"{value:.2f}{mark}"


def signed(value: float) -> str:
    """Two digits with a sign; what rounds to 0 has none of its own."""
    return f"{value:+.2f}".replace("-0.00", "+0.00")


def with_interval(value: Estimate | None) -> str:
    """``+0.12 [-0.03, +0.27]``; of one seed with the word that it holds for its questions alone."""
    if value is None:
        return UNDEFINED
    ends = value.interval
    text = f"{ends.value:+.3f} [{ends.low:+.3f}, {ends.high:+.3f}]"
    return text if value.seeds > 1 else f"{text} (one seed)"


def gains_table(report: Report) -> Table:
    """The mean over each kind of cells, under every definition of what was expected."""
    head = ["cells", "n", "actual - expected [95 %]", "p", "verdict"]
    head += [f"{name} (biased)" for name in DEFINITIONS if name != CHOSEN]
    assert report.transfer is not None
    gains = report.transfer.gains
    rows = []
    for place, summary in enumerate(gains[CHOSEN].summaries):
        others = [gains[name].summaries[place] for name in DEFINITIONS if name != CHOSEN]
        rows.append(
            [
                summary.kind,
                str(summary.cells),
                with_interval(summary.value),
                probability(summary.p_adjusted) or NOTHING,
                summary.verdict,
                *(with_interval(one.value) for one in others),
            ]
        )
    return Table(head, rows)


def verdict_counts(matrix: Matrix, alone: bool = False) -> dict[str, int]:
    """How many cells have each verdict; with ``alone`` by their own intervals, uncorrected."""
    found = [cell.alone if alone else cell.verdict for cell in matrix.cells]
    return {name: found.count(name) for name in VERDICTS if name in found}


def kept_table(kept: Sequence[Kept]) -> Table:
    """One line per ordered pair of tasks."""
    head = ["first, then second", "before", "after", "constant", "change [95 %]", "of the lead"]
    head += ["p", "verdict", "base learned"]
    rows = []
    for one in kept:
        share = TASKS[one.first].higher_is_better
        change, seeds = NOTHING, 0
        if one.change is not None:
            ends, seeds = one.change.interval, one.change.seeds
            low, high = number(ends.low, share), number(ends.high, share)
            change = f"{number(ends.value, share)} [{low}, {high}]"
        rows.append(
            [
                f"{SHORT[one.first]}, {SHORT[one.second]}",
                number(one.before, share),
                number(one.after, share),
                number(one.constant, share),
                change,
                NOTHING if one.share is None else signed(one.share),
                probability(one.p_adjusted) or NOTHING,
                one.verdict,
                f"{one.learned} of {seeds}" if one.learned else f"NO (0 of {seeds})",
            ]
        )
    return Table(head, rows)


def maps_table(inputs: Inputs) -> Table:
    """One line per map: what a probe of the best layer reads, beside the three controls."""
    head = ["model", "prompt", "layer", "R2 x / y", "untrained", "shuffled", "id digits"]
    head += ["error, known cities", "error, new cities", "of their centre"]
    rows = []
    for model in inputs.ordered:
        finished = inputs.maps.get(model.folder)
        if finished is None:
            continue
        best = finished.document["facts"]["best_layer"]
        where: Axes = {"region": "world", "layer": best}
        controls: list[Axes] = [
            {**where, "network": "untrained", "control": "none"},
            {**where, "network": "trained", "control": "shuffled"},
            {"region": "world", "control": "id_digits"},
        ]
        errors = [
            finished.value("probe_distance", {"region": "world"}),
            finished.value("probe_distance", {"region": "atlantis"}),
            finished.value("centre_distance", {"region": "atlantis"}),
        ]
        rows.append(
            [
                model.name,
                finished.document["config"]["task"],
                str(best),
                r2(finished, {}),
                *(r2(finished, axes) for axes in controls),
                *(number(error, share=False) for error in errors),
            ]
        )
    return Table(head, rows)


def r2(finished: Finished, axes: Axes) -> str:
    """R2 along x and y on cities that the probe was not fitted on."""
    values = [finished.value("probe_r2", {**axes, "coordinate": name}) for name in ("x", "y")]
    return " / ".join(number(value, share=True) for value in values)


def similarity_table(report: Report) -> Table:
    """Means over the pairs of models that are related in one way."""
    head = ["models", "tasks", "pairs of models with", "pairs", "CKA", "sd", "Procrustes", "sd"]
    rows = []
    for one in report.similarity.relations if report.similarity else []:
        deviations = (one.cka_deviation, one.procrustes_deviation)
        of_cka, of_procrustes = (NOTHING if sd is None else f"{sd:.3f}" for sd in deviations)
        line = [one.kind, str(one.tasks), one.relation, str(one.pairs), f"{one.cka:.3f}", of_cka]
        rows.append([*line, f"{one.procrustes:.3f}", of_procrustes])
    return Table(head, rows)


def full_size(report: Report) -> list[Model]:
    """The fine-tuned models that have the published size."""
    return [model for model in report.inputs.of(NEW_CITIES) if is_full_size(model)]


def published_table(report: Report) -> Table:
    """The published figures beside ours; nothing where no model was fine-tuned on new cities."""
    if report.transfer is None:
        return Table([], [])
    ours = computed(report)
    return Table(
        ["figure", "published, full size", "here"],
        [[one.what, one.value, ours.get(one.key, "not computed")] for one in PUBLISHED],
    )
