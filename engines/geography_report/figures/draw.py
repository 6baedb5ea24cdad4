"""All figures that the data allow.

In: the report. Out: figures, as files in the folder ``figures/`` and as SVG for the page. Called by
``__main__``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engines.geography_report.figures.maps import map_grid
from engines.geography_report.figures.matrices import (
    expected_matrix,
    gain_matrix,
    kept_matrix,
    pair_matrix,
    similarity_tables,
    single_matrix,
)
from engines.geography_report.report import Report
from engines.shared.reporting.figures import Figure, prepare

FIGURES: dict[str, Callable[[Report, Path], Figure | None]] = {
    "one-task": single_matrix,
    "two-tasks": pair_matrix,
    "expected": expected_matrix,
    "gain": gain_matrix,
    "second-task": kept_matrix,
    "similarity": similarity_tables,
    "maps": map_grid,
}


def draw(report: Report, folder: Path) -> list[Figure]:
    """Draw and write what there are data for."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    figures = [one(report, folder / name) for name, one in FIGURES.items()]
    return [figure for figure in figures if figure is not None]
