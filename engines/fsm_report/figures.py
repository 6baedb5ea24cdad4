"""The figures: learning curves with bands, accuracy against position, probes by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from engines.fsm_report.load import Found, Group
from engines.fsm_report.summary import Summary, probed, summarise, trained
from engines.shared.reporting.figures import BLUE, INK, ORANGE, Figure, prepare, save

COLOURS = (
    BLUE,
    ORANGE,
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#999999",
    "#8c564b",
    "#6a3d9a",
)
LOOKS = tuple(zip(COLOURS, "osD^vP*X<", strict=True))
"""A line's colour and marker."""
DRAWN = (
    ("probe_accuracy", "trained", "-"),
    ("probe_accuracy", "untrained", "--"),
    ("probe_control_accuracy", "trained", ":"),
)
"""Metric, network and line style of the probes' figure."""
COLUMNS = 2
WIDE = 28
"""Characters of a label of which two fit beside each other below a panel."""
Series = dict[float, Summary]
"""Place on the horizontal axis -> value over seeds."""


def draw(found: Found, folder: Path) -> list[Figure]:
    """All figures that the data allow; also written to ``folder``. What has no data is named in
    ``found.missing``."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        by_machines(
            found,
            folder / "curves",
            curve,
            "epoch",
            "validation accuracy",
            "Accuracy on validation machines over training",
        ),
        by_machines(
            found,
            folder / "positions",
            positions,
            "first transition of a block of the query",
            "test accuracy",
            "Accuracy of the best checkpoint along the query, in blocks of transitions",
        ),
        probes(found, folder / "probes"),
    ]
    return [figure for figure in made if figure is not None]


def curve(group: Group) -> Series:
    """Epoch -> validation accuracy over the seeds that came so far."""
    courses = [
        [
            line["metrics"]["validation_accuracy"]
            for line in one.progress
            if "validation_accuracy" in line["metrics"]
        ]
        for one in group.finished
    ]
    epochs = min((len(course) for course in courses), default=0)
    return {
        epoch + 1.0: summary
        for epoch in range(epochs)
        if (summary := summarise([course[epoch] for course in courses]))
    }


def along(group: Group, metric: str, axes: dict[str, str | int | float | bool]) -> Series:
    """Place in the query -> a metric over seeds."""
    places = sorted(
        {
            int(row.axes["position"])
            for one in group.finished
            for row in one.rows
            if row.metric == metric and "position" in row.axes
        }
    )
    return {
        float(place): summary
        for place in places
        if (summary := summarise(group.values(metric, {**axes, "position": place})))
    }


def positions(group: Group) -> Series:
    """Place in the query -> accuracy of the best checkpoint over seeds."""
    return along(group, "test_accuracy", {"checkpoint": "best"})


def line(axis: Any, series: Series, look: tuple[str, str], label: str, style: str = "-") -> None:
    """Means as a line of a colour and a marker; the intervals of a solid one as a band."""
    colour, marker = look
    places, values = list(series), list(series.values())
    axis.plot(
        places,
        [value.mean for value in values],
        style,
        color=colour,
        linewidth=1.8,
        label=label,
        marker=marker if style == "-" else None,
        markersize=4,
        markevery=max(1, len(places) // 12),
    )
    if style == "-" and all(value.interval is not None for value in values):
        axis.fill_between(
            places,
            [v.interval.low for v in values if v.interval],
            [v.interval.high for v in values if v.interval],
            color=colour,
            alpha=0.15,
            linewidth=0,
        )


def finish(axis: Any, across: str, up: str) -> None:
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


def panels(count: int, height: float) -> tuple[Any, list[Any]]:
    """A figure with ``count`` panels, two in a row."""
    import matplotlib.pyplot as plt

    rows = -(-count // COLUMNS)
    figure, grid = plt.subplots(
        rows,
        min(count, COLUMNS),
        figsize=(4.4 * min(count, COLUMNS), height * rows),
        squeeze=False,
        layout="constrained",
    )
    for axis in grid.flat[count:]:
        axis.set_visible(False)
    return figure, list(grid.flat[:count])


def by_machines(
    found: Found,
    path: Path,
    series_of: Callable[[Group], Series],
    across: str,
    up: str,
    caption: str,
) -> Figure | None:
    """One panel per kind of machines, one line per group, the ceiling dashed."""
    groups = [group for group in found.of("fsm") if series_of(group)]
    if not groups:
        found.missing.append(f"figure of {up} by {across}: no training has left what it shows")
        return None
    named = {group.name: panel_name(group, groups) for group in groups}
    kinds = list(dict.fromkeys(named.values()))
    figure, axes = panels(len(kinds), 3.6)
    for axis, kind in zip(axes, kinds, strict=True):
        shown = [group for group in groups if named[group.name] == kind]
        for look, group in zip(cycle(LOOKS), shown, strict=False):
            line(axis, series_of(group), look, short(group, shown))
        top = (
            along(shown[0], "ceiling_accuracy", {})
            if series_of is positions
            else level(shown[0], series_of(shown[0]))
        )
        axis.plot(
            list(top),
            [value.mean for value in top.values()],
            "--",
            color=INK,
            linewidth=1,
            label="exact predictor",
        )
        axis.set_title(kind, fontsize=10)
        finish(axis, across, up)
        legend(axis)
    seeds = max(len(group.finished) for group in groups)
    band = (
        f", mean of up to {seeds} seeds; band: 95 % interval over seeds (Student's t)"
        if seeds > 1
        else ", one seed"
    )
    return save(
        figure, path, f"{caption}{band}; dashed: the exact in-context predictor.", "results"
    )


def panel_name(group: Group, groups: Sequence[Group]) -> str:
    """The kind of machines; with the optimiser's recipe where one panel would hold more lines than
    there are colours."""
    beside = [other for other in groups if other.machines == group.machines]
    return (
        group.machines
        if len(beside) <= len(COLOURS)
        else f"{group.machines}, {group.recipe} settings"
    )


def level(group: Group, series: Series) -> Series:
    """The ceiling as a level line."""
    top = summarise(group.values("ceiling_accuracy", {}))
    return dict.fromkeys((min(series), max(series)), top) if top else {}


def short(group: Group, beside: Sequence[Group]) -> str:
    """A group's name in a legend: without the stage where all are of one stage, without the arm
    where all have one recipe."""
    stage, _, axes = group.name.partition("/")
    same = len({other.name.partition("/")[0] for other in beside}) == 1
    alike = len({other.recipe for other in beside}) == 1 and group.engine == "fsm"
    words = ", ".join(
        part.partition("=")[2]
        for part in axes.split(",")
        if part and not (alike and part.startswith("arm="))
    )
    return (words or stage) if same else f"{stage.removeprefix('probe-')} {words}".strip()


def probes(found: Found, path: Path) -> Figure | None:
    """Probes by layer, one panel per target: trained, the control task dotted, the untrained
    network dashed."""
    groups = found.of("probe")
    if not groups:
        found.missing.append("figure of probes: no probe is done")
        return None
    targets = list(dict.fromkeys(target for group in groups for target in group.config["targets"]))
    figure, axes = panels(len(targets), 3.4)
    for axis, target in zip(axes, targets, strict=True):
        for look, group in zip(cycle(LOOKS), groups, strict=False):
            for metric, network, style in DRAWN:
                series = layers(group, metric, target, network)
                if series:
                    line(axis, series, look, short(group, groups) if style == "-" else "_", style)
        axis.set_title(target.replace("_", " "), fontsize=10)
        finish(axis, "layer (0: embedding)", "probe accuracy")
    for style, label in (("--", "untrained network"), (":", "control task")):
        axes[-1].plot([], [], style, color=INK, linewidth=1.8, label=label)
    handles, labels = axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    seeds = max(len(group.finished) for group in groups)
    return save(
        figure,
        path,
        f"What a linear probe reads from each layer's states, mean over up to {seeds} "
        "seeds with 95 % intervals: "
        "solid the trained network, dashed an untrained one, dotted the control task.",
        "results",
    )


def layers(group: Group, metric: str, target: str, network: str) -> Series:
    """Layer -> a probe's value over seeds."""
    last = trained(group)[0][1]
    return {
        float(layer): summary
        for layer in range(last + 1)
        if (summary := summarise(probed(group, metric, target, layer, network)))
    }
