"""``python -m engines.analysis.measured CONFIG --out FOLDER``.

In: the config, and what the command has measured of the checkpoints that it names. Out: the report
as text, Markdown, HTML and CSV with its figure, then ``results.json``, whose facts say which
checkpoint is best. Started by `orch evolve`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engines.analysis.measured.config import Config
from engines.analysis.measured.figure import draw
from engines.analysis.measured.load import Curve, Measured, Value, read_measured
from engines.analysis.measured.text import markdown, page, plain, sentence
from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, leave, program
from engines.contract.results import Row, write_results
from engines.contract.tidy import Tidy, csv_text


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    measured = read_measured(config)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figure = draw(measured, out / "figures", config.axis)
    text = plain(measured)
    write_text(out / "report.txt", text)
    write_text(out / "report.md", markdown(measured, figure))
    write_text(out / "report.html", page(measured, figure))
    lines = [line_of(value) for curve in measured.curves for value in curve.values]
    write_text(out / "tidy.csv", csv_text(lines))
    # No rows: the metrics are the command's own, and stand in the results of the jobs that it ran.
    seconds = time.monotonic() - start
    write_results(out, "analysis.measured", config, [], seconds, facts(measured))
    print(text)


def line_of(value: Value) -> Tidy:
    """A value as a line of ``tidy.csv``."""
    scored = value.scored
    axes: dict[str, str | int | float | bool] = {
        "training": scored.training,
        **scored.axes,
        "checkpoint": scored.checkpoint,
        "step": scored.step,
        **value.row.axes,
    }
    row = Row(
        metric=value.row.metric,
        value=value.value,
        n=value.row.n,
        spread=value.row.spread,
        axes=axes,
    )
    return Tidy(row, f"{scored.folder}/results.json")


def facts(measured: Measured) -> dict[str, Any]:
    """Which checkpoint of each training is best by each metric."""
    return {
        "headline": " ".join(sentence(curve) for curve in measured.curves),
        "best": [best_of(curve) for curve in measured.curves if curve.best is not None],
        "missing": measured.missing,
    }


def best_of(curve: Curve) -> dict[str, Any]:
    """The best checkpoint of a curve, in plain values."""
    best = curve.best
    assert best is not None
    return {
        "training": best.scored.training,
        "metric": curve.metric,
        "checkpoint": best.scored.checkpoint,
        "step": best.scored.step,
        "value": best.value,
    }


if __name__ == "__main__":
    leave(program("analysis.measured", Config, run))
