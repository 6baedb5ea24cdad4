"""The report in words: its headline, its answers, and the whole as plain text.

In: the report and its tables. Out: ``report.txt``, of at most 100 columns but for the tables.
Called by ``__main__``; the page and ``results.json`` say the same sentences.
"""

from __future__ import annotations

from engines.fsm_report.report import Report
from engines.fsm_report.tables import Tables
from engines.shared.reporting.text import bullets, paragraph

READING = (
    "How to read this: scores are per cent of the query's next states, mean over training seeds "
    "with Student's t interval (cut at 0 and 100); the seeds share one data set. The ceiling is "
    "the expected score of the exact in-context predictor on the same sequences: no model can be "
    "better but by luck. 'counting' is the best score of predicting the most frequent next state "
    "so far, 'looked up' the way from there (0) to the ceiling (100): a model at 0 or below does "
    "not look up. Probes are read at every layer from the embedding (0) up; the control task's "
    "labels hang on nothing that the sequence shows, so selectivity is what a probe does not owe "
    "to its own capacity. Settings are those of the optimiser, each answer says under which it "
    "holds; * marks a recipe with other values for some keys."
)


def headline(report: Report) -> str:
    """How many questions found an answer."""
    if not report.answers:
        return "No question was asked."
    seeds = sorted({group.planned for group in report.inputs.of("fsm")})
    return (
        f"{report.decided} of {len(report.answers)} questions are decided, with "
        f"{' or '.join(map(str, seeds)) or 'no'} training seeds."
    )


def left_out(report: Report) -> dict[str, list[str]]:
    """Heading -> what has no place in the tables, and why; headings without any are left out."""
    lists = {"Skipped": report.inputs.skipped, "Missing": report.inputs.missing}
    return {heading: items for heading, items in lists.items() if items}


def plain(report: Report, tables: Tables) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [headline(report)]
    for answer in report.answers:
        parts.append(paragraph(answer.sentence, "   "))
    for heading, table in tables.items():
        parts.append(f"{heading}:\n{table.plain()}")
    parts.append(paragraph(READING))
    for heading, items in left_out(report).items():
        parts.append(bullets(f"{heading}:", items))
    return "\n\n".join(parts) + "\n"
