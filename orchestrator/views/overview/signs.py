"""The signs and words for the states of jobs and the decisions of gates, for people.

In: states. Out: signs, words and colours. Pure. Called by all views that show a state; programs get
Slurm's own words, which `orch why` and a line per change say too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.runs.record import JobState


@dataclass(frozen=True)
class Sign:
    """How a state looks. It is never told by its colour alone."""

    sign: str
    word: str
    colour: str = ""


SIGNS: Mapping[JobState, Sign] = {
    JobState.FAILED: Sign("✗", "failed", "red"),
    JobState.OUT_OF_MEMORY: Sign("✗", "out of memory", "red"),
    JobState.TIMEOUT: Sign("✗", "out of time", "red"),
    JobState.NODE_FAIL: Sign("✗", "node failed", "red"),
    JobState.PREEMPTED: Sign("✗", "preempted", "red"),
    JobState.UNKNOWN: Sign("?", "unknown", "magenta"),
    JobState.RUNNING: Sign("▶", "running", "cyan"),
    JobState.COMPLETING: Sign("▶", "ending", "cyan"),
    JobState.SUSPENDED: Sign("·", "suspended", "yellow"),
    JobState.PENDING: Sign("·", "queued", "yellow"),
    JobState.WAITING: Sign("·", "waiting", "dim"),
    JobState.COMPLETED: Sign("✓", "done", "green"),
    JobState.CANCELLED: Sign("–", "stopped", "dim"),
    JobState.SKIPPED: Sign("–", "skipped", "dim"),
}
"""In the order in which they are counted: what a person has to look at comes first."""
ORDER = list(SIGNS)
UNDECIDED = "undecided"
"""Of a gate or a choice for which values are missing."""


def word_of(state: JobState) -> str:
    """A state in plain words."""
    return SIGNS[state].word


def decision_word(decision: str) -> str:
    """What a gate has decided, for people. A gate that is "open" would let jobs through, where the
    files say so of one that has decided nothing."""
    return UNDECIDED if decision == "open" else decision


def worst(states: Iterable[JobState]) -> JobState:
    """The state of several jobs that a person has to know first."""
    return min(states, key=ORDER.index)


def counts_text(counts: Mapping[JobState, int]) -> str:
    """``8 failed, 16 done``."""
    known = sorted(counts.items(), key=lambda item: ORDER.index(item[0]))
    return ", ".join(f"{count:,} {word_of(state)}" for state, count in known if count)


def states_text(states: Iterable[JobState]) -> str:
    """Of several jobs: the one word for all, or how many are in which state."""
    counts = Counter(states)
    if len(counts) == 1:
        return word_of(next(iter(counts)))
    return counts_text(counts)
