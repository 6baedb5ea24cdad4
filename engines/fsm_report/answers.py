"""Each question answered in one line with its figures, or not decided, and why.

A group is compared with another one by the 95 % interval of the difference of their means over
seeds: equal if it lies within the margin, better or worse if it lies on one side of 0, and
otherwise the seeds are too few to say.

In: a question of the config, and what the jobs left. Out: an ``Answer``. Called by report.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engines.fsm_report.config import Config, Question
from engines.fsm_report.load import Group, Inputs
from engines.fsm_report.summary import (
    BEST,
    UNTRAINED,
    Summary,
    counting,
    difference,
    last_layer,
    looked_up,
    probed,
    summarise,
)
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.text import percent, percent_with_interval, points

ACCURACY = "test accuracy"
PROBE = "next state read by a probe from the last layer"
LOOKED_UP = "way from counting to the ceiling"
"""What groups are compared by that were judged on unlike machines, whose accuracies are not
comparable."""
NOT_DECIDED = "not decided"


@dataclass(frozen=True)
class Answer:
    """One question with its answer."""

    question: Question
    verdict: str
    """yes, no, or not decided."""
    text: str
    """The figures."""

    @property
    def sentence(self) -> str:
        """The question and its answer in a line."""
        return f"{self.question.ask} {self.verdict.capitalize()}: {self.text}."


def answer(question: Question, inputs: Inputs, config: Config) -> Answer:
    """Answer one question."""
    for name in filter(None, (question.first, question.second)):
        reason = why_not_judged(name, inputs)
        if reason:
            return Answer(question, NOT_DECIDED, reason)
    first = inputs.groups[question.first]
    if question.second:
        second = inputs.groups[question.second]
        given = compared(question, first, second, config)
    else:
        second, given = None, learned(question, first, config)
    return replace(given, text=f"{given.text}; {under(first, second)}; {on(first, second)}")


def why_not_judged(name: str, inputs: Inputs) -> str:
    """Why nothing can be said of a group; "" if something can."""
    group = inputs.groups.get(name)
    if group is None:
        return f"no job of {name} was planned"
    if group.finished:
        return ""
    if group.skipped:
        return f"{name}: skipped, {group.skipped[0]}"
    return f"{name}: no job of it is done"


def under(first: Group, second: Group | None) -> str:
    """Which of the optimiser's settings an answer holds for."""
    if second is None or first.settings == second.settings:
        return f"settings: {first.settings}"
    return f"settings: {first.settings} against {second.settings}"


def on(first: Group, second: Group | None) -> str:
    """Which machines an answer holds for."""
    kinds = [first.kind_of_machines]
    if second is not None and second.kind_of_machines not in kinds:
        kinds.append(second.kind_of_machines)
    return f"machines: {' against '.join(kinds)}"


def learned(question: Question, group: Group, config: Config) -> Answer:
    """Whether the mean over seeds reaches what counts as learned."""
    values = group.values("test_accuracy", BEST)
    summary, top = summarise(values), summarise(group.values("ceiling_accuracy", {}))
    if summary is None or top is None:
        text = f"{group.name}: no test accuracy could be computed"
        return Answer(question, NOT_DECIDED, text)
    reached = sum(value >= config.learned for value in values)
    text = (
        f"test accuracy {spread(summary)}, ceiling {percent(top.mean)}; {reached} of "
        f"{len(values)} seeds reach {percent(config.learned)}"
    )
    # One seed has no interval, and decides nothing.
    if summary.interval is not None:
        if summary.interval.low >= config.learned:
            return Answer(question, "yes", text)
        if summary.interval.high < config.learned:
            return Answer(question, "no", text)
    return Answer(question, NOT_DECIDED, f"n too small; {text}")


def compared(question: Question, first: Group, second: Group, config: Config) -> Answer:
    """Whether ``first`` matches, or is better than, ``second``."""
    what, ours, theirs = measured(first, second)
    # Who does worse than counting is below 0 on the way from there to the ceiling.
    low = -math.inf if what == LOOKED_UP else 0.0
    left, right = summarise(ours, low), summarise(theirs, low)
    if left is None or right is None:
        return Answer(question, NOT_DECIDED, f"no {what} could be computed")
    beside = ""
    if what == PROBE:
        beside = beside_probes(first, second)
    elif what == ACCURACY:
        beside = beside_counting(first, second)
    text = f"{what} {spread(left)} against {spread(right)}{beside}"
    if min(left.n, right.n) < 2:
        return Answer(question, NOT_DECIDED, f"n too small; {text}")
    apart = difference(ours, theirs)
    # "+2.0 [-1.5, +5.5]" is cut in two, so that "points" can stand in between.
    value, _, interval = points(apart).partition(" ")
    verdict, text = judge(question.kind, apart, config.margin, f"{text}: {value} points {interval}")
    return Answer(question, verdict, text)


def measured(first: Group, second: Group) -> tuple[str, list[float], list[float]]:
    """What two groups are compared by, and its values."""
    if first.engine == "probe":
        ours, theirs = (
            probed(group, "probe_accuracy", "next_state", last_layer(group))
            for group in (first, second)
        )
        return PROBE, ours, theirs
    # Accuracies on unlike machines have unlike ceilings and floors.
    if first.machines == second.machines:
        ours, theirs = (group.values("test_accuracy", BEST) for group in (first, second))
        return ACCURACY, ours, theirs
    return LOOKED_UP, looked_up(first), looked_up(second)


def beside_probes(first: Group, second: Group) -> str:
    """What probes are read against: the untrained networks, and selectivity."""
    parts = []
    for name, metric, network in (
        (UNTRAINED, "probe_accuracy", UNTRAINED),
        ("selectivity", "probe_selectivity", "trained"),
    ):
        means = []
        for group in (first, second):
            values = probed(group, metric, "next_state", last_layer(group), network)
            summary = summarise(values, -1.0)
            if summary:
                means.append(percent(summary.mean))
        parts.append(f"{name} {' and '.join(means)}")
    return f" ({', '.join(parts)})"


def beside_counting(first: Group, second: Group) -> str:
    """That neither model does better than counting, where that is so; else ""."""
    floors = []
    for group in (first, second):
        floor = summarise(counting(group))
        reached = summarise(group.values("test_accuracy", BEST))
        if floor is None or reached is None or reached.mean > floor.mean:
            return ""
        floors.append(floor.mean)
    # Both were judged on the same machines, so the floor of one says enough.
    return f" (neither does better than counting, {percent(floors[0])})"


def spread(summary: Summary) -> str:
    """``96.1 [95.2, 97.0], n = 3``; of one seed the value alone."""
    return f"{mean_and_interval(summary)}, n = {summary.n}"


def mean_and_interval(summary: Summary) -> str:
    """``96.1 [95.2, 97.0]``; of one seed the value alone."""
    if summary.interval is None:
        return percent(summary.mean)
    return percent_with_interval(summary.interval)


def judge(kind: str, apart: Interval, margin: float, shown: str) -> tuple[str, str]:
    """Verdict and text from the interval of a difference."""
    # The order below decides where two hold: a difference clearly above 0 and within the margin is
    # "better" and a match; one clearly below 0 and within the margin still is a match.
    equal = -margin < apart.low and apart.high < margin
    if kind == "better" and apart.low > 0:
        return "yes", shown
    if kind == "match" and apart.low > 0:
        return "yes", f"{shown}, it is the better one"
    if kind == "match" and equal:
        return "yes", shown
    if apart.high < 0:
        return "no", shown
    if kind == "better" and equal:
        return "no", f"{shown}, equal within {100 * margin:g} points"
    return NOT_DECIDED, f"n too small; {shown}"
