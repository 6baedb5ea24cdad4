"""The report as words: headline, tables, notes; plain text of at most 100 columns, Markdown,
CSV."""

from __future__ import annotations

import csv
import io
import os
import textwrap
from collections.abc import Sequence

from engines.analysis.comparison import LEVEL
from engines.analysis.load import labels
from engines.analysis.report import Report
from engines.analysis.tables import (
    COSTS,
    EXPECTED,
    HEAD,
    apart,
    behaviour,
    behaviour_head,
    cells,
    comparison_rows,
    cost_rows,
    equals,
    expected_rows,
    flip_head,
    flip_rows,
    hours_of,
    scores_from,
)
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.tables import markdown_table, table

READING = (
    "How to read this: scores are per cent, differences are percentage points (treatment "
    "minus baseline) on the same problems. An "
    "interval that holds 0 says that these problems cannot tell the arms apart, not that "
    "they are equal. A domain is the mean over "
    "its tasks, the macro mean the mean over domains. 'detectable' is the true "
    "difference that so many problems find with 80 % "
    "power."
)
EXPECTED_READING = (
    "Expected is the best specialist of each domain. Half of the problems choose it; the "
    "other half, shown here, score it "
    "and the treatment. Above 0 training together gained; around 0 it is as good as "
    "choosing a specialist; below 0 the "
    "tasks are in each other's way."
)
P_VALUES = (
    "How to read 'p adjusted': how often arms that are equal would differ by so much, "
    "raised because several lines were looked at "
    "(domains: Holm; tasks: Benjamini and Hochberg; the macro mean is one question and "
    "stays). Below 0.05 is evidence. The "
    "intervals are not raised so: where one excludes 0 and p is above 0.05, p holds."
)


def source_lines(
    report: Report, uses: tuple[str, ...] = ("scores", "curves", "flips", "costs", "rows")
) -> list[str]:
    """A heading with the folder that all sources share, then ``[3]
    evaluate.../out/scores/epoch-000006.jsonl``."""
    wanted = {number for use in uses for number in report.found.uses.get(use, [])}
    if not wanted:
        return []
    root = os.path.commonpath([path.parent for path in report.found.files])
    return [
        f"Sources, below {root}:",
        *[
            f"[{number}] {path.relative_to(root)}"
            for number, path in enumerate(report.found.files, start=1)
            if number in wanted
        ],
    ]


def beyond_zero(interval: Interval | None) -> int:
    """1 or -1 if the interval lies above or below 0, else 0."""
    return 0 if interval is None else int(interval.low > 0) - int(interval.high < 0)


def headline(report: Report) -> str:
    """The sentence that answers the question. It claims a difference only if the interval, the test
    and the training seeds agree."""
    names, macro = report.config.compare, report.lines[-1]
    if macro.difference is None or macro.p_value is None:
        return f"No answer: {macro.missing}."
    side = beyond_zero(macro.difference) if macro.p_value < LEVEL else 0
    word = "better" if side > 0 else "worse"
    if side == 0:
        verdict = f"the {macro.n} problems cannot tell {names.treatment} from {names.baseline}"
    elif report.over_seeds is None:
        left, right = (set(seeds) for seeds in report.seeds.values())
        seeds = {0: "arms without a shared training seed", 1: "one training seed"}.get(
            len(left & right), "these training seeds"
        )
        verdict = (
            f"{names.treatment} is {word} than {names.baseline} on these {macro.n} problems, "
            f"as far as {seeds} can show"
        )
    elif beyond_zero(report.over_seeds) == side:
        verdict = (
            f"{names.treatment} is {word} than {names.baseline} on these {macro.n} problems "
            "and over the training seeds"
        )
    else:
        verdict = (
            f"{names.treatment} scored {word} than {names.baseline} on these {macro.n} "
            "problems, but the training seeds differ too "
            "much to say that it is"
        )
    if report.found.trained_on_test:
        verdict = (
            f"the models were trained on problems of the evaluation, so this is no test; {verdict}"
        )
    return (
        f"{report.config.metric}: {verdict}: {apart(macro.difference)} points, p "
        f"{equals(macro.p_value)}, macro mean over domains."
    )


def tests_used(report: Report) -> str:
    """How to read the p-values, and which tests gave them."""
    used = {
        test: [line.name for line in report.lines if line.test == test]
        for test in sorted({line.test for line in report.lines} - {""})
    }
    return " ".join(
        [P_VALUES, *(f"Test by {test}: {', '.join(names)}." for test, names in used.items())]
    )


def notes(report: Report) -> list[str]:
    """What the numbers do not say."""
    seeds = "; ".join(f"{arm}: {len(found)}" for arm, found in report.seeds.items())
    steps = "; ".join(
        f"{arm}: {', '.join(sorted(shown))}" for arm, shown in report.found.steps.items()
    )
    lines = [
        f"Training seeds: {seeds}. Compared checkpoints: {steps or 'none'}. Scores from "
        f"{scores_from(report) or 'nothing'}."
    ]
    if report.over_seeds is not None:
        lines.append(
            f"Over training seeds the macro difference is {apart(report.over_seeds)} "
            "(Student's t over seeds)."
        )
    else:
        lines.append(
            "The intervals cover the choice of problems, not the variance of training: "
            "that takes at least two seeds "
            "that both arms share."
        )
    macro, treatment = report.lines[-1], report.config.compare.treatment
    if macro.extremes is not None and macro.n < macro.total:
        worst, best = macro.extremes
        lines.append(
            f"{macro.total - macro.n} of {macro.total} problems have no score in some "
            "evaluation and are not compared. Counted "
            f"all against {treatment} they would make the macro difference "
            f"{100 * worst:+.1f}, all for it {100 * best:+.1f}."
        )
    return [*lines, tests_used(report), READING]


def flipped(report: Report) -> str:
    """How many samples changed, in a sentence; "" if none could be paired."""
    names, flips = report.config.compare, report.flips
    gained, lost = flips.total("gained"), flips.total("lost")
    return (
        (
            f"Of {gained + lost + flips.total('both right') + flips.total('neither')} "
            f"pairs of samples {gained} are right only in "
            f"{names.treatment}, {lost} only in {names.baseline}."
        )
        if flips.counts
        else ""
    )


def spent(report: Report) -> str:
    """The sum of the costs in a sentence."""
    hours, cpu_hours, gpu_hours = hours_of([cost for _, cost in report.found.costs])
    return (
        f"Spent on {len(report.found.costs)} jobs: {hours} hours, {cpu_hours} CPU-hours, "
        f"{gpu_hours} GPU-hours."
    )


def plain(report: Report) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [textwrap.fill(headline(report), 100), table([HEAD, *map(cells, report.lines)])]
    if rows := behaviour(report):
        parts.append(table([row[:-1] for row in [behaviour_head(report), *rows]]))
    if report.expected:
        parts += [table([EXPECTED, *expected_rows(report)]), textwrap.fill(EXPECTED_READING, 100)]
    parts += [textwrap.fill(note, 100) for note in notes(report)]
    parts += [
        textwrap.fill(sentence, 100) for sentence in (flipped(report), spent(report)) if sentence
    ]
    if report.missing:
        items = [textwrap.fill(f"- {item}", 100, subsequent_indent="  ") for item in report.missing]
        parts.append("\n".join(["Missing or uneven:", *items]))
    if sources := source_lines(report, ("scores",)):
        parts.append("\n".join(sources))
    return "\n\n".join(parts) + "\n"


def markdown(report: Report, figures: Sequence[Figure]) -> str:
    """``report.md``; the figures are linked."""
    parts = [
        f"**{headline(report)}**",
        markdown_table([*HEAD, "source"], comparison_rows(report)),
        markdown_table(behaviour_head(report), behaviour(report)),
    ]
    parts += (
        [markdown_table(EXPECTED, expected_rows(report)), EXPECTED_READING]
        if report.expected
        else []
    )
    parts += notes(report)
    parts += [markdown_table(flip_head(report), flips)] if (flips := flip_rows(report)) else []
    for figure in figures:
        caption = f"{figure.caption} {labels(report.found.uses.get(figure.source, []))}"
        parts.append(f"![{figure.caption}](figures/{figure.name}.png)\n\n{caption}")
    parts += (
        ["Missing or uneven:\n\n" + "\n".join(f"- {m}" for m in report.missing)]
        if report.missing
        else []
    )
    parts += [
        "What ran where:",
        markdown_table(COSTS, cost_rows(report)),
        "\n".join(
            f"- {line}" if line.startswith("[") else f"{line}\n" for line in source_lines(report)
        ),
    ]
    return "\n\n".join(parts) + "\n"


def comma_separated(report: Report) -> str:
    """``table.csv``: shares, unrounded, with the numbers of their sources."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        [
            "domain",
            "task",
            "n",
            "baseline",
            "treatment",
            "difference",
            "low",
            "high",
            "p",
            "p_adjusted",
            "minimum_detectable",
            "missing",
            "source",
        ]
    )
    domain, sources = "", scores_from(report)
    for line in report.lines:
        d = line.difference
        domain = domain if line.task else line.name
        writer.writerow(
            [
                domain,
                line.name if line.task else "",
                line.n,
                line.baseline and line.baseline.value,
                line.treatment and line.treatment.value,
                d and d.value,
                d and d.low,
                d and d.high,
                line.p_value,
                line.adjusted,
                line.detectable,
                line.missing,
                sources,
            ]
        )
    return stream.getvalue()
