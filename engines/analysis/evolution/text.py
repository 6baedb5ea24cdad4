"""The evolution as words: one sentence per training, tables, rules; plain text of at most 100
columns, and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from engines.analysis.comparison import score_of
from engines.analysis.evolution.load import Evolved, Point, Series, values
from engines.analysis.evolution.stopping import (
    RULES,
    Check,
    Flips,
    Stopping,
    flips,
    forgetting,
    overfitting,
    stopping,
)
from engines.analysis.load import labels
from engines.analysis.tables import apart, macro_mean, probability
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.tables import markdown_table, table

CHECKPOINTS = [
    "training",
    "checkpoint",
    "step",
    "macro mean [95 %]",
    "tokens",
    "cut",
    "no answer",
    "gained",
    "lost",
]
STOPPING = [
    "training",
    "stop at",
    "step",
    "its score [95 %]",
    "best",
    "plateau, steps",
    "last minus it [95 %]",
    "optimism",
]
CHECKS = [
    "training",
    "domain",
    "rule",
    "from",
    "to",
    "n",
    "difference [95 %]",
    "p adjusted",
    "detectable",
    "training reward",
    "verdict",
]
READING = (
    "How to read this: scores are per cent, differences percentage points. Half of each "
    "task's problems, drawn by hash, choose a "
    "checkpoint; the other half report it: a score that chose is too high. 'optimism' is "
    "by how much, for the best checkpoint. "
    "'gained' and 'lost' are samples that turned right or wrong since the checkpoint "
    "above. 'cut' ended at the token limit. "
    "Intervals cover the choice of problems, not the variance of training."
)


@dataclass
class Told:
    """What the report says, worked out once."""

    evolved: Evolved
    stops: dict[str, Stopping | str]
    """training -> where to stop, or why that cannot be said."""
    checks: list[Check]
    scores: dict[tuple[str, int, str | None], Interval] = field(default_factory=dict)
    """(training, place, domain; None: macro mean) -> score; absent where no problem has one."""

    @property
    def alarms(self) -> list[Check]:
        """The checks that raised one."""
        return [check for check in self.checks if check.raised]

    def series(self, name: str) -> Series:
        """A training by its name."""
        return next(one for one in self.evolved.series if one.name == name)


def judge(evolved: Evolved) -> Told:
    """Apply every rule to every training."""
    told = Told(
        evolved,
        {one.name: stopping(evolved, one) for one in evolved.series},
        [
            check
            for one in evolved.series
            for check in (*overfitting(evolved, one), *forgetting(evolved, one))
        ],
    )
    config = evolved.config
    for one in evolved.series:
        for domain in (*evolved.domains(), None):
            tasks, weights = evolved.weights(domain)
            for place, point in enumerate(one.points):
                groups = values(point, tasks)
                if all(len(group) for group in groups):
                    told.scores[one.name, place, domain] = score_of(
                        groups, weights, config.seed, config.draws
                    )
    return told


def score(interval: Interval | None) -> str:
    """A score in per cent with its interval."""
    return (
        "missing"
        if interval is None
        else f"{100 * interval.value:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
    )


def name_of(point: Point) -> str:
    """The checkpoint as the training calls it."""
    return point.scored.checkpoint


def behaviour_of(point: Point) -> tuple[float, float, float]:
    """Tokens per answer, share cut at the limit, share without an answer: means over tasks, then
    domains."""
    tokens, cut, silent = (
        macro_mean(
            {task: getattr(part, key) / part.samples for task, part in point.behaviour.items()}
        )
        for key in ("tokens", "cut", "no_answer")
    )
    return tokens, cut, silent


def steps_between(series: Series) -> list[Flips | None]:
    """For each checkpoint what changed since the one before; None for the first."""
    return [None, *(flips(a, b) for a, b in pairwise(series.points))]


def checkpoint_rows(told: Told) -> list[list[str]]:
    """One row per checkpoint."""
    rows = []
    for one in told.evolved.series:
        for place, (point, change) in enumerate(zip(one.points, steps_between(one), strict=True)):
            tokens, cut, silent = behaviour_of(point)
            changed = ["", ""] if change is None else [str(change.gained), str(change.lost)]
            rows.append(
                [
                    one.label,
                    name_of(point),
                    str(point.scored.step),
                    score(told.scores.get((one.name, place, None))),
                    f"{tokens:.1f}",
                    f"{100 * cut:.1f} %",
                    f"{100 * silent:.1f} %",
                    *changed,
                ]
            )
    return rows


def domain_rows(told: Told) -> list[list[str]]:
    """One row per checkpoint, one column per domain."""
    domains = list(told.evolved.domains())
    return [
        [
            one.label,
            name_of(point),
            *(score(told.scores.get((one.name, place, domain))) for domain in domains),
        ]
        for one in told.evolved.series
        for place, point in enumerate(one.points)
    ]


def stopping_rows(told: Told) -> list[list[str]]:
    """One row per training."""
    rows = []
    for one in told.evolved.series:
        found = told.stops[one.name]
        if isinstance(found, str):
            rows.append([one.label, "unknown", "", found, "", "", "", ""])
            continue
        point, (left, right) = one.points[found.chosen], found.plateau
        rows.append(
            [
                one.label,
                name_of(point),
                str(point.scored.step),
                score(found.reported),
                name_of(one.points[found.best]),
                f"{one.steps[left]} to {one.steps[right]}" if right > left else "none",
                apart(found.to_last) if found.to_last else "it is the last",
                f"{100 * found.optimism:+.1f}",
            ]
        )
    return rows


def check_rows(told: Told, checks: Sequence[Check]) -> list[list[str]]:
    """One row per rule and domain."""
    rows = []
    for check in checks:
        one = told.series(check.series)
        rewards = (
            "" if check.rewards is None else f"{check.rewards[0]:.3f} to {check.rewards[1]:.3f}"
        )
        detectable = "unknown" if check.detectable is None else f"{100 * check.detectable:.1f}"
        rows.append(
            [
                one.label,
                check.domain,
                check.rule,
                name_of(one.points[check.before]),
                name_of(one.points[check.after]),
                str(check.n),
                apart(check.difference),
                probability(check.adjusted),
                detectable,
                rewards,
                check.verdict,
            ]
        )
    return rows


def sentence(told: Told, series: Series) -> str:
    """Where one training should have stopped, and what went wrong."""
    found = told.stops[series.name]
    raised = [
        f"{check.domain} ({check.verdict.removeprefix('alarm: ')})"
        for check in told.alarms
        if check.series == series.name
    ]
    alarms = f"alarms: {'; '.join(raised)}" if raised else "no alarm"
    if isinstance(found, str):
        return f"{series.label}: no stopping point: {found}; {alarms}."
    (left, right), last = found.plateau, len(series.points) - 1
    if right > left:
        state = (
            f"plateau from step {series.steps[left]} to "
            f"{series.steps[right]}{', the last' if right == last else ''}"
        )
    else:
        state = "no plateau: the last is the best" if found.best == last else "no plateau"
    stop = f"stop at {name_of(series.points[found.chosen])} (step {series.steps[found.chosen]})"
    if series.steps[found.chosen] == 0:
        stop = f"no checkpoint is shown to be better than {name_of(series.points[0])}"
    return (
        f"{series.label}: {stop}: {score(found.reported)} on the problems that did not choose "
        f"it; {state}; {alarms}."
    )


def detectable_line(told: Told) -> str:
    """The difference between first and last checkpoint that so many problems could find."""
    parts = []
    for one in told.evolved.series:
        found = [
            f"{check.domain} "
            f"{'unknown' if check.detectable is None else f'{100 * check.detectable:.1f}'}"
            for check in told.checks
            if check.series == one.name and check.rule == "forgetting"
        ]
        if found:
            parts.append(f"{one.label}: {', '.join(found)}")
    return (
        f"Detectable with 80 % power, first against last checkpoint, points: {'; '.join(parts)}."
        if parts
        else ""
    )


def sources(told: Told) -> list[str]:
    """Numbered files."""
    return [f"[{number}] {path}" for number, path in enumerate(told.evolved.found.files, start=1)]


def plain(told: Told, seeds: Sequence[list[str]] = ()) -> str:
    """``report.txt``: what `orch report` prints; ``seeds`` is the table of means over seeds, if
    there are any."""
    parts = [
        textwrap.fill(sentence(told, one), 100, subsequent_indent="  ")
        for one in told.evolved.series
    ]
    parts += [table(list(seeds))] if seeds else []
    parts.append(
        table([STOPPING[:4] + STOPPING[5:], *(row[:4] + row[5:] for row in stopping_rows(told))])
    )
    parts.append(table([CHECKPOINTS, *checkpoint_rows(told)]))
    if told.alarms:
        parts.append(
            table(
                [
                    CHECKS[:3] + CHECKS[6:10],
                    *(row[:3] + row[6:10] for row in check_rows(told, told.alarms)),
                ]
            )
        )
    parts += [textwrap.fill(f"{name}: {rule}", 100) for name, rule in RULES.items()]
    parts += [textwrap.fill(line, 100) for line in (detectable_line(told), READING) if line]
    if told.evolved.found.missing:
        parts.append(
            "\n".join(
                [
                    "Missing or uneven:",
                    *(
                        textwrap.fill(f"- {item}", 100, subsequent_indent="  ")
                        for item in told.evolved.found.missing
                    ),
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def markdown(told: Told, figures: Sequence[Figure], seeds: Sequence[list[str]] = ()) -> str:
    """``report.md``; the figures are linked."""
    found = told.evolved.found
    parts = [
        *(f"**{sentence(told, one)}**" for one in told.evolved.series),
        markdown_table(STOPPING, stopping_rows(told)),
        f"Scores from {labels(found.uses.get('scores', []))}.",
        markdown_table(CHECKPOINTS, checkpoint_rows(told)),
        markdown_table(["training", "checkpoint", *told.evolved.domains()], domain_rows(told)),
        "Rules:\n\n" + "\n".join(f"- {name}: {rule}" for name, rule in RULES.items()),
    ]
    parts += [markdown_table(seeds[0], list(seeds[1:]))] if seeds else []
    parts += [markdown_table(CHECKS, check_rows(told, told.checks))] if told.checks else []
    parts += [
        f"![{figure.caption}](figures/{figure.name}.png)\n\n{figure.caption} "
        f"{labels(found.uses.get(figure.source, []))}"
        for figure in figures
    ]
    parts += [line for line in (detectable_line(told), READING) if line]
    parts += (
        ["Missing or uneven:\n\n" + "\n".join(f"- {item}" for item in found.missing)]
        if found.missing
        else []
    )
    return (
        "\n\n".join([*parts, "Sources:\n\n" + "\n".join(f"- {line}" for line in sources(told))])
        + "\n"
    )
