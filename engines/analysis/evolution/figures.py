"""The figures of an evolution: scores per domain with their intervals, and how the models answer,
over training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.analysis.evolution.seeds import Group, groups, over_seeds
from engines.analysis.evolution.text import Told, behaviour_of
from engines.shared.reporting.figures import BLUE, INK, ORANGE, Figure, prepare, save
from engines.shared.reporting.statistics import Interval

COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""After Okabe and Ito; the first two follow the page's scheme."""
LINES = ("-", "--", ":", "-.")
BANDS = 4
"""With more curves than this the bands would hide each other."""
FEW = 8
"""Checkpoints up to which each is marked by a dot."""


def styles(told: Told) -> list[tuple[Group, str, str]]:
    """Every group with its colour (one per arm) and kind of line (one per group of that arm)."""
    every = groups(told)
    arms = list(dict.fromkeys(group.colour for group in every))
    return [
        (
            group,
            COLOURS[arms.index(group.colour) % len(COLOURS)],
            LINES[
                [other.label for other in every if other.colour == group.colour].index(group.label)
                % len(LINES)
            ],
        )
        for group in every
    ]


def draw(told: Told, folder: Path) -> list[Figure]:
    """All figures, written to ``folder`` as SVG and PNG."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    return [domains(told, folder / "domains"), answers(told, folder / "answers")]


def legend(figure: Any, told: Told) -> None:
    """Names of the trainings, above the panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=kind, marker="o", markersize=3, label=group.label)
        for group, colour, kind in styles(told)
    ]
    columns = max(
        1,
        min(3, len(handles), 100 // (8 + max(len(str(handle.get_label())) for handle in handles))),
    )
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )


def domains(told: Told, path: Path) -> Figure:
    """The macro mean and every domain, one panel each, all trainings in each; the stopping point is
    a star on the macro mean."""
    import matplotlib.pyplot as plt

    names: list[str | None] = [None, *told.evolved.domains()]
    height = (len(names) + 2) // 3
    figure, grid = plt.subplots(
        height,
        3,
        figsize=(7.5, 2.2 * height + 0.4),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for axis in grid.flat[len(names) :]:
        axis.set_visible(False)
    for place, (axis, domain) in enumerate(zip(grid.flat, names, strict=False)):
        axis.tick_params(labelbottom=place + 3 >= len(names))
        axis.set_title(
            domain or "macro mean", fontsize=10, fontweight="bold" if domain is None else "normal"
        )
        for group, colour, kind in styles(told):
            curve(axis, told, group, domain, colour, kind)
        room(axis)
    legend(figure, told)
    figure.supxlabel("optimizer step", fontsize=10, color=INK)
    figure.supylabel(f"{told.evolved.config.metric}, per cent", fontsize=10, color=INK)
    return save(
        figure,
        path,
        f"Scores over training, per domain; {bands(told)}star: stopping point by the "
        "one-standard-error rule.",
        "scores",
    )


def bands(told: Told) -> str:
    """What the bands and the thin lines are."""
    sizes = {len(group.series) for group, _, _ in styles(told)}
    thin = "thick: mean over seeds, thin: each seed; " if max(sizes) > 1 else ""
    if len(styles(told)) > BANDS:
        return thin
    over = (
        "over seeds (Student's t)"
        if min(sizes) > 1
        else "over problems"
        if max(sizes) == 1
        else "over seeds where there are several"
    )
    return f"{thin}bands: 95 % intervals {over}; "


def curve(axis: Any, told: Told, group: Group, domain: str | None, colour: str, kind: str) -> None:
    """One group in one panel: a training with its interval over problems, or the mean over seeds
    with its own and every seed thin."""
    alone = len(group.series) == 1
    for one in group.series:
        places = [
            place for place in range(len(one.points)) if (one.name, place, domain) in told.scores
        ]
        found = {one.steps[place]: told.scores[one.name, place, domain] for place in places}
        if alone:
            thick(axis, found, colour, kind, len(styles(told)) <= BANDS)
        else:
            axis.plot(
                list(found),
                [100 * each.value for each in found.values()],
                color=colour,
                linestyle=kind,
                linewidth=0.7,
                alpha=0.55,
            )
        stop = told.stops[one.name]
        if domain is None and not isinstance(stop, str) and stop.chosen in places:
            value = told.scores[one.name, stop.chosen, None].value
            axis.plot(
                one.steps[stop.chosen],
                100 * value,
                "*",
                color=colour,
                markersize=13 if alone else 9,
                zorder=5,
                markeredgecolor="white",
                markeredgewidth=0.6,
            )
    if not alone:
        thick(axis, over_seeds(told, group, domain), colour, kind, len(styles(told)) <= BANDS)


def thick(axis: Any, found: dict[int, Interval], colour: str, kind: str, band: bool) -> None:
    """A curve with its band."""
    steps = list(found)
    if band:
        axis.fill_between(
            steps,
            [100 * each.low for each in found.values()],
            [100 * each.high for each in found.values()],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    axis.plot(
        steps,
        [100 * each.value for each in found.values()],
        color=colour,
        linestyle=kind,
        linewidth=1.8,
        marker="o" if len(steps) <= FEW else "",
        markersize=3.5,
    )


def room(axis: Any) -> None:
    """As much of the scale as the curves need: the band of two seeds may be many times as high as
    what there is to see."""
    seen = [float(value) for line in axis.lines for value in line.get_ydata()]
    if seen:
        low, high = min(seen), max(seen)
        margin = max(4.0, 0.3 * (high - low))
        axis.set_ylim(max(-2.0, low - margin), min(102.0, high + margin))


def answers(told: Told, path: Path) -> Figure:
    """Score, length, truncation and training reward beside one another: a score may rise because
    answers are cut less often."""
    import matplotlib.pyplot as plt

    rewards = any(one.rewards for one in told.evolved.series)
    titles = [
        "macro mean, per cent",
        "tokens per answer",
        "cut or without an answer, per cent",
        *(["training reward"] if rewards else []),
    ]
    figure, grid = plt.subplots(
        1, len(titles), figsize=(2.5 * len(titles), 2.8), squeeze=False, layout="constrained"
    )
    for axis, title in zip(grid.flat, titles, strict=True):
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
    for group, colour, kind in styles(told):
        curve(grid.flat[0], told, group, None, colour, kind)
        for one in group.series:
            parts = [behaviour_of(point) for point in one.points]
            width = 1.6 if len(group.series) == 1 else 0.8
            shown: dict[str, Any] = {
                "color": colour,
                "linewidth": width,
                "markersize": 3,
                "linestyle": kind,
            }
            grid.flat[1].plot(one.steps, [part[0] for part in parts], marker="o", **shown)
            grid.flat[2].plot(one.steps, [100 * part[1] for part in parts], marker="o", **shown)
            grid.flat[2].plot(
                one.steps, [100 * part[2] for part in parts], marker="x", alpha=0.6, **shown
            )
            if one.rewards:
                grid.flat[3].plot(
                    *zip(*one.rewards, strict=True), color=colour, linestyle=kind, linewidth=1
                )
    room(grid.flat[0])
    grid.flat[2].set_ylim(-1.5, max(5.0, grid.flat[2].get_ylim()[1]))
    legend(figure, told)
    figure.supxlabel("optimizer step", fontsize=10, color=INK)
    return save(
        figure,
        path,
        "How the models answer beside how often they are right; circles in the third "
        "panel: cut at the token limit, "
        "crosses: no answer.",
        "scores",
    )
