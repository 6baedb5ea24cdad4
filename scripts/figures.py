"""The figures of docs/results.md, on white ground.

    python scripts/figures.py                     docs/img/fsm-small-lstm-*.svg, drawn anew
    python scripts/figures.py FILE.svg NAME       a figure of a report, as docs/img/NAME.svg

The values of the former are means and intervals of a run of eleven core-hours that is gone, kept
with six digits in docs/img/fsm-small-lstm.json. Which runs the others are of: `make pictures`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from engines.fsm_report.figures import (
    draw_ceiling,
    draw_line,
    label_axes,
    legend,
    panels_and_keys,
)
from engines.fsm_report.summary import Summary
from engines.shared.reporting.figures import prepare, save
from engines.shared.reporting.look import looks_of
from engines.shared.reporting.statistics import Interval

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "img"
SEEDS = 3
GROUND = '<rect width="100%" height="100%" fill="#ffffff"/>'


def draw(figure: dict[str, Any], folder: Path) -> None:
    """One figure: a panel, a line for each group, the exact predictor."""
    lines = figure["lines"]
    looks = looks_of([{"model": one["label"]} for one in lines])
    made, (axis,), (key,) = panels_and_keys([lines])
    for one, look in zip(lines, looks, strict=True):
        series = {}
        for place, mean, low, high in one["values"]:
            series[float(place)] = Summary(SEEDS, mean, None, Interval(mean, low, high))
        draw_line(axis, series, look, one["label"])
    top = figure["ceiling"]
    if isinstance(top, list):
        top = {float(place): Summary(SEEDS, value, None, None) for place, value in top}
    draw_ceiling(axis, top)
    axis.set_title(figure["title"])
    label_axes(axis, figure["across"], figure["up"])
    legend(axis, key)
    save(made, folder / figure["name"], "", "")


def on_white(path: Path, name: str) -> None:
    """A figure with a ground of its own: its ink is black, and pages may be dark."""
    text = path.read_text()
    end = text.index(">", text.index("<svg ")) + 1
    ground = "" if GROUND in text else f"\n {GROUND}"
    (FOLDER / f"{name}.svg").write_text(f"{text[:end]}{ground}{text[end:]}")


def main() -> None:
    """Draw those whose run is gone, or take one from a report."""
    if len(sys.argv) > 1:
        on_white(Path(sys.argv[1]), sys.argv[2])
        return
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        for figure in json.loads((FOLDER / "fsm-small-lstm.json").read_text())["figures"]:
            draw(figure, Path(folder))
            on_white(Path(folder) / f"{figure['name']}.svg", figure["name"])


if __name__ == "__main__":
    main()
