"""All figures of the report, each drawn once as SVG and PNG.

In: the report. Out: files in the folder ``figures/``, and the SVG for the page, whose lines and
words take the page's own colour. Called by ``engines.analysis.__main__``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engines.analysis.figures.cosines import cosine_matrices, cosines_over_training
from engines.analysis.figures.curves import curve, curves_by_task
from engines.analysis.figures.differences import differences
from engines.analysis.report import Report
from engines.contract.counting.counts import counted
from engines.shared.reporting.figures import Figure, prepare

CURVES = {
    "validation_reward_mean": "validation reward, mean over tasks",
    "conflict_rate": "share of task pairs in conflict",
}


def draw(report: Report, folder: Path) -> list[Figure]:
    """All figures that the data allow, also written to ``folder``. What has no data is named in
    ``report.missing``."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    drawings: list[Callable[[], Figure | None]] = [
        partial(differences, report, folder / "differences"),
        *(partial(curve, report, key, label, folder / key) for key, label in CURVES.items()),
        partial(curves_by_task, report, folder / "tasks"),
        partial(cosine_matrices, report, folder / "cosines"),
        partial(cosines_over_training, report, folder / "cosine_course"),
    ]
    figures = [drawing() for drawing in counted("drawing figures", drawings)]
    return [figure for figure in figures if figure is not None]
