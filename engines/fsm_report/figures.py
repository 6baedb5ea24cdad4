"""The figures: learning curves with bands, accuracy against position, probes by layer.

In: what the jobs left. Out: three figures, as files in the folder ``figures/`` and as SVG for the
page. Called by ``__main__``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.fsm_report.load import Axes, Group, Inputs, axes_of
from engines.fsm_report.summary import (
    BEST,
    UNTRAINED,
    Summary,
    last_layer,
    probed,
    summarise,
)
from engines.shared.reporting.figures import (
    BAND,
    DOT,
    INK,
    NARROW,
    THICK,
    WIDE,
    Figure,
    prepare,
    save,
    tidy,
)
from engines.shared.reporting.look import LINES, Look, looks_of

PROBE_LINES = (
    ("probe_accuracy", "trained", None),
    ("probe_accuracy", UNTRAINED, "--"),
    ("probe_control_accuracy", "trained", ":"),
)
"""Metric, network and kind of line of the probes' figure; None: that of the group."""
COLUMNS = 2
SHORT = 18
"""Characters of a label of which two fit beside each other below a panel."""
LONG, SIZE = 25, 9
"""Characters of a label that fit below a panel, and in points how large they are then; longer ones
are smaller, since a label wider than its panel would push the panels together."""
LEFT = -0.28
"""Where a legend begins, in widths of its panel: below the numbers of the axis."""
MOST_LINES = 8
"""Of a panel; of more groups each recipe has its own."""
MARKERS = "os^"
"""Of groups of one panel that look alike, such as a training and its curriculum."""
FEW = 12
"""Points up to which each is marked."""
PANEL = 1.9
"""Inches of height of a panel."""
BELOW = 0.45
"""Inches below a panel for the name of its axis."""
LINE_HEIGHT = 0.18
"""Of a legend, in inches."""
# "3s3a (walks of 12, query of 12), tuned settings": the lengths have a line of their own.
TITLE = re.compile(r"(.*?) (\(.*?\))(.*)")
NO_LABEL = "_"
"""A label that begins so is in no legend of matplotlib's."""
Series = dict[float, Summary]
"""Place on the horizontal axis -> value over seeds."""


@dataclass(frozen=True)
class Plot:
    """A figure with one panel per kind of machines."""

    name: str
    series_of: Callable[[Group], Series]
    ceiling_of: Callable[[Group], Series | float | None]
    """The exact predictor: at each place, or one number everywhere."""
    across: str
    up: str
    caption: str


def draw(inputs: Inputs, folder: Path) -> list[Figure]:
    """All figures that the data allow; also written to ``folder``. What has no data is named in
    ``inputs.missing``."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    figures = [*(by_machines(inputs, folder, plot) for plot in PLOTS), probes(inputs, folder)]
    return [figure for figure in figures if figure is not None]


def curve(group: Group) -> Series:
    """Epoch -> validation accuracy over the seeds, as far as the shortest of them came."""
    seeds = []
    for job in group.finished:
        metrics = [line["metrics"] for line in job.progress]
        seeds.append([m["validation_accuracy"] for m in metrics if "validation_accuracy" in m])
    series = {}
    # zip ends with the shortest: beyond it the mean would be over fewer seeds.
    for epoch, values in enumerate(zip(*seeds, strict=False), start=1):
        summary = summarise(values)
        if summary is not None:
            series[float(epoch)] = summary
    return series


def along_query(group: Group, metric: str, axes: Axes) -> Series:
    """Place in the query -> a metric over seeds."""
    places: set[int] = set()
    for job in group.finished:
        of_metric = [row.axes for row in job.rows if row.metric == metric]
        places.update(int(found["position"]) for found in of_metric if "position" in found)
    series = {}
    for place in sorted(places):
        summary = summarise(group.values(metric, {**axes, "position": place}))
        if summary is not None:
            series[float(place)] = summary
    return series


def positions(group: Group) -> Series:
    """Place in the query -> accuracy of the best checkpoint over seeds."""
    return along_query(group, "test_accuracy", BEST)


def ceiling_by_position(group: Group) -> Series:
    """Place in the query -> the ceiling."""
    return along_query(group, "ceiling_accuracy", {})


def level_ceiling(group: Group) -> float | None:
    """The ceiling, the same at every epoch."""
    top = summarise(group.values("ceiling_accuracy", {}))
    return None if top is None else top.mean


PLOTS = (
    Plot(
        "curves",
        curve,
        level_ceiling,
        across="epoch",
        up="validation accuracy",
        caption="Accuracy on validation machines over training",
    ),
    Plot(
        "positions",
        positions,
        ceiling_by_position,
        across="first transition of a block of the query",
        up="test accuracy",
        caption="Accuracy of the best checkpoint along the query, in blocks of transitions",
    ),
)


def by_machines(inputs: Inputs, folder: Path, plot: Plot) -> Figure | None:
    """One panel per kind of machines, one line per group, the ceiling dashed."""
    groups = [group for group in inputs.of("fsm") if plot.series_of(group)]
    if not groups:
        inputs.missing.append(
            f"figure of {plot.up} by {plot.across}: no training has left what it shows"
        )
        return None
    panels: dict[str, list[Group]] = {}
    for group in groups:
        panels.setdefault(panel_name(group, groups), []).append(group)
    looks = looks_by_group(inputs)
    figure, axes, keys = panels_and_keys(list(panels.values()))
    for axis, key, (name, shown) in zip(axes, keys, panels.items(), strict=True):
        alike: list[Look] = []
        for group in shown:
            look = looks[group.name]
            marker = MARKERS[alike.count(look) % len(MARKERS)]
            alike.append(look)
            draw_line(axis, plot.series_of(group), look, short_name(group, shown), marker=marker)
        # All groups of a panel have the same kind of machines, and so the same ceiling.
        draw_ceiling(axis, plot.ceiling_of(shown[0]))
        axis.set_title(TITLE.sub(r"\1\3\n\2", name))
        label_axes(axis, plot.across, plot.up)
        legend(axis, key)
    seeds = max(len(group.finished) for group in groups)
    over = ", one seed"
    if seeds > 1:
        over = f", mean of up to {seeds} seeds; band: 95 % interval over seeds (Student's t)"
    caption = f"{plot.caption}{over}; thin line: the exact in-context predictor."
    return save(figure, folder / plot.name, caption, "results")


def looks_by_group(inputs: Inputs) -> dict[str, Look]:
    """A look for each group, by its model and its recipe: the same in all panels and figures."""
    groups = [group for group in inputs.groups.values() if group.finished]
    looks = looks_of([axes_of(group.name) or {"model": group.name} for group in groups])
    return {group.name: look for group, look in zip(groups, looks, strict=True)}


def draw_ceiling(axis: Any, top: Series | float | None) -> None:
    """The exact predictor as a thin line: over the whole width where it is one number."""
    style: dict[str, Any] = {"color": INK, "linewidth": 0.9, "label": "exact predictor"}
    if isinstance(top, float):
        axis.axhline(top, **style)
    elif top:
        axis.plot(list(top), [summary.mean for summary in top.values()], **style)


def panel_name(group: Group, groups: Sequence[Group]) -> str:
    """The kind of machines; with the optimiser's recipe where one panel would hold more lines than
    can be told apart."""
    beside = [other for other in groups if other.machines == group.machines]
    if len(beside) <= MOST_LINES:
        return group.machines
    return f"{group.machines}, {group.recipe} settings"


def short_name(group: Group, beside: Sequence[Group]) -> str:
    """A group's name in a legend: without the stage where all are of one stage, without the arm
    where all have one recipe."""
    # "small-5s5a/model=lstm-small,arm=tuned": the stage, then the axes.
    stage, _, axes = group.name.partition("/")
    one_stage = len({other.name.partition("/")[0] for other in beside}) == 1
    one_recipe = len({other.recipe for other in beside}) == 1 and group.engine == "fsm"
    values = []
    for part in axes.split(","):
        axis, _, value = part.partition("=")
        if part and not (one_recipe and axis == "arm"):
            values.append(value)
    words = ", ".join(values)
    if one_stage:
        return words or stage
    return f"{stage.removeprefix('probe-')} {words}".strip()


def subplots(count: int) -> tuple[Any, list[Any]]:
    """A figure with so many panels, two in a row."""
    import matplotlib.pyplot as plt

    # Rounded up.
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    height = PANEL + BELOW + LINE_HEIGHT
    width = WIDE if columns > 1 else NARROW
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height * rows), squeeze=False, layout="constrained"
    )
    for axis in grid.flat[count:]:
        axis.set_visible(False)
    return figure, list(grid.flat[:count])


def panels_and_keys(panels: Sequence[Sequence[Any]]) -> tuple[Any, list[Any], list[Any]]:
    """A figure with a panel for each of these, two in a row, and below each room of its own for
    what its lines mean: as many lines as the row needs."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import Rectangle

    columns = min(len(panels), COLUMNS)
    heights: list[float] = []
    for first in range(0, len(panels), columns):
        # One more is the exact predictor, another one the distance to the next row.
        entries = max(len(lines) for lines in panels[first : first + columns]) + 2
        heights += [PANEL + BELOW, LINE_HEIGHT * entries]
    width = WIDE if columns > 1 else NARROW
    figure = plt.figure(figsize=(width, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    places = [(2 * (place // columns), place % columns) for place in range(len(panels))]
    axes = [figure.add_subplot(grid[row, column]) for row, column in places]
    keys = [figure.add_subplot(grid[row + 1, column]) for row, column in places]
    for key in keys:
        key.set_axis_off()
    # Legends are no part of the layout, in which a wide one would make its panel narrow; so that
    # they are not cut off either, the figure is as large as this.
    whole = Rectangle((0, 0), 1, 1, transform=figure.transFigure, alpha=0)
    figure.add_artist(whole)
    return figure, axes, keys


def draw_line(
    axis: Any,
    series: Series,
    look: Look,
    label: str,
    line: str | None = None,
    marker: str = MARKERS[0],
) -> None:
    """Means as a line, their intervals as a band; of another kind of ``line`` without a band. Of
    many points none is marked, unless another marker tells the line from one that looks like it."""
    places, summaries = list(series), list(series.values())
    is_marked = len(places) <= FEW or marker != MARKERS[0]
    axis.plot(
        places,
        [summary.mean for summary in summaries],
        line or LINES[look.line],
        color=look.light,
        linewidth=THICK if line is None else 1.2,
        label=label,
        marker=marker if line is None and is_marked else None,
        markevery=max(1, len(places) // FEW),
        markersize=DOT,
    )
    intervals = [summary.interval for summary in summaries if summary.interval is not None]
    # One seed somewhere means no interval there: a band with gaps is not drawn.
    if line is None and len(intervals) == len(summaries):
        axis.fill_between(
            places,
            [interval.low for interval in intervals],
            [interval.high for interval in intervals],
            color=look.light,
            alpha=BAND,
            linewidth=0,
        )


def label_axes(axis: Any, across: str, up: str) -> None:
    """Per cent by what is drawn, whole numbers across."""
    from matplotlib.ticker import PercentFormatter

    tidy(axis)
    axis.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    axis.set_xlabel(across)
    axis.set_ylabel(up)


def legend(axis: Any, key: Any) -> None:
    """What the lines of a panel mean, in the room below it; one column where two would reach into
    the next panel."""
    handles, labels = axis.get_legend_handles_labels()
    longest = max(map(len, labels))
    made = key.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(LEFT, 1),
        borderaxespad=0,
        fontsize=SIZE * min(1.0, LONG / longest),
        ncols=2 if longest <= SHORT else 1,
        handlelength=2.4,
        labelspacing=0.2,
    )
    made.set_in_layout(False)


def probes(inputs: Inputs, folder: Path) -> Figure | None:
    """Probes by layer, one panel per target: trained, the control task dotted, the untrained
    network dashed."""
    groups = inputs.of("probe")
    if not groups:
        inputs.missing.append("figure of probes: no probe is done")
        return None
    targets: dict[str, None] = {}
    for group in groups:
        targets |= dict.fromkeys(group.config["targets"])
    looks = looks_by_group(inputs)
    figure, axes = subplots(len(targets))
    for axis, target in zip(axes, targets, strict=True):
        for group in groups:
            draw_probe(axis, group, target, looks[group.name], short_name(group, groups))
        axis.set_title(target.replace("_", " "))
        label_axes(axis, "layer (0: embedding)", "probe accuracy")
    # Lines without points: they are there for the legend.
    for line, label in (("--", "untrained network"), (":", "control task")):
        axes[-1].plot([], [], line, color=INK, linewidth=1.2, label=label)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=2, loc="outside lower left")
    seeds = max(len(group.finished) for group in groups)
    caption = (
        f"What a linear probe reads from each layer's states, mean over up to {seeds} seeds with "
        "95 % intervals: thick with points the trained network, thin and dashed an untrained one, "
        "thin and dotted the control task."
    )
    return save(figure, folder / "probes", caption, "results")


def draw_probe(axis: Any, group: Group, target: str, look: Look, label: str) -> None:
    """The lines of one group in the panel of one target."""
    for metric, network, line in PROBE_LINES:
        series = by_layer(group, metric, target, network)
        if series:
            draw_line(axis, series, look, NO_LABEL if line else label, line)


def by_layer(group: Group, metric: str, target: str, network: str) -> Series:
    """Layer -> a probe's value over seeds."""
    series = {}
    for layer in range(last_layer(group) + 1):
        summary = summarise(probed(group, metric, target, layer, network))
        if summary is not None:
            series[float(layer)] = summary
    return series
