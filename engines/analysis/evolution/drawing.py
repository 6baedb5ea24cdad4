"""The figures of an evolution: scores per domain with their intervals, and how the models answer, over training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.evolution.reading import Series
from engines.analysis.evolution.words import Told, behaviour_of
from engines.drawing import BLUE, INK, ORANGE, Figure, prepare, save

COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""After Okabe and Ito; the first two follow the page's scheme."""
LINES = ("-", "--", ":", "-.")
BANDS = 4
"""With more trainings than this the bands would hide each other."""


def styles(told: Told) -> dict[str, tuple[str, str]]:
    """training -> colour (one per arm) and kind of line (one per training of that arm)."""
    arms = list(dict.fromkeys(one.colour for one in told.evolved.series))
    found: dict[str, tuple[str, str]] = {}
    for one in told.evolved.series:
        same = [other.name for other in told.evolved.series if other.colour == one.colour]
        found[one.name] = COLOURS[arms.index(one.colour) % len(COLOURS)], LINES[same.index(one.name) % len(LINES)]
    return found


def draw(told: Told, folder: Path) -> list[Figure]:
    """All figures, written to ``folder`` as SVG and PNG."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    return [domains(told, folder / "domains"), answers(told, folder / "answers")]


def legend(figure: Any, told: Told) -> None:
    """Names of the trainings, above the panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linestyle=kind, marker="o", markersize=3, label=told.series(name).label)
               for name, (colour, kind) in styles(told).items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(3, len(handles)), frameon=False, fontsize=9, labelcolor=INK)


def domains(told: Told, path: Path) -> Figure:
    """The macro mean and every domain, one panel each, all trainings in each; the stopping point is a star on the macro mean."""
    import matplotlib.pyplot as plt

    names: list[str | None] = [None, *told.evolved.domains()]
    height = (len(names) + 2) // 3
    figure, grid = plt.subplots(height, 3, figsize=(7.5, 2.2 * height + 0.4), squeeze=False, sharex=True, layout="constrained")
    for axis in grid.flat[len(names):]:
        axis.set_visible(False)
    for place, (axis, domain) in enumerate(zip(grid.flat, names, strict=False)):
        axis.tick_params(labelbottom=place + 3 >= len(names))
        axis.set_title(domain or "macro mean", fontsize=10, fontweight="bold" if domain is None else "normal")
        for one in told.evolved.series:
            curve(axis, told, one, domain)
    legend(figure, told)
    figure.supxlabel("optimizer step", fontsize=10, color=INK)
    figure.supylabel(f"{told.evolved.config.metric}, per cent", fontsize=10, color=INK)
    bands = "bands: 95 % intervals over problems; " if len(told.evolved.series) <= BANDS else ""
    return save(figure, path, f"Scores over training, per domain; {bands}star: stopping point by the one-standard-error rule.", "scores")


def curve(axis: Any, told: Told, one: Series, domain: str | None) -> None:
    """One training in one panel."""
    colour, kind = styles(told)[one.name]
    places = [place for place in range(len(one.points)) if (one.name, place, domain) in told.scores]
    found = [told.scores[one.name, place, domain] for place in places]
    steps = [one.steps[place] for place in places]
    if len(told.evolved.series) <= BANDS:
        axis.fill_between(steps, [100 * f.low for f in found], [100 * f.high for f in found], color=colour, alpha=0.15, linewidth=0)
    axis.plot(steps, [100 * f.value for f in found], color=colour, linestyle=kind, linewidth=1.6, marker="o", markersize=3)
    stop = told.stops[one.name]
    if domain is None and not isinstance(stop, str) and stop.chosen in places:
        value = told.scores[one.name, stop.chosen, None].value
        axis.plot(one.steps[stop.chosen], 100 * value, "*", color=colour, markersize=13, zorder=5)


def answers(told: Told, path: Path) -> Figure:
    """Score, length, truncation and training reward beside one another: a score may rise because answers are cut less often."""
    import matplotlib.pyplot as plt

    rewards = any(one.rewards for one in told.evolved.series)
    titles = ["macro mean, per cent", "tokens per answer", "cut or without an answer, per cent", *(["training reward"] if rewards else [])]
    figure, grid = plt.subplots(1, len(titles), figsize=(2.5 * len(titles), 2.8), squeeze=False, layout="constrained")
    for axis, title in zip(grid.flat, titles, strict=True):
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
    for one in told.evolved.series:
        colour, kind = styles(told)[one.name]
        curve(grid.flat[0], told, one, None)
        parts = [behaviour_of(point) for point in one.points]
        shown = {"color": colour, "linewidth": 1.6, "markersize": 3}
        grid.flat[1].plot(one.steps, [part[0] for part in parts], linestyle=kind, marker="o", **shown)
        grid.flat[2].plot(one.steps, [100 * part[1] for part in parts], linestyle=kind, marker="o", **shown)
        grid.flat[2].plot(one.steps, [100 * part[2] for part in parts], linestyle=kind, marker="x", alpha=0.6, **shown)
        if one.rewards:
            grid.flat[3].plot(*zip(*one.rewards, strict=True), color=colour, linestyle=kind, linewidth=1)
    legend(figure, told)
    figure.supxlabel("optimizer step", fontsize=10, color=INK)
    return save(figure, path, "How the models answer beside how often they are right; circles in the third panel: cut at the token limit, "
                "crosses: no answer.", "scores")
