"""The report in words: its headline, its notes, and the whole as plain text and as Markdown.

In: the report and its tables. Out: text, the plain one of at most 100 columns. Called by
``__main__``; the page shows the same sentences.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from engines.analysis.comparison import LEVEL
from engines.analysis.report import Report
from engines.analysis.tables import Tables, hours_of
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.text import (
    bullets,
    markdown_bullets,
    paragraph,
    points,
    probability,
)

READING = (
    "How to read this: scores are per cent, differences are percentage points (treatment minus "
    "baseline) on the same problems. An interval that includes 0 says that these problems cannot "
    "tell the arms apart, not that they are equal. A domain is the mean over its tasks, the macro "
    "mean the mean over domains. 'detectable' is the true difference that so many problems find "
    "with 80 % power."
)
EXPECTED_READING = (
    "Expected is the best specialist of each domain. Half of the problems choose it; the other "
    "half, shown here, score it and the treatment. Above 0 training together gained; around 0 it "
    "is as good as choosing a specialist; below 0 the tasks are in each other's way."
)
P_VALUES = (
    "How to read 'p adjusted': how often arms that are equal would differ by so much, raised "
    "because several lines were tested (domains: Holm; tasks: Benjamini and Hochberg; the macro "
    "mean is one question and stays). Below 0.05 is evidence. The intervals are not raised so: "
    "where one excludes 0 and p is above 0.05, p holds."
)
LISTED = ("scores", "curves", "flips", "costs", "rows")
"""Uses whose files the Markdown report lists."""


def headline(report: Report) -> str:
    """The sentence that answers the question. It claims a difference only if the interval, the test
    and the training seeds agree."""
    macro = report.macro
    if macro.difference is None or macro.p_value is None:
        return f"No answer: {macro.missing}."
    # Interval and test are made in different ways; a claim takes both.
    side = beyond_zero(macro.difference) if macro.p_value < LEVEL else 0
    said = verdict(report, side)
    if report.inputs.trained_on_test:
        said = f"the models were trained on problems of the evaluation, so this is no test; {said}"
    p_value = probability(macro.p_value)
    return (
        f"{report.config.metric}: {said}: {points(macro.difference)} points, p "
        f"{p_value if p_value.startswith('<') else f'= {p_value}'}, macro mean over domains."
    )


def beyond_zero(interval: Interval) -> int:
    """1 or -1 if the interval lies above or below 0, else 0."""
    return int(interval.low > 0) - int(interval.high < 0)


def verdict(report: Report, side: int) -> str:
    """What the headline claims; ``side`` is 1 or -1 if the treatment is better or worse on these
    problems, 0 if they cannot tell."""
    names, n = report.config.compare, report.macro.n
    if side == 0:
        return f"the {n} problems cannot tell {names.treatment} from {names.baseline}"
    word = "better" if side > 0 else "worse"
    claim = f"{names.treatment} is {word} than {names.baseline} on these {n} problems"
    if report.over_seeds is None:
        return f"{claim}, as far as {shared_seeds(report)} can show"
    if beyond_zero(report.over_seeds) == side:
        return f"{claim} and over the training seeds"
    return (
        f"{names.treatment} scored {word} than {names.baseline} on these {n} problems, but the "
        "training seeds differ too much to say that it is"
    )


def shared_seeds(report: Report) -> str:
    """The training seeds that both arms have, in words; there is no interval over them."""
    baseline, treatment = report.seeds.values()
    count = len(set(baseline) & set(treatment))
    if count == 0:
        return "arms without a shared training seed"
    return "one training seed" if count == 1 else "these training seeds"


def notes(report: Report) -> list[str]:
    """What the numbers do not say."""
    return [
        made_from(report),
        seeds_note(report),
        *unscored_note(report),
        tests_used(report),
        READING,
    ]


def made_from(report: Report) -> str:
    """Seeds, checkpoints and files behind the scores."""
    seeds = "; ".join(f"{arm}: {len(seeds)}" for arm, seeds in report.seeds.items())
    steps = [
        f"{arm}: {', '.join(sorted(checkpoints))}"
        for arm, checkpoints in report.inputs.conditions.steps.items()
    ]
    return (
        f"Training seeds: {seeds}. Compared checkpoints: {'; '.join(steps) or 'none'}. Scores from "
        f"{report.inputs.sources.label('scores') or 'nothing'}."
    )


def seeds_note(report: Report) -> str:
    """The spread over training seeds, or that the intervals do not hold it."""
    if report.over_seeds is None:
        return (
            "The intervals cover the choice of problems, not the variance of training: that takes "
            "at least two seeds that both arms share."
        )
    return (
        f"Over training seeds the macro difference is {points(report.over_seeds)} (Student's t "
        "over seeds)."
    )


def unscored_note(report: Report) -> list[str]:
    """What the problems without a score could change; nothing if all have one."""
    macro, treatment = report.macro, report.config.compare.treatment
    if macro.extremes is None or macro.n >= macro.total:
        return []
    worst, best = macro.extremes
    return [
        f"{macro.total - macro.n} of {macro.total} problems have no score in some evaluation and "
        f"are not compared. Counted all against {treatment} they would make the macro difference "
        f"{100 * worst:+.1f}, all for it {100 * best:+.1f}."
    ]


def tests_used(report: Report) -> str:
    """How to read the p-values, and which tests gave them."""
    used: dict[str, list[str]] = {}
    for line in report.lines:
        if line.test:
            used.setdefault(line.test, []).append(line.name)
    tests = [f"Test by {test}: {', '.join(used[test])}." for test in sorted(used)]
    return " ".join([P_VALUES, *tests])


def flipped(report: Report) -> list[str]:
    """How many samples changed, in a sentence; nothing if none could be paired."""
    names, flips = report.config.compare, report.flips
    if not flips.counts:
        return []
    pairs = sum(sum(count.values()) for count in flips.counts.values())
    return [
        f"Of {pairs} pairs of samples {flips.total('gained')} are right only in "
        f"{names.treatment}, {flips.total('lost')} only in {names.baseline}."
    ]


def spent(report: Report) -> str:
    """The sum of the costs in a sentence."""
    costs = report.inputs.costs
    hours, cpu_hours, gpu_hours = hours_of([cost.cost for cost in costs])
    return (
        f"Spent on {len(costs)} jobs: {hours} hours, {cpu_hours} CPU-hours, {gpu_hours} GPU-hours."
    )


def source_lines(report: Report, uses: Sequence[str]) -> list[str]:
    """A heading with the folder that all sources share, then ``[3]
    evaluate.../out/scores/epoch-000006.jsonl``."""
    sources = report.inputs.sources
    wanted = {number for use in uses for number in sources.uses.get(use, [])}
    if not wanted:
        return []
    # Paths are long and begin alike: the common part is said once.
    root = os.path.commonpath([path.parent for path in sources.files])
    lines = [f"Sources, below {root}:"]
    for number, path in enumerate(sources.files, start=1):
        if number in wanted:
            lines.append(f"[{number}] {path.relative_to(root)}")
    return lines


def plain(report: Report, tables: Tables) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [paragraph(headline(report)), tables.comparison.without("source").plain()]
    if tables.behaviour.rows:
        parts.append(tables.behaviour.without("source").plain())
    if tables.expected is not None:
        parts += [tables.expected.plain(), paragraph(EXPECTED_READING)]
    sentences = [*notes(report), *flipped(report), spent(report)]
    parts += [paragraph(sentence) for sentence in sentences]
    if report.missing:
        parts.append(bullets("Missing or unequal:", report.missing))
    if sources := source_lines(report, ["scores"]):
        parts.append("\n".join(sources))
    return "\n\n".join(parts) + "\n"


def markdown(report: Report, tables: Tables, figures: Sequence[Figure]) -> str:
    """``report.md``; the figures are linked."""
    parts = [
        f"**{headline(report)}**",
        tables.comparison.markdown(),
        tables.behaviour.markdown(),
    ]
    if tables.expected is not None:
        parts += [tables.expected.markdown(), EXPECTED_READING]
    parts += notes(report)
    if tables.flips is not None:
        parts.append(tables.flips.markdown())
    for figure in figures:
        caption = f"{figure.caption} {report.inputs.sources.label(figure.source)}"
        parts.append(f"![{figure.caption}](figures/{figure.name}.png)\n\n{caption}")
    if report.missing:
        parts.append(markdown_bullets("Missing or unequal:", report.missing))
    parts += ["What ran where:", tables.costs.markdown()]
    # Without sources the heading is empty, and there is no list.
    heading, *files = source_lines(report, LISTED) or [""]
    listed = [f"{heading}\n", *(f"- {line}" for line in files)] if heading else []
    parts.append("\n".join(listed))
    return "\n\n".join(parts) + "\n"
