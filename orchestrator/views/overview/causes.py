"""What failed, was stopped, skipped or waits, below the table: like jobs together, with what they
have in common.

In: a run and its records. Out: lines of text, two for a cause: what it is of which jobs, and what
the log says. Called by summary.py. The whole story of one job is `orch why`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from jobs.stages import Point
from orchestrator.lifecycle.deaths.kinds import ADVICE, AGAIN, Kind
from orchestrator.runs.record import FAILED, JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.views.held import reason_of
from orchestrator.views.moments import joined
from orchestrator.views.overview.signs import SIGNS, word_of
from orchestrator.views.overview.stages import by_stage
from orchestrator.views.tables.drawing import Screen, sentence
from orchestrator.views.tables.folding import are_all, common_text, counted, values_of
from orchestrator.views.tables.words import cut

INDENT = "    "
UNCHANGED = frozenset(Kind) - AGAIN
"""What a retry without a name leaves alone."""
MOST = 8
"""Groups of a kind that are told on a terminal."""
BEHIND = re.compile(r"needs (?P<job>.+), which (?:is [A-Z_]+|did not complete)$")
"""The reason of a job that another one was in the way of."""


CLASS = re.compile(r"^(?:[\w.]*(?:Error|Exception): )?(?:\[Errno \d+\] )?")
"""What an exception's message begins with, and the kind says in words."""


@dataclass(frozen=True)
class Cause:
    """Why a job failed, in the parts that its reason holds."""

    kind: str
    line: str
    """What its log or the scheduler says."""
    advice: str
    """What to do; empty: nothing is known."""


def cause_of(record: Record) -> Cause:
    """The parts of a failed record's reason."""
    kind, text = record.cause, record.reason
    advice = ADVICE[Kind(kind)] if kind in set(Kind) else ""
    if not record.died_of or kind == Kind.UNKNOWN or not advice:
        # ``exit code 3: the answer``
        told, _, line = text.partition(": ")
        if line and told.startswith("exit code"):
            return Cause(told, line, "")
        return Cause(word_of(record.state), text, "")
    told, _, more = text.partition(f"; {advice}")
    before, _, line = told.partition(f"{kind}: ")
    line = line or told.removesuffix(kind)
    # ``node gpu7 ended first: NaN: ...``, and what the policy of retries has added.
    line = f"{before}{line}" if before else line
    return Cause(kind, CLASS.sub("", line.strip()), f"{advice}{more}")


def failed_groups(records: Sequence[Record]) -> list[list[Record]]:
    """The jobs of a stage that died of the same, together."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.state in FAILED and record.state is not JobState.CANCELLED:
            cause = cause_of(record)
            # Steps, sizes and times differ from job to job.
            words = re.sub(r"\d+", "0", cause.line)
            groups.setdefault((record.stage, cause.kind, words), []).append(record)
    return list(groups.values())


def failed_lines(run: Run, records: Sequence[Record], screen: Screen) -> Iterator[Text]:
    """Each cause of death with the jobs that died of it, then what to do."""
    groups = failed_groups(records)
    if not groups:
        return
    yield from heading("Failed")
    parts = Parts(run, records)
    for group in shown(groups, screen):
        cause = cause_of(group[0])
        jobs = parts.text(group)
        yield from sign_line("✗", f"{cause.kind}:", jobs, screen, "red")
        yield one_line(cause, screen)
    yield from more_line(len(groups), screen)


def one_line(cause: Cause, screen: Screen) -> Text:
    """What the log says, cut at its end, and what to do if there is room for all of that."""
    line = cause.line or cause.advice
    both = joined(f"{line}; {cause.advice}") if cause.advice and cause.line else line
    if screen.width is None:
        return Text(f"{INDENT}{both}")
    room = screen.width - len(INDENT)
    return Text(f"{INDENT}{both if cell_len(both) <= room else cut(line, room)}")


def stopped(records: Sequence[Record]) -> list[Record]:
    """What was cancelled, or never began because of another job."""
    return [one for one in records if one.state is JobState.CANCELLED]


def skipped(records: Sequence[Record]) -> list[Record]:
    """What the gates have skipped, with what hangs on it."""
    return [one for one in records if one.state is JobState.SKIPPED]


def waiting(records: Sequence[Record]) -> list[Record]:
    """What waits for more than the jobs before it: a gate, a limit, a person, the scheduler."""
    found = []
    for one in records:
        waits = one.state in (JobState.WAITING, JobState.PENDING, JobState.UNKNOWN)
        if waits and one.reason and one.waits_on is not Wait.PARENTS and one.reason != "Dependency":
            found.append(one)
    return found


GROUPS: dict[str, Callable[[Sequence[Record]], list[Record]]] = {
    "Waiting": waiting,
    "Not run": stopped,
    "Skipped": skipped,
}
"""Headings below the table, each with its jobs."""


def lines_of(title: str, run: Run, records: Sequence[Record], screen: Screen) -> Iterator[Text]:
    """Like jobs of a heading with the reason that they share."""
    groups = reason_groups(GROUPS[title](records))
    if not groups:
        return
    yield from heading(title)
    parts = Parts(run, records)
    for reason in shown(list(groups), screen):
        group = groups[reason]
        names = {stage: parts.text(members) for stage, members in by_stage(group).items()}
        jobs = next(iter(names.values()))
        if len(names) > 1:
            jobs = f"{', '.join(names)} ({counted(len(group), 'job')})"
        sign = SIGNS[group[0].state].sign
        together = f"{jobs}: {reason}"
        if reason and (screen.width is None or cell_len(together) + 2 <= screen.width):
            jobs, reason = together, ""
        yield from sign_line(sign, "", jobs, screen, "")
        if reason:
            yield from sentence(reason, screen, INDENT, "dim")
    yield from more_line(len(groups), screen)


def reason_groups(some: Sequence[Record]) -> dict[str, list[Record]]:
    """Jobs by the reason that they share."""
    by_name = {record.name: record for record in some}
    groups: dict[str, list[Record]] = {}
    for record in some:
        groups.setdefault(root_reason(record, by_name), []).append(record)
    return groups


def root_reason(record: Record, others: dict[str, Record]) -> str:
    """The reason of a job; of one that another job of the same state is in the way of, that
    one's."""
    reason, seen = reason_of(record), {record.name}
    while (found := BEHIND.match(reason)) and found["job"] in others:
        parent = others[found["job"]]
        if parent.name in seen:
            break
        seen.add(parent.name)
        reason = reason_of(parent)
    return reason


class Parts:
    """Which part of its stage a group of jobs is. Each stage is looked at once, as each of its
    thousands of jobs may have a reason of its own."""

    def __init__(self, run: Run, records: Sequence[Record]) -> None:
        self.run = run
        self.stages = by_stage(records)
        self.known: dict[str, tuple[list[Point], dict[str, list[str]]]] = {}

    def text(self, some: Sequence[Record]) -> str:
        """``all 6 jobs of train, lr 0.003``: of a stage those that a group holds, by the axes in
        which they are fewer; ``all``: each job with these values is among them."""
        stage = some[0].stage
        # Of a stage of one job there is nothing to tell.
        if len(self.stages[stage]) == 1:
            return stage
        if stage not in self.known:
            points = [self.run.by_name[one.name].axes for one in self.stages[stage]]
            self.known[stage] = (points, values_of(points))
        every, of_all = self.known[stage]
        points = [self.run.by_name[one.name].axes for one in some]
        is_all = len(some) > 1 and are_all(points, every)
        text = f"{'all ' if is_all else ''}{counted(len(some), 'job')} of {stage}"
        common = common_text(points, every, of_all)
        return f"{text}, {common}" if common else text


def advice_line(records: Sequence[Record], screen: Screen) -> Iterator[Text]:
    """The commands to copy after a failure."""
    failed = [one for one in records if one.state in FAILED and one.state is not JobState.CANCELLED]
    if failed:
        why = f"what to do: orch why {shlex.quote(failed[0].name)}"
        again = retry_words(failed)
        together = f"{why}    {again}"
        fits = screen.width is None or cell_len(together) <= screen.width
        yield Text()
        for words in [together] if fits else [why, again]:
            yield Text(words)


def retry_words(failed: Sequence[Record]) -> str:
    """How failed jobs are submitted again. Where all have died of what another attempt does not
    change, a retry takes them only by name."""
    if not all(record.cause in UNCHANGED for record in failed):
        return "run again: orch retry"
    stages = dict.fromkeys(record.stage for record in failed)
    return " ".join(["once mended: orch retry", *(f"--job {name}" for name in stages)])


def heading(title: str) -> Iterator[Text]:
    """A part of the page."""
    yield Text()
    yield Text(title, style="bold")


def shown(groups: list[Any], screen: Screen) -> list[Any]:
    """The groups that are told: of many on a terminal the first ones."""
    return groups if screen.height is None else groups[:MOST]


def more_line(count: int, screen: Screen) -> Iterator[Text]:
    """How many groups are not told."""
    if screen.height is not None and count > MOST:
        yield Text(f"{INDENT}and {count - MOST} more", style="dim")


def sign_line(sign: str, mark: str, text: str, screen: Screen, colour: str) -> Iterator[Text]:
    """A sign, what is loud, and the rest, broken between words."""
    whole = f"{sign} {mark} {text}" if mark else f"{sign} {text}"
    loud = len(sign) + 1 + len(mark)
    for number, line in enumerate(sentence(whole, screen)):
        if not number:
            line.stylize(f"bold {colour}" if colour else "", 0, min(loud, len(line)))
        yield line
