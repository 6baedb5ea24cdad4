"""What the adapters add to each kind of layer, by arm.

In: the report; ``spectra.json`` of its models, which the evaluation wrote. Out: one table. Called
by tables.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from engines.polychromic_report.load import Evaluated
from engines.polychromic_report.report import Report
from engines.shared.reporting.tables import Table

Measured = tuple[float, float | None]
"""Frobenius norm of what an adapter adds to a layer, and its effective rank; None where it adds
nothing."""
DASH = "-"


def spectra(report: Report) -> Table:
    """One row per kind of layer, such as ``q_proj``: mean Frobenius norm of what the adapters add,
    and mean effective rank, over layers and seeds of an arm."""
    by_arm = {arm.label: of_models(report.inputs.evaluated(arm)) for arm in report.arms}
    by_arm = {label: found for label, found in by_arm.items() if found}
    kinds = sorted({kind for found in by_arm.values() for kind in found})
    rows = [[kind, *(cell(found.get(kind, [])) for found in by_arm.values())] for kind in kinds]
    return Table(["layers", *by_arm], rows)


def of_models(models: Sequence[Evaluated]) -> dict[str, list[Measured]]:
    """Every adapted layer of these models, by the last part of its name."""
    found: dict[str, list[Measured]] = defaultdict(list)
    for model in models:
        path = model.folder / "spectra.json"
        # A merged or whole checkpoint is no adapter and has no such file.
        if not path.is_file():
            continue
        for layer in json.loads(path.read_text(encoding="utf-8")):
            kind = str(layer["layer"]).rpartition(".")[2]
            found[kind].append((layer["frobenius_norm"], layer["effective_rank"]))
    return dict(found)


def cell(measured: Sequence[Measured]) -> str:
    """``0.52, rank 3.1``; the rank over those layers alone to which something is added."""
    if not measured:
        return DASH
    norm = f"{np.mean([one for one, _ in measured]):.2g}"
    ranks = [rank for _, rank in measured if rank is not None]
    return f"{norm}, rank {np.mean(ranks):.1f}" if ranks else norm
