"""The report's tables, each made once and written out by the text and the page.

In: the report. Out: headings with their tables. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.fsm_report.answers import mean_and_interval
from engines.fsm_report.config import Config
from engines.fsm_report.load import Group
from engines.fsm_report.report import Report
from engines.fsm_report.summary import (
    BEST,
    UNTRAINED,
    counting,
    last_layer,
    looked_up,
    most_frequent,
    probed,
    summarise,
)
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import percent

SCORES = [
    "group",
    "machines",
    "settings",
    "epochs",
    "weights",
    "seeds",
    "test accuracy [95 %]",
    "sd",
    "ceiling",
    "of it",
    "counting",
    "looked up",
    "learned",
]
PROBES = [
    "group",
    "target",
    "layer",
    "seeds",
    "probe [95 %]",
    "sd",
    "control",
    "selectivity",
    "untrained",
    "most frequent",
]
Tables = dict[str, Table]
"""Heading -> table; those without a row are left out."""


def make_tables(report: Report) -> Tables:
    """Render every table of the report."""
    scores = [score_row(group, report.config) for group in report.inputs.of("fsm")]
    probes = []
    for group in report.inputs.of("probe"):
        probes += probe_rows(group)
    tables = {"Scores": Table(SCORES, scores), "Probes at the last layer": Table(PROBES, probes)}
    return {heading: table for heading, table in tables.items() if table.rows}


def mean(values: Sequence[float], digits: int = 1) -> str:
    """A mean in per cent, or a dash."""
    summary = summarise(values)
    return "-" if summary is None else f"{100 * summary.mean:.{digits}f}"


def mean_and_deviation(values: Sequence[float]) -> list[str]:
    """Mean with its interval, and standard deviation over seeds; a dash for what is not known."""
    summary = summarise(values)
    if summary is None:
        return ["-", "-"]
    deviation = "-" if summary.deviation is None else percent(summary.deviation)
    return [mean_and_interval(summary), deviation]


def score_row(group: Group, config: Config) -> list[str]:
    """One group of trainings."""
    accuracies = group.values("test_accuracy", BEST)
    parameters = group.values("parameters", {})
    learned = sum(value >= config.learned for value in accuracies)
    return [
        group.name,
        group.kind_of_machines,
        # A star marks a recipe with other values for some keys.
        group.recipe if group.settings == group.recipe else f"{group.recipe}*",
        str(group.config["epochs"]),
        # A seed does not change the size of the model.
        f"{parameters[0] / 1000:.1f} K" if parameters else "-",
        f"{len(accuracies)}/{group.planned}",
        *mean_and_deviation(accuracies),
        mean(group.values("ceiling_accuracy", {}), digits=2),
        mean(group.values("ceiling_share", BEST)),
        mean(counting(group)),
        mean(looked_up(group)),
        f"{learned}/{len(accuracies)}",
    ]


def probe_rows(group: Group) -> list[list[str]]:
    """One group of probes: each target at the last layer."""
    layer, rows = last_layer(group), []
    for target in group.config["targets"]:
        accuracies = probed(group, "probe_accuracy", target, layer)
        if not accuracies:
            continue
        rows.append(
            [
                group.name,
                target.replace("_", " "),
                str(layer),
                f"{len(accuracies)}/{group.planned}",
                *mean_and_deviation(accuracies),
                mean(probed(group, "probe_control_accuracy", target, layer)),
                mean(probed(group, "probe_selectivity", target, layer)),
                mean(probed(group, "probe_accuracy", target, layer, UNTRAINED)),
                mean(most_frequent(group, target)),
            ]
        )
    return rows
