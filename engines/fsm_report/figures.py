"""The figures: learning curves with bands, accuracy against position, probes by layer.

In: what the jobs left. Out: three figures, as files in the folder ``figures/`` and as SVG for the
page. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from engines.fsm_report.load import Axes, Group, Inputs
from engines.fsm_report.summary import (
    BEST,
    UNTRAINED,
    Summary,
    last_layer,
    probed,
    summarise,
)
from engines.shared.reporting.figures import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    Figure,
    prepare,
    save,
)

COLOURS = (
    BLUE,
    ORANGE,
    GREEN,
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#999999",
    "#8c564b",
    "#6a3d9a",
)
STYLES = tuple(zip(COLOURS, "osD^vP*X<", strict=True))
"""A line's colour and marker."""
PROBE_LINES = (
    ("probe_accuracy", "trained", "-"),
    ("probe_accuracy", UNTRAINED, "--"),
    ("probe_control_accuracy", "trained", ":"),
)
"""Metric, network and kind of line of the probes' figure."""
COLUMNS = 2
WIDE = 28
"""Characters of a label of which two fit beside each other below a panel."""
MARKERS = 12
"""Markers on a line, at most."""
NO_LABEL = "_"
"""A label that begins so is in no legend of matplotlib's."""
Series = dict[float, Summary]
"""Place on the horizontal axis -> value over seeds."""


@dataclass(frozen=True)
class Plot:
    """A figure with one panel per kind of machines."""

    name: str
    series_of: Callable[[Group], Series]
    ceiling_of: Callable[[Group], Series]
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


def level_ceiling(group: Group) -> Series:
    """The ceiling as a level line below the whole curve."""
    top, epochs = summarise(group.values("ceiling_accuracy", {})), curve(group)
    return {} if top is None else {min(epochs): top, max(epochs): top}


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
    figure, axes = subplots(len(panels), 3.6)
    for axis, (name, shown) in zip(axes, panels.items(), strict=True):
        for style, group in zip(cycle(STYLES), shown, strict=False):
            draw_line(axis, plot.series_of(group), style, short_name(group, shown))
        # All groups of a panel have the same kind of machines, and so the same ceiling.
        top = plot.ceiling_of(shown[0])
        axis.plot(
            list(top),
            [summary.mean for summary in top.values()],
            "--",
            color=INK,
            linewidth=1,
            label="exact predictor",
        )
        axis.set_title(name, fontsize=10)
        label_axes(axis, plot.across, plot.up)
        legend(axis)
    seeds = max(len(group.finished) for group in groups)
    over = ", one seed"
    if seeds > 1:
        over = f", mean of up to {seeds} seeds; band: 95 % interval over seeds (Student's t)"
    caption = f"{plot.caption}{over}; dashed: the exact in-context predictor."
    return save(figure, folder / plot.name, caption, "results")


def panel_name(group: Group, groups: Sequence[Group]) -> str:
    """The kind of machines; with the optimiser's recipe where one panel would hold more lines than
    there are colours."""
    beside = [other for other in groups if other.machines == group.machines]
    if len(beside) <= len(COLOURS):
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


def subplots(count: int, height: float) -> tuple[Any, list[Any]]:
    """A figure with ``count`` panels, two in a row."""
    import matplotlib.pyplot as plt

    # Rounded up.
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(4.4 * columns, height * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in grid.flat[count:]:
        axis.set_visible(False)
    return figure, list(grid.flat[:count])


def draw_line(
    axis: Any, series: Series, style: tuple[str, str], label: str, line: str = "-"
) -> None:
    """Means as a line of a colour and a marker; the intervals of a solid one as a band."""
    colour, marker = style
    places, summaries = list(series), list(series.values())
    axis.plot(
        places,
        [summary.mean for summary in summaries],
        line,
        color=colour,
        linewidth=1.8,
        label=label,
        marker=marker if line == "-" else None,
        markersize=4,
        markevery=max(1, len(places) // MARKERS),
    )
    intervals = [summary.interval for summary in summaries if summary.interval is not None]
    # One seed somewhere means no interval there: a band with gaps is not drawn.
    if line == "-" and len(intervals) == len(summaries):
        axis.fill_between(
            places,
            [interval.low for interval in intervals],
            [interval.high for interval in intervals],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )


def label_axes(axis: Any, across: str, up: str) -> None:
    """Per cent from 0 to 100, whole numbers across."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axis.set_ylim(0, 1.03)
    axis.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel(across)
    axis.set_ylabel(up)


def legend(axis: Any) -> None:
    """Below, where it hides nothing; one column where two would reach into the next panel."""
    longest = max(len(label) for label in axis.get_legend_handles_labels()[1])
    axis.legend(
        fontsize=8,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        ncols=2 if longest <= WIDE else 1,
    )


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
    figure, axes = subplots(len(targets), 3.4)
    for axis, target in zip(axes, targets, strict=True):
        for style, group in zip(cycle(STYLES), groups, strict=False):
            draw_probe(axis, group, target, style, short_name(group, groups))
        axis.set_title(target.replace("_", " "), fontsize=10)
        label_axes(axis, "layer (0: embedding)", "probe accuracy")
    # Lines without points: they are there for the legend.
    for line, label in (("--", "untrained network"), (":", "control task")):
        axes[-1].plot([], [], line, color=INK, linewidth=1.8, label=label)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    seeds = max(len(group.finished) for group in groups)
    caption = (
        f"What a linear probe reads from each layer's states, mean over up to {seeds} seeds with "
        "95 % intervals: solid the trained network, dashed an untrained one, dotted the control "
        "task."
    )
    return save(figure, folder / "probes", caption, "results")


def draw_probe(axis: Any, group: Group, target: str, style: tuple[str, str], label: str) -> None:
    """The lines of one group in the panel of one target."""
    for metric, network, line in PROBE_LINES:
        series = by_layer(group, metric, target, network)
        if series:
            draw_line(axis, series, style, label if line == "-" else NO_LABEL, line)


def by_layer(group: Group, metric: str, target: str, network: str) -> Series:
    """Layer -> a probe's value over seeds."""
    series = {}
    for layer in range(last_layer(group) + 1):
        summary = summarise(probed(group, metric, target, layer, network))
        if summary is not None:
            series[float(layer)] = summary
    return series
