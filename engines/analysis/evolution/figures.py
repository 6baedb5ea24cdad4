"""The figures of an evolution: scores per domain with their intervals, and how the models answer,
over training.

In: the report. Out: two figures, as files in the folder ``figures/`` and as SVG for the page.
Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.analysis.evolution.load import Series
from engines.analysis.evolution.report import Report
from engines.analysis.evolution.seeds import Group, over_seeds
from engines.analysis.tables import mean_behaviour
from engines.shared.reporting.figures import (
    BAND,
    DOT,
    INK,
    PAIR,
    PAPER,
    THICK,
    THIN,
    Figure,
    prepare,
    save,
    tidy,
)
from engines.shared.reporting.look import LINES, looks_of
from engines.shared.reporting.statistics import Interval

BANDS = 4
"""With more curves than this the bands would hide each other."""
FEW = 8
"""Checkpoints up to which each is marked by a dot."""
COLUMNS = 2
"""Panels of domains beside each other, and at most as many names in a row of the legend."""
BESIDE = 2
"""Panels of how the models answer."""
LEAST_LOST = 5.0
"""Per cent that the panel of lost answers reaches at least."""
LEGEND_WIDTH, HANDLE_WIDTH = 64, 8
"""Characters that a row of the legend holds, and that a sample of a line takes."""


@dataclass(frozen=True)
class Curve:
    """A group of trainings as one curve, in its colour and kind of line."""

    group: Group
    colour: str
    line: str

    @property
    def alone(self) -> bool:
        """Whether it is one training, not a mean over seeds."""
        return len(self.group.series) == 1


def curves_of(report: Report) -> list[Curve]:
    """Every group of trainings, in the looks that the page of the run gives them."""
    axes = [group.series[0].points[0].scored.axes for group in report.groups]
    looks = looks_of(axes, prefer=report.config.axis)
    return [
        Curve(group, look.light, LINES[look.line])
        for group, look in zip(report.groups, looks, strict=True)
    ]


def draw(report: Report, folder: Path) -> list[Figure]:
    """All figures, written to ``folder`` as SVG and PNG."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    return [domains(report, folder / "domains"), answers(report, folder / "answers")]


def legend(figure: Any, curves: list[Curve]) -> None:
    """Names of the trainings, above the panels."""
    from matplotlib.lines import Line2D

    # The legend is made by hand: matplotlib would list the lines of every panel.
    handles = []
    for curve in curves:
        handles.append(
            Line2D(
                [],
                [],
                color=curve.colour,
                linestyle=curve.line,
                linewidth=THICK,
                label=curve.group.label,
            )
        )
    longest = max(len(curve.group.label) for curve in curves)
    fitting = LEGEND_WIDTH // (HANDLE_WIDTH + longest)
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=max(1, min(COLUMNS, len(handles), fitting)),
        labelcolor=INK,
    )


def domains(report: Report, path: Path) -> Figure:
    """The macro mean and every domain, one panel each, all trainings in each; the stopping point is
    a star on the macro mean."""
    import matplotlib.pyplot as plt

    # None stands for the macro mean.
    names: list[str | None] = [None, *report.inputs.domains()]
    height = (len(names) + COLUMNS - 1) // COLUMNS
    figure, grid = plt.subplots(
        height,
        COLUMNS,
        figsize=(PAIR, 1.6 * height + 0.4),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for axis in grid.flat[len(names) :]:
        axis.set_visible(False)
    curves = curves_of(report)
    for place, (axis, domain) in enumerate(zip(grid.flat, names, strict=False)):
        # Steps are written below the lowest panel of each column.
        axis.tick_params(labelbottom=place + COLUMNS >= len(names))
        weight = "bold" if domain is None else "normal"
        axis.set_title(domain or "macro mean", fontweight=weight)
        for curve in curves:
            draw_curve(axis, report, curve, domain, band=len(curves) <= BANDS)
        tidy(axis)
    legend(figure, curves)
    figure.supxlabel("optimizer step", fontsize=9, color=INK)
    figure.supylabel(f"{report.config.metric}, per cent", fontsize=9, color=INK)
    caption = (
        f"Scores over training, per domain; {what_is_drawn(curves)}star: stopping point by the "
        "one-standard-error rule."
    )
    return save(figure, path, caption, "scores")


def what_is_drawn(curves: list[Curve]) -> str:
    """What the bands and the thin lines are, in words."""
    several = [not curve.alone for curve in curves]
    thin = "thick: mean over seeds, thin: each seed; " if any(several) else ""
    if len(curves) > BANDS:
        return thin
    over = "over seeds where there are several"
    if all(several):
        over = "over seeds (Student's t)"
    elif not any(several):
        over = "over problems"
    return f"{thin}bands: 95 % intervals {over}; "


def draw_curve(axis: Any, report: Report, curve: Curve, domain: str | None, band: bool) -> None:
    """One curve in one panel: a training with its interval over problems, or the mean over seeds
    with its own and every seed thin."""
    for training in curve.group.series:
        scores = {}
        for place, step in enumerate(training.steps):
            if (training.name, place, domain) in report.scores:
                scores[step] = report.scores[training.name, place, domain]
        if curve.alone:
            draw_thick(axis, scores, curve, band)
        else:
            axis.plot(
                list(scores),
                [100 * score.value for score in scores.values()],
                color=curve.colour,
                linestyle=curve.line,
                linewidth=THIN,
                alpha=0.55,
            )
        if domain is None:
            draw_star(axis, report, curve, training)
    if not curve.alone:
        draw_thick(axis, over_seeds(report.scores, curve.group, domain), curve, band)


def draw_star(axis: Any, report: Report, curve: Curve, training: Series) -> None:
    """The stopping point of a training, on its macro mean."""
    stop = report.stops[training.name]
    # A training without a stopping point, or a checkpoint without a macro mean, has no star.
    if isinstance(stop, str) or (training.name, stop.chosen, None) not in report.scores:
        return
    axis.plot(
        training.steps[stop.chosen],
        100 * report.scores[training.name, stop.chosen, None].value,
        "*",
        color=curve.colour,
        markersize=12 if curve.alone else 9,
        zorder=5,
        markeredgecolor=PAPER,
        markeredgewidth=0.6,
    )


def draw_thick(axis: Any, scores: dict[int, Interval], curve: Curve, band: bool) -> None:
    """A curve with its band."""
    steps = list(scores)
    if band:
        # Student's interval of two seeds may reach beyond what a score can be.
        axis.fill_between(
            steps,
            [100 * max(0.0, score.low) for score in scores.values()],
            [100 * min(1.0, score.high) for score in scores.values()],
            color=curve.colour,
            alpha=BAND,
            linewidth=0,
        )
    axis.plot(
        steps,
        [100 * score.value for score in scores.values()],
        color=curve.colour,
        linestyle=curve.line,
        linewidth=THICK,
        marker="o" if len(steps) <= FEW else "",
        markersize=DOT,
    )


def answers(report: Report, path: Path) -> Figure:
    """Score, length, truncation and training reward beside one another: a score may rise because
    answers are cut less often."""
    titles = ["macro mean, per cent", "tokens per answer", "cut or no answer, per cent"]
    if any(training.rewards for training in report.series):
        titles.append("training reward")
    figure, panels = titled_panels(titles)
    curves = curves_of(report)
    for curve in curves:
        draw_curve(panels[0], report, curve, None, band=len(curves) <= BANDS)
        for training in curve.group.series:
            draw_behaviour(panels[1], panels[2], curve, training)
            if training.rewards:
                steps, rewards = zip(*training.rewards, strict=True)
                panels[3].plot(
                    steps, rewards, color=curve.colour, linestyle=curve.line, linewidth=THIN
                )
    for axis in panels:
        tidy(axis)
    # Some per cent at least, so that a single answer does not fill the panel.
    panels[2].set_ylim(0.0, max(LEAST_LOST, panels[2].get_ylim()[1]))
    legend(figure, curves)
    figure.supxlabel("optimizer step", fontsize=9, color=INK)
    caption = (
        "How the models answer beside how often they are right; circles among the lost: cut at "
        "the token limit, crosses: no answer."
    )
    return save(figure, path, caption, "scores")


def titled_panels(titles: Sequence[str]) -> tuple[Any, list[Any]]:
    """A figure with a panel for each title, with steps below the lowest of each column."""
    import matplotlib.pyplot as plt

    rows = -(-len(titles) // BESIDE)
    figure, grid = plt.subplots(
        rows,
        BESIDE,
        figsize=(PAIR, 1.6 * rows + 0.4),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    panels = list(grid.flat[: len(titles)])
    for axis in grid.flat[len(titles) :]:
        axis.set_visible(False)
    for place, (axis, title) in enumerate(zip(panels, titles, strict=True)):
        axis.set_title(title)
        axis.tick_params(labelbottom=place + BESIDE >= len(titles))
    return figure, panels


def draw_behaviour(lengths: Any, lost: Any, curve: Curve, training: Series) -> None:
    """How the checkpoints of one training answer: their length in one panel, what was cut or
    without an answer in the other."""
    behaviour = [mean_behaviour(point.behaviour) for point in training.points]
    shown: dict[str, Any] = {
        "color": curve.colour,
        "linewidth": THICK if curve.alone else THIN,
        "markersize": DOT,
        "linestyle": curve.line,
    }
    lengths.plot(training.steps, [tokens for tokens, _, _ in behaviour], marker="o", **shown)
    # Most lie at 0, and are drawn whole there.
    shown["clip_on"] = False
    lost.plot(training.steps, [100 * cut for _, cut, _ in behaviour], marker="o", **shown)
    no_answer = [100 * silent for _, _, silent in behaviour]
    lost.plot(training.steps, no_answer, marker="x", alpha=0.6, **shown)
