"""The report as words: answers, tables, notes; plain text, HTML and rows of results."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from engines.contract.results import Row
from engines.fsm_report.answers import Answer, points, spread
from engines.fsm_report.config import Config
from engines.fsm_report.load import Found, Group
from engines.fsm_report.summary import BEST, counting, looked_up, probed, summarise, trained
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.tables import STYLE, rows, table

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
BROAD = "body{max-width:80rem}p,ul,figcaption{max-width:62rem}"
"""The table of scores has more columns than a page of text has room for."""
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
READING = (
    "How to read this: scores are per cent of the query's next states, mean over "
    "training seeds with Student's t interval (cut at 0 "
    "and 100); the seeds share one data set. The ceiling is the expected score of the "
    "exact in-context predictor on the same "
    "sequences: no model can be better but by luck. 'counting' is the best score of "
    "predicting the most frequent next state so far, "
    "'looked up' the way from there (0) to the ceiling (100): a model at 0 or below does "
    "not look up. Probes are read at every "
    "layer from the embedding (0) up; the control task's labels hang on nothing that the "
    "sequence shows, so selectivity is what "
    "a probe does not owe to its own capacity. Settings are those of the optimiser, each "
    "answer says under which it holds; * marks "
    "a recipe with other values for some keys."
)


@dataclass(frozen=True)
class Report:
    """Everything the report says."""

    config: Config
    found: Found
    answers: list[Answer]


def mean(values: Sequence[float], digits: int = 1) -> str:
    """A mean in per cent, or a dash."""
    found = summarise(values)
    return "-" if found is None else f"{100 * found.mean:.{digits}f}"


def score_row(group: Group, config: Config) -> list[str]:
    """One group of trainings."""
    accuracies, document = group.values("test_accuracy", BEST), group.finished[0].document
    summary = summarise(accuracies)
    share = summarise(group.values("ceiling_share", BEST))
    parameters = group.values("parameters", {})
    return [
        group.name,
        group.machines.partition(" (")[0],
        group.recipe + ("" if group.settings == group.recipe else "*"),
        str(document["config"]["epochs"]),
        f"{parameters[0] / 1000:.1f} K" if parameters else "-",
        f"{len(accuracies)}/{group.planned}",
        "-" if summary is None else spread(summary).partition(", n")[0],
        "-" if summary is None or summary.deviation is None else points(summary.deviation),
        mean(group.values("ceiling_accuracy", {}), 2),
        "-" if share is None else points(share.mean),
        mean(counting(group)),
        mean(looked_up(group)),
        f"{sum(value >= config.learned for value in accuracies)}/{len(accuracies)}",
    ]


def probe_rows(group: Group) -> list[list[str]]:
    """One group of probes: each target at the last layer."""
    last, found = trained(group)[0][1], []
    for target in group.config["targets"]:
        values = probed(group, "probe_accuracy", target, last)
        summary = summarise(values)
        common = [
            value
            for one in group.finished
            if (
                value := next(
                    (
                        row.value
                        for row in one.rows
                        if row.metric == "majority_accuracy"
                        and row.axes["target"] == target
                        and row.axes["checkpoint"] != "untrained"
                    ),
                    None,
                )
            )
            is not None
        ]
        if summary is not None:
            found.append(
                [
                    group.name,
                    target.replace("_", " "),
                    str(last),
                    f"{summary.n}/{group.planned}",
                    spread(summary).partition(", n")[0],
                    "-" if summary.deviation is None else points(summary.deviation),
                    *(
                        mean(probed(group, metric, target, last))
                        for metric in ("probe_control_accuracy", "probe_selectivity")
                    ),
                    mean(probed(group, "probe_accuracy", target, last, "untrained")),
                    mean(common),
                ]
            )
    return found


def sentence(one: Answer) -> str:
    """A question and its answer in a line."""
    return f"{one.question.ask} {one.verdict.capitalize()}: {one.text}."


def headline(report: Report) -> str:
    """How many questions found an answer."""
    decided = sum(one.verdict != "not decided" for one in report.answers)
    seeds = sorted({group.planned for group in report.found.of("fsm")})
    return (
        f"{decided} of {len(report.answers)} questions are decided, with "
        f"{' or '.join(map(str, seeds)) or 'no'} training seeds."
        if report.answers
        else "No question was asked."
    )


def tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """Heading, column names and rows of each table that has rows."""
    scores = [score_row(group, report.config) for group in report.found.of("fsm")]
    probes = [row for group in report.found.of("probe") for row in probe_rows(group)]
    return [
        part
        for part in (("Scores", SCORES, scores), ("Probes at the last layer", PROBES, probes))
        if part[2]
    ]


def plain(report: Report) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [
        headline(report),
        *(textwrap.fill(sentence(one), 100, subsequent_indent="   ") for one in report.answers),
    ]
    parts += [f"{heading}:\n{table([head, *body])}" for heading, head, body in tables(report)]
    parts.append(textwrap.fill(READING, 100))
    for heading, items in (("Skipped", report.found.skipped), ("Missing", report.found.missing)):
        if items:
            parts.append(
                "\n".join(
                    [
                        f"{heading}:",
                        *(
                            textwrap.fill(f"- {item}", 100, subsequent_indent="  ")
                            for item in items
                        ),
                    ]
                )
            )
    return "\n\n".join(parts) + "\n"


def page(report: Report, figures: Sequence[Figure]) -> str:
    """``report.html``: one file, nothing outside it is read."""
    colour = {"yes": "#009e73", "no": "#d55e00", "not decided": "#888888"}
    answers = "".join(
        f"<li>{escape(one.question.ask)} <b "
        f'style="color:{colour[one.verdict]}">{escape(one.verdict)}</b>: '
        f"{escape(one.text)}.</li>"
        for one in report.answers
    )
    lists = "".join(
        f"<h2>{heading}</h2><ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        for heading, items in (("Skipped", report.found.skipped), ("Missing", report.found.missing))
        if items
    )
    drawn = "".join(
        '<figure role="img" '
        f'aria-label="{escape(one.caption)}">{one.svg}<figcaption>{escape(one.caption)}</figcaption>'
        "</figure>"
        for one in figures
    )
    root = (
        os.path.commonpath([path.parent for path in report.found.files])
        if report.found.files
        else ""
    )
    sources = "".join(
        f"<li>{escape(str(path.relative_to(root)))}</li>" for path in report.found.files
    )
    parts = [f"<h2>{heading}</h2>{rows(head, body)}" for heading, head, body in tables(report)]
    return (
        "\n".join(
            [
                '<!doctype html><html lang="en"><meta charset="utf-8"><meta '
                'name="viewport" content="width=device-width">'
                "<title>Finite-state machines in "
                f"context</title><style>{STYLE}{BROAD}</style><h1>Finite-state machines "
                "in context</h1>",
                f'<p class="lead">{escape(headline(report))}</p><ul>{answers}</ul>',
                *parts,
                f"<p>{escape(READING)}</p>",
                "<h2>Figures</h2>",
                drawn,
                lists,
                f"<h2>Sources</h2><p>Below {escape(root)}</p><ol>{sources}</ol>",
                f"<details><summary>Questions and thresholds</summary><pre>"
                f"{escape(report.config.model_dump_json(indent=1, exclude={'inputs'}))}</pre></details></html>",
            ]
        )
        + "\n"
    )


def own_rows(found: Found) -> list[Row]:
    """Each group's mean test accuracy over seeds; the spread is the standard error over seeds."""
    made = []
    for group in found.of("fsm"):
        summary = summarise(group.values("test_accuracy", BEST))
        if summary is not None:
            error = None if summary.deviation is None else summary.deviation / summary.n**0.5
            made.append(
                Row(
                    metric="test_accuracy",
                    value=summary.mean,
                    n=summary.n,
                    spread=error,
                    axes={"group": group.name},
                )
            )
    return made
