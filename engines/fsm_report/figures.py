"""The figures: learning curves with bands, accuracy against position, probes by layer.

In: what the jobs left. Out: three figures, as files in the folder ``figures/`` and as SVG for the
page. Called by ``__main__``.
"""

from __future__ import annotations

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
from engines.shared.reporting.look import LINES, SERIES, Look, looks_of

PROBE_LINES = (
    ("probe_accuracy", "trained", None),
    ("probe_accuracy", UNTRAINED, "--"),
    ("probe_control_accuracy", "trained", ":"),
)
"""Metric, network and kind of line of the probes' figure; None: that of the group."""
COLUMNS = 2
SHORT = 18
"""Characters of a label of which two fit beside each other below a panel."""
FEW = 12
"""Points up to which each is marked."""
BELOW = 0.45
"""Inches below a panel for the name of its axis."""
LINE_HEIGHT = 0.18
"""Of a legend, in inches."""
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
    figure, axes = subplots(list(panels.values()))
    for axis, (name, shown) in zip(axes, panels.items(), strict=True):
        for group in shown:
            draw_line(axis, plot.series_of(group), looks[group.name], short_name(group, shown))
        # All groups of a panel have the same kind of machines, and so the same ceiling.
        draw_ceiling(axis, plot.ceiling_of(shown[0]))
        axis.set_title(name)
        label_axes(axis, plot.across, plot.up)
        legend(axis)
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
    there are colours."""
    beside = [other for other in groups if other.machines == group.machines]
    if len(beside) <= len(SERIES) * 2:
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


def subplots(panels: Sequence[Sequence[Group]]) -> tuple[Any, list[Any]]:
    """A figure with a panel for each of these, two in a row; below each is room for its legend."""
    import matplotlib.pyplot as plt

    count = len(panels)
    # Rounded up.
    rows, columns = -(-count // COLUMNS), min(count, COLUMNS)
    entries = max(len(groups) for groups in panels) + 1
    height = 1.9 + BELOW + LINE_HEIGHT * entries
    width = WIDE if columns > 1 else NARROW
    figure, grid = plt.subplots(
        rows, columns, figsize=(width, height * rows), squeeze=False, layout="constrained"
    )
    for axis in grid.flat[count:]:
        axis.set_visible(False)
    return figure, list(grid.flat[:count])


def draw_line(axis: Any, series: Series, look: Look, label: str, line: str | None = None) -> None:
    """Means as a line, their intervals as a band; of another kind of ``line`` without a band."""
    places, summaries = list(series), list(series.values())
    axis.plot(
        places,
        [summary.mean for summary in summaries],
        line or LINES[look.line],
        color=look.light,
        linewidth=THICK if line is None else 1.2,
        label=label,
        marker="o" if line is None and len(places) <= FEW else None,
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


def legend(axis: Any) -> None:
    """Below, where it hides nothing; one column where two would reach into the next panel."""
    longest = max(len(label) for label in axis.get_legend_handles_labels()[1])
    axis.legend(
        loc="upper left",
        bbox_to_anchor=(-0.05, -0.22),
        ncols=2 if longest <= SHORT else 1,
        handlelength=2.4,
        labelspacing=0.2,
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
    looks = looks_by_group(inputs)
    figure, axes = subplots([[] for _ in targets])
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
