"""What this report has of the published figures.

In: the report. Out: numbers as text, by the keys of ``PUBLISHED``. Called by tables.py.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np

from engines.geography_report.load import BASE, NEW_CITIES
from engines.geography_report.report import PUBLISHED as DEFINITION
from engines.geography_report.report import Report
from engines.geography_report.similarity.compare import OTHER_TASKS, SAME_OTHER_SEED
from engines.geography_report.transfer.cells import UNDEFINED, Summary

RELATIONS = {SAME_OTHER_SEED: "same", f"{OTHER_TASKS}, other seed": "other"}


def computed(report: Report) -> dict[str, str]:
    """Everything that can be computed of the published figures."""
    return {**of_transfer(report), **of_similarity(report), **of_maps(report)}


def of_transfer(report: Report) -> dict[str, str]:
    """Improvements and what they have over what was expected."""
    found: dict[str, str] = {}
    transfer = report.transfer
    if transfer is None:
        return found
    matrices = {"single": transfer.singles, "pair": transfer.pairs}
    for name, matrix in matrices.items():
        if matrix is not None:
            found |= {f"{name} {one.kind}": mean_and_spread(one) for one in matrix.summaries}
    # The published differences are those of the published definition.
    if DEFINITION in transfer.gains:
        for one in transfer.gains[DEFINITION].summaries:
            found[f"gain {one.kind}"] = mean_and_spread(one, "+")
    return found


def mean_and_spread(summary: Summary, sign: str = "") -> str:
    """``0.838 +- 0.136``: the mean and the deviation over cells and seeds."""
    if summary.value is None:
        return UNDEFINED
    mean = f"{summary.value.interval.value:{sign}.3f}"
    return mean if summary.spread is None else f"{mean} +- {summary.spread:.3f}"


def of_similarity(report: Report) -> dict[str, str]:
    """Mean CKA by how models are related, and its correlation with transfer."""
    found: dict[str, str] = {}
    if report.similarity is None:
        return found
    for relation in report.similarity.relations:
        if relation.kind == NEW_CITIES and relation.relation in RELATIONS:
            which = RELATIONS[relation.relation]
            found[f"cka {which} {relation.tasks}"] = f"{relation.cka:.3f}"
    correlation = cka_against_transfer(report)
    if correlation is not None:
        found["cka transfer"] = f"r = {correlation[0]:.3f} (n = {correlation[1]})"
    return found


def cka_against_transfer(report: Report) -> tuple[float, int] | None:
    """Pearson's correlation over ordered pairs of tasks (a, b): the CKA of the models of a and of b
    of one seed, and the improvement on b of the model of a, both averaged over seeds; with the
    number of pairs. None for fewer than three pairs or where nothing varies."""
    found, transfer = report.similarity, report.transfer
    if found is None or transfer is None or transfer.singles is None:
        return None
    values: dict[tuple[str, str], list[float]] = {}
    for row, first in enumerate(found.models):
        for column, second in enumerate(found.models):
            kinds = (first.kind, second.kind, len(first.trained), len(second.trained))
            related = kinds == (NEW_CITIES, NEW_CITIES, 1, 1) and first.seed == second.seed
            if related and row != column:
                pair = (first.trained[0], second.trained[0])
                values.setdefault(pair, []).append(float(found.cka[row, column]))
    cells = {(cell.trained[0], cell.task): cell.value for cell in transfer.singles.cells}
    points = [
        (fmean(values[pair]), value.interval.value)
        for pair, value in cells.items()
        if pair in values and value is not None
    ]
    if len(points) < 3:
        return None
    across, up = np.array(points).T
    if across.std() == 0 or up.std() == 0:
        return None
    return float(np.corrcoef(across, up)[0, 1]), len(points)


def of_maps(report: Report) -> dict[str, str]:
    """What probes read."""
    bases: list[float] = []
    errors: dict[str, list[float]] = {}
    for model in report.inputs.ordered:
        finished = report.inputs.maps.get(model.folder)
        if finished is None:
            continue
        if model.kind == BASE and len(model.trained) == 1 and model.trained != ("crossing",):
            r2 = [finished.value("probe_r2", {"coordinate": name}) for name in ("x", "y")]
            bases += [value for value in r2 if value is not None]
        if model.kind == NEW_CITIES and len(model.trained) == 2:
            known = finished.value("probe_distance_mean", {"region": "world"})
            new = finished.value("probe_distance_mean", {"region": "atlantis"})
            side = "with" if "distance" in model.trained else "without"
            if known is not None and new is not None:
                errors.setdefault("probe known", []).append(known)
                errors.setdefault(f"probe new {side}", []).append(new)
    found = {key: f"{fmean(values):.1f}" for key, values in errors.items()}
    if bases:
        found["probe base 1"] = f"{min(bases):.2f} to {max(bases):.2f}"
    return found
