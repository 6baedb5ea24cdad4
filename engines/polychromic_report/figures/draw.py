"""All figures that the data allow.

In: the report. Out: figures, as files in the folder ``figures/`` and as SVG for the page. Called by
``__main__``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engines.polychromic_report.figures.curves import training_curves
from engines.polychromic_report.figures.plane import plane
from engines.polychromic_report.report import Report
from engines.shared.reporting.figures import Figure, prepare

FIGURES: dict[str, Callable[[Report, Path], Figure | None]] = {
    "quality-and-diversity": plane,
    "training": training_curves,
}
"""The first is what the report is about, so it comes first on the page."""


def draw(report: Report, folder: Path) -> list[Figure]:
    """Draw and write what there are data for."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    figures = [one(report, folder / name) for name, one in FIGURES.items()]
    return [figure for figure in figures if figure is not None]
