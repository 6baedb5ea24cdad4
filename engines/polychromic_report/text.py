"""The report in words: its headline, its findings, and the whole as plain text.

In: the report and its tables. Out: ``report.txt``, of at most 100 columns but for tables. Called by
``__main__``; the page and ``results.json`` say the same sentences.
"""

from __future__ import annotations

from engines.polychromic_report.compare import Change
from engines.polychromic_report.load import Evaluated
from engines.polychromic_report.report import Report
from engines.polychromic_report.tables import Tables, in_percent, without_values
from engines.polychromic_report.verdict import Arm
from engines.shared.reporting.text import bullets, metric_words, paragraph

READING = (
    "How to read this: diversity is measured per prompt over the replies of one model, never over "
    "replies to different prompts, which would measure the prompts. Rarefied distinct-n is the "
    "expected number of different n-grams in a random choice of m of them, divided by m; m is the "
    "same for all models, so that neither length nor number of replies changes it. Plain "
    "distinct-n rewards short replies, and EAD removes that only in part: they stand beside it "
    "for comparison with other work.",
    "Different valid replies is what a user gets: of the n replies to a prompt, how many different "
    "ones the checker of the data takes. An arm reaches a level of the tree only if its whole 95 % "
    "interval lies above the threshold and it is shown that neither its different valid replies "
    "nor its cross-entropy (or a judge's preference) are worse by more than the stated margin.",
    "Intervals: arms are compared on the same prompts, seed by seed; seeds are the clusters "
    "(Student's t over seeds, both levels' half-widths added in squares). One seed gives no "
    "verdict.",
    "The share of the signal is told by the norms of the two gradients and the cosine between "
    "them, each measured apart, and not by the ratio of two loss values, which says nothing of a "
    "gradient.",
)


def headline(report: Report) -> str:
    """What the tree concludes, family by family."""
    if not report.families:
        return "No arm with a diversity term is finished: there is nothing to compare."
    said = []
    for family in report.families:
        one = family.conclusion
        said.append(f"{family.name.capitalize()}: {one.level}. {one.why[0].upper()}{one.why[1:]}.")
    return " ".join(said)


def findings(report: Report) -> list[str]:
    """What else is to be known before the tables."""
    found = [*gains(report), *bought_with_nonsense(report), *confounded(report)]
    found += warnings(report)
    found += [f"{one.by} stands for {one.job}: {one.reason}" for one in report.config.replaced]
    return found + facts_of_evaluations(report)


def gains(report: Report) -> list[str]:
    """Each arm in one line."""
    return [
        f"{arm.name}: {metric_words(report.config.metric)} {in_percent(arm.diversity)} %, "
        f"different valid replies {in_percent(arm.unique_valid)} %."
        for family in report.families
        for arm in family.arms
        if isinstance(arm.diversity, Change)
    ]


def bought_with_nonsense(report: Report) -> list[str]:
    """Arms whose replies are more different and fewer of them of any use."""
    return [
        f"{arm.name}: more diverse, with fewer different valid replies: the gain is bought with "
        "replies that the checker refuses."
        for family in report.families
        for arm in family.arms
        if rose(arm.diversity) and fell(arm)
    ]


def rose(change: Change | str) -> bool:
    """Whether it is clearly above 0."""
    return isinstance(change, Change) and change.direction == "higher"


def fell(arm: Arm) -> bool:
    """Whether its different valid replies are clearly fewer."""
    return isinstance(arm.unique_valid, Change) and arm.unique_valid.direction == "lower"


def confounded(report: Report) -> list[str]:
    """Families whose arms differ in more than the weight."""
    found = []
    for family in report.families:
        others = {arm.other for arm in report.arms if arm.family == family.name}
        if len(others) > 1:
            found.append(
                f"{family.name}: its arms differ in more than the weight "
                f"({'; '.join(sorted(others))}), so a difference between them has several causes."
            )
    return found


def warnings(report: Report) -> list[str]:
    """What the trainings warned of, each kind of warning once, with how many gave it and the first
    one's words."""
    by_kind: dict[str, list[str]] = {}
    for one in report.inputs.trainings:
        for warning in one.facts.get("warnings", []):
            # "name (step 12): words"
            kind, _, words = str(warning).partition(" (step ")
            said = f"{one.setting.label}, seed {one.seed}"
            by_kind.setdefault(kind, []).append(f"{said}, step {words}" if words else said)
    trainings = len(report.inputs.trainings)
    return [
        f"Warning of {len(who)} of {trainings} trainings: {kind}; the first: "
        f"{who[0].replace('): ', ': ')}."
        for kind, who in by_kind.items()
    ]


def facts_of_evaluations(report: Report) -> list[str]:
    """What the evaluations say beside their numbers: the embedder, saturated scores, refusals."""
    notes = [
        note
        for document in report.inputs.evaluations
        for note in document["facts"].get("notes", [])
    ]
    return list(dict.fromkeys(map(str, notes)))


def left_out(report: Report) -> dict[str, list[str]]:
    """What is missing, by heading."""
    missing = list(report.inputs.missing)
    for arm in report.arms:
        if arm.weight > 0:
            missing += without_values(report, arm)
    found = {"Not there": missing, "Skipped": report.inputs.skipped}
    return {heading: texts for heading, texts in found.items() if texts}


def counted(report: Report) -> str:
    """How much was compared."""
    models: list[Evaluated] = [one for one in report.inputs.models if one.setting is not None]
    seeds = {model.seed for model in models}
    prompts = {len(values) for model in models for values in model.values.values()}
    arms = "one arm" if len(report.arms) == 1 else f"{len(report.arms)} arms"
    of_seeds = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return (
        f"{len(report.inputs.trainings)} trainings of {arms} and {of_seeds}; {len(models)} models "
        f"answered {max(prompts, default=0)} prompts."
    )


def plain(report: Report, tables: Tables) -> str:
    """``report.txt``."""
    parts = [paragraph(headline(report)), paragraph(counted(report))]
    if found := findings(report):
        parts.append(bullets("Findings", found))
    parts += [f"{heading}\n\n{table.plain()}" for heading, table in tables.items()]
    parts += [paragraph(text) for text in READING]
    parts += [bullets(heading, texts) for heading, texts in left_out(report).items()]
    return "\n\n".join(parts) + "\n"
