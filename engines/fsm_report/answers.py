"""Each question answered in one line with its figures, or not decided, and why.

A group is compared with another one by the 95 % interval of the difference of their means over
seeds: equal if it lies within the margin, better or worse if it lies on one side of 0, and
otherwise the seeds are too few to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from engines.fsm_report.config import Config, Question
from engines.fsm_report.load import Found, Group
from engines.fsm_report.summary import (
    BEST,
    Summary,
    counting,
    difference,
    looked_up,
    probed,
    summarise,
    trained,
)
from engines.shared.reporting.statistics import Interval

LOOKED_UP = "way from counting to the ceiling"
"""What groups are compared by that were judged on unlike machines, whose accuracies are not
comparable."""


@dataclass(frozen=True)
class Answer:
    """One question with its answer."""

    question: Question
    verdict: str
    """yes, no, or not decided."""
    text: str
    """The figures."""


def points(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f}"


def spread(found: Summary) -> str:
    """``96.1 [95.2, 97.0], n = 3``; of one seed the value alone."""
    between = (
        ""
        if found.interval is None
        else f" [{points(found.interval.low)}, {points(found.interval.high)}]"
    )
    return f"{points(found.mean)}{between}, n = {found.n}"


def measured(first: Group, second: Group) -> tuple[str, list[float], list[float]]:
    """What two groups are compared by, and its values."""
    if first.engine == "probe":
        values = [
            probed(group, "probe_accuracy", "next_state", trained(group)[0][1])
            for group in (first, second)
        ]
        return "next state read by a probe from the last layer", values[0], values[1]
    if first.machines == second.machines:
        return (
            "test accuracy",
            first.values("test_accuracy", BEST),
            second.values("test_accuracy", BEST),
        )
    return LOOKED_UP, looked_up(first), looked_up(second)


def beside(first: Group, second: Group, what: str) -> str:
    """What a comparison is read against: untrained networks and selectivity of probes, counting
    where neither model does better."""
    if first.engine == "probe":
        parts = []
        for name, metric, network in (
            ("untrained", "probe_accuracy", "untrained"),
            ("selectivity", "probe_selectivity", "trained"),
        ):
            values = [
                summarise(probed(group, metric, "next_state", trained(group)[0][1], network), -1.0)
                for group in (first, second)
            ]
            parts.append(f"{name} {' and '.join(points(value.mean) for value in values if value)}")
        return f" ({', '.join(parts)})"
    floors = [summarise(counting(group)) for group in (first, second)]
    reached = [summarise(group.values("test_accuracy", BEST)) for group in (first, second)]
    below = all(
        floor and value and value.mean <= floor.mean
        for floor, value in zip(floors, reached, strict=True)
    )
    return (
        f" (neither does better than counting, {points(floors[0].mean)})"
        if below and floors[0] and what == "test accuracy"
        else ""
    )


def answer(question: Question, found: Found, config: Config) -> Answer:
    """Answer one question."""
    for name in filter(None, (question.first, question.second)):
        group = found.groups.get(name)
        if group is None:
            return Answer(question, "not decided", f"no job of {name} was planned")
        if not group.finished:
            why = f"skipped, {group.skipped[0]}" if group.skipped else "no job of it is done"
            return Answer(question, "not decided", f"{name}: {why}")
    first = found.groups[question.first]
    second = found.groups[question.second] if question.second else None
    plain = (
        learned(question, first, config)
        if second is None
        else compared(question, first, second, config)
    )
    return replace(plain, text=f"{plain.text}; {under(first, second)}; {on(first, second)}")


def under(first: Group, second: Group | None) -> str:
    """Which of the optimiser's settings an answer holds for."""
    if second is None or first.settings == second.settings:
        return f"settings: {first.settings}"
    return f"settings: {first.settings} against {second.settings}"


def on(first: Group, second: Group | None) -> str:
    """Which machines an answer holds for."""
    kinds = list(
        dict.fromkeys(
            group.machines.partition(" (")[0] for group in (first, second) if group is not None
        )
    )
    return f"machines: {' against '.join(kinds)}"


def learned(question: Question, group: Group, config: Config) -> Answer:
    """Whether the mean over seeds reaches what counts as learned."""
    values = group.values("test_accuracy", BEST)
    summary, top = summarise(values), summarise(group.values("ceiling_accuracy", {}))
    if summary is None or top is None:
        return Answer(question, "not decided", f"{group.name}: no test accuracy could be computed")
    reached = sum(value >= config.learned for value in values)
    text = (
        f"test accuracy {spread(summary)}, ceiling {points(top.mean)}; {reached} of "
        f"{len(values)} seeds reach {points(config.learned)}"
    )
    if summary.interval is None:
        return Answer(question, "not decided", f"n too small; {text}")
    if summary.interval.low >= config.learned:
        return Answer(question, "yes", text)
    return Answer(
        question,
        "no" if summary.interval.high < config.learned else "not decided",
        text if summary.interval.high < config.learned else f"n too small; {text}",
    )


def compared(question: Question, first: Group, second: Group, config: Config) -> Answer:
    """Whether ``first`` matches, or is better than, ``second``."""
    what, ours, theirs = measured(first, second)
    low = -math.inf if what == LOOKED_UP else 0.0  # who does worse than count is below 0
    left, right = summarise(ours, low), summarise(theirs, low)
    if left is None or right is None:
        return Answer(question, "not decided", f"no {what} could be computed")
    text = f"{what} {spread(left)} against {spread(right)}{beside(first, second, what)}"
    if min(left.n, right.n) < 2:
        return Answer(question, "not decided", f"n too small; {text}")
    apart = difference(ours, theirs)
    shown = (
        f"{text}: {100 * apart.value:+.1f} points [{100 * apart.low:+.1f}, {100 * apart.high:+.1f}]"
    )
    return Answer(question, *judge(question.kind, apart, config.margin, shown))


def judge(kind: str, apart: Interval, margin: float, shown: str) -> tuple[str, str]:
    """Verdict and text from the interval of a difference."""
    if kind == "better" and apart.low > 0:
        return "yes", shown
    if kind == "match" and apart.low > -margin and (apart.low > 0 or apart.high < margin):
        return "yes", shown + ("" if apart.low <= 0 else ", it is the better one")
    if apart.high < 0:
        return "no", shown
    if kind == "better" and -margin < apart.low and apart.high < margin:
        return "no", f"{shown}, equal within {100 * margin:g} points"
    return "not decided", f"n too small; {shown}"
