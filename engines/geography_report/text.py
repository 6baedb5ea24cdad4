"""The report in words: its headline, its findings, and the whole as plain text.

In: the report and its tables. Out: ``report.txt``, of at most 100 columns but for tables. Called by
``__main__``; the page and ``results.json`` say the same sentences.
"""

from __future__ import annotations

from engines.contract.results import Replaced
from engines.geography_report.load import BASE, NEW_CITIES
from engines.geography_report.report import CHOSEN, Report, Transfer
from engines.geography_report.tables import Tables, full_size, verdict_counts, with_interval
from engines.geography_report.transfer.improvement import NOT_CLEAR, NOT_EVALUATED, NOT_LEARNED
from engines.shared.reporting.text import bullets, paragraph

READING = (
    "How to read this: a score is the mean over the answers that could be read (a share of right "
    "words, or an absolute error: distances in tenths of a degree, areas in their squares, angles "
    "in degrees), in brackets that of the best constant answer to the same questions; * beats it "
    "by the 95 % interval, failures counted; a per cent behind it is the share that could not be "
    "read.",
    "A base has learned a task if it is better than the best constant answer with Holm's "
    "correction over all bases and tasks, as one of 21 comparisons is won by luck more often than "
    "one time in three. What fine-tuning adds to a task that its base has not learned is "
    "undefined.",
    "Normalised improvement is 0 where the base began on new cities and 1 where it stands on known "
    "ones: (v - A) / (B - A) of accuracies, ln(A / v) / ln(A / B) of errors, cut to [0, 1.5], "
    "answers that cannot be read counted with the failure value. A dash is undefined (see above) "
    "or not evaluated, and is in no mean. T: the task was trained. ^ synergy, v negative transfer, "
    "blank none, ? not decided, after Benjamini and Hochberg's correction over the matrix. 'None' "
    "says that a difference is not clear of 0, not that there is none.",
    "What is expected of two tasks is what the better of their specialists reaches. Which one that "
    "is was decided by the validation answers of the other seeds' models, and it was scored on the "
    "test. Marked as biased, for comparison only: chosen by the same models' validation answers, "
    "or by the test answers themselves (the published definition). Both expect too much: the "
    "better of two equal specialists is better by luck, 0.564 of the standard deviation between "
    "runs.",
    "Intervals: models answer the same questions, which are drawn anew for all of them together, "
    "inside seeds (Student's t over seeds, both levels' half-widths added in squares). All models "
    "of an experiment have seen a few rows of every task about new cities unless the warm-up says "
    "otherwise, so that transfer is few-shot, not zero-shot.",
    "CKA is debiased, on real cities (1: the same up to rotation and scale, about 0: unrelated); "
    "Procrustes compares the first three principal components (0: the same shape, 1: none in "
    "common). Models of one seed started from one base: only pairs of other seeds are to be held "
    "against the same tasks of another seed.",
)


def headline(report: Report) -> str:
    """What was learned at all, first."""
    bases = report.bases
    if report.nothing_learned:
        models = len({one.model.folder for one in bases})
        return (
            f"Nothing learned: none of {models} base models beats the best constant answer on any "
            f"task that it was trained on ({len(bases)} comparisons). What follows shows that "
            "every part ran, and says nothing about transfer or maps."
        )
    if not bases:
        return "No base model was evaluated: so what was learned is not known."
    ahead = sum(report.has_learned(one) for one in bases)
    text = f"Bases beat the best constant answer in {ahead} of {len(bases)} comparisons."
    transfer = report.transfer
    if transfer is None or CHOSEN not in transfer.gains:
        return text
    for one in transfer.gains[CHOSEN].summaries[:2]:
        text += f" {one.kind.capitalize()} cells, actual minus expected: {one.verdict}"
        text += f", {with_interval(one.value)}." if one.value else "."
    return text


def findings(report: Report) -> list[str]:
    """What else is to be known before the tables."""
    found = [*learned_by_task(report), *transfer_findings(report), *kept_findings(report)]
    warmups = sorted({str(one.config.get("warmup")) for one in report.inputs.of(NEW_CITIES)})
    if warmups:
        rows = {
            "required": "questions with new cities: transfer is few-shot",
            "plain": "questions about known cities: transfer is zero-shot",
            "none": "no rows: transfer is zero-shot",
        }
        said = [f"{name} ({rows.get(name, 'unknown')})" for name in warmups]
        found.append(f"Warm-up rows of all tasks: {', '.join(said)}.")
    if report.transfer is not None and len(full_size(report)) < len(report.inputs.of(NEW_CITIES)):
        found.append(
            "This run is not of the published size: figures marked 'published, full size' are "
            "shown for orientation and are no target of it."
        )
    return found + replacements(report)


def replacements(report: Report) -> list[str]:
    """What took the place of what: one line per reason, as the jobs that follow share it."""
    reasons: dict[str, list[Replaced]] = {}
    for one in report.config.replaced:
        reasons.setdefault(one.reason, []).append(one)
    found = []
    for reason, same in reasons.items():
        others = f" (and {len(same) - 1} jobs that follow)" if len(same) > 1 else ""
        found.append(f"Replaced: {same[0].job} by {same[0].by}{others}, because: {reason}.")
    return found


def learned_by_task(report: Report) -> list[str]:
    """How many bases learned each task."""
    bases = report.bases
    tasks = list(dict.fromkeys(one.task for one in bases))
    said = []
    for task in tasks:
        of_task = [report.has_learned(one) for one in bases if one.task == task]
        said.append(f"{task} {sum(of_task)} of {len(of_task)}")
    return [f"Bases that learned, by task: {', '.join(said)}."] if said else []


def transfer_findings(report: Report) -> list[str]:
    """What is undefined and why, and how many cells have each verdict."""
    transfer = report.transfer
    if transfer is None:
        return []
    found = undefined_counts(transfer)
    if CHOSEN in transfer.gains:
        matrix = transfer.gains[CHOSEN]
        corrected, alone = verdict_counts(matrix), verdict_counts(matrix, alone=True)
        found.append(
            f"Of {len(matrix.cells)} cells of actual minus expected: {listed(corrected)}; by each "
            f"interval alone, uncorrected: {listed(alone)}."
        )
        widths = [
            cell.value.interval.high - cell.value.interval.value
            for cell in matrix.cells
            if cell.value is not None
        ]
        if widths:
            middle = sorted(widths)[len(widths) // 2]
            found.append(f"Half a cell's interval is {middle:.2f} in the median of cells.")
    elif transfer.pairs is None:
        found.append("No model of two tasks: what is expected is shown, with nothing beside it.")
    return found


def undefined_counts(transfer: Transfer) -> list[str]:
    """How many improvements are undefined, by seed and task."""
    improvements = transfer.improvements
    whole = len(improvements.scores.seeds) * len(improvements.tasks)
    counts = {state: improvements.undefined(state) for state in (NOT_LEARNED, NOT_CLEAR)}
    text = ", ".join(f"{count} {state}" for state, count in counts.items())
    undefined = sum(counts.values())
    found = [f"Undefined improvements: {undefined} of {whole} pairs of seed and task ({text})."]
    if undefined == whole:
        found.append("Every cell is undefined: the matrices are left out.")
    if improvements.undefined(NOT_EVALUATED):
        found.append(f"Base not evaluated: {improvements.undefined(NOT_EVALUATED)} of {whole}.")
    return found


def listed(counts: dict[str, int]) -> str:
    """``3 synergy, 144 none``."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def kept_findings(report: Report) -> list[str]:
    """Which pairs of a second task start from a base that learned nothing."""
    if not report.kept:
        return []
    without = [one for one in report.kept if not one.learned]
    verdicts = [one.verdict for one in report.kept if one.learned]
    counts = {name: verdicts.count(name) for name in ("better", "worse", "none")}
    text = f"A second task after the first: {len(report.kept)} ordered pairs"
    if verdicts:
        text += f"; of the {len(verdicts)} whose base learned: {listed(counts)}"
    if without:
        names = sorted({one.first for one in without})
        text += (
            f"; {len(without)} start from a base that is not above its constant "
            f"({', '.join(names)}) and say nothing"
        )
    if any(one.change is not None and one.change.seeds == 1 for one in report.kept):
        text += "; where there is one seed, intervals are of questions alone"
    return [f"{text}."]


def attribution(report: Report) -> str:
    """Where the cities come from; their licence asks for it."""
    texts = [
        str(one.document["facts"]["attribution"])
        for one in [*report.inputs.evaluations.values(), *report.inputs.maps.values()]
        if "attribution" in one.document["facts"]
    ]
    return " ".join(dict.fromkeys(texts))


def left_out(report: Report) -> dict[str, list[str]]:
    """Heading -> what has no place in the tables, and why; headings without any are left out."""
    lists = {"Skipped": report.inputs.skipped, "Missing": report.inputs.missing}
    return {heading: items for heading, items in lists.items() if items}


def counted(report: Report) -> str:
    """What was read."""
    inputs = report.inputs
    return (
        f"{len(inputs.models)} models ({len(inputs.of(BASE))} of them bases), "
        f"{len(inputs.evaluations)} evaluated ({len(report.standings)} scores, one per task, "
        f"set and split), {len(inputs.maps)} mapped."
    )


def plain(report: Report, tables: Tables, raw: Tables) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [paragraph(headline(report)), paragraph(counted(report))]
    parts += [paragraph(f"- {text}", "  ") for text in findings(report)]
    for heading, table in {**tables, **raw}.items():
        parts.append(f"{heading}:\n{table.plain()}")
    parts += [paragraph(text) for text in READING]
    for heading, items in left_out(report).items():
        parts.append(bullets(f"{heading}:", items))
    parts.append(paragraph(attribution(report)))
    return "\n\n".join(part for part in parts if part) + "\n"
