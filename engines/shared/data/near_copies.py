"""Near copies: training problems that repeat a part of a test problem and are not the same.

In: problems of a training by task, and those of an evaluation. Out: the training problems that
share a long run of words with one of the evaluation, each with that one. A warning and no more:
``contamination.py`` counts them for trainings and reports, ``preparation.py`` for what it splits;
what is refused or dropped are exact copies alone. ``near_pairs`` does the same within one list of
texts: the engine ``polychromic_data`` keeps such texts on one side.

The measure is that of GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C): a run of 13 words in
common, without regard to case and punctuation, unless more than ten problems have it. It departs
from there in three ways. In a problem of fewer than 26 words one changed word may break every run
of 13, so half of its runs of 3 words are asked for instead. In a long one a run of 13 may be a
phrase, so a twentieth of its runs are asked for. And sentences that many problems have ("Please
output the final answer within \\boxed{}.") are left out before, because a run of 13 words would
often be their end and the next sentence. Rewordings are not found, nor are copies in languages that
do not divide words.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engines.contract.counting.counts import counted
from engines.shared.data.problems import Problem, asked, content_key

LONG_RUN = 13
SHORT_RUN = 3
LONG_PROBLEM = 2 * LONG_RUN
"""Words from which on one run of ``LONG_RUN`` says something."""
LONG_SHARE = 0.05
"""Of its runs a problem of 26 words keeps one of 14 when a word in its middle is changed. Less than
a twentieth is a phrase, such as "where m and n are relatively prime positive integers"."""
SHORT_SHARE = 0.5
"""Of its runs a problem of 8 words keeps three of 6 when a word in its middle is changed."""
SHORTEST = 8
"""Words of two letters or more that a problem must have; formulas are alike by chance."""
COMMON = 10
"""What more problems have is a template's, not a problem's."""

SENTENCE_END = re.compile(r"[.!?:]\s+|\n+")
WORD = re.compile(r"\w+")

Words = tuple[str, ...]
Run = tuple[str, ...]


@dataclass(frozen=True)
class NearCopy:
    """A training problem, the test problem that it repeats most of, and how much."""

    problem: Problem
    other: Problem
    share: float
    """Share of the other's runs of words that the problem has, in 0 to 1."""


@dataclass
class Runs:
    """Runs of one length in test problems."""

    length: int
    owners: dict[Run, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Which test problems, by number, have a run."""
    totals: dict[int, int] = field(default_factory=dict)
    """How many runs a test problem has."""

    def add(self, number: int, words: Words) -> None:
        """Take in the runs of a test problem."""
        own = set(runs(words, self.length))
        self.totals[number] = len(own)
        for run in own:
            self.owners[run].append(number)


def near_copies(
    tasks: Mapping[str, Sequence[Problem]], tested: Sequence[Problem]
) -> dict[str, list[NearCopy]]:
    """Per task the problems that nearly repeat one of ``tested``, those with the largest share
    first; problems that are in ``tested`` themselves are none."""
    flat = [(task, problem) for task, problems in tasks.items() for problem in problems]
    shares = shares_of_runs(
        [sentences(asked(problem)) for _, problem in flat],
        [sentences(asked(problem)) for problem in tested],
    )
    same = {content_key(problem) for problem in tested}
    copies: dict[str, list[NearCopy]] = {task: [] for task in tasks}
    for place, of_others in shares.items():
        task, problem = flat[place]
        if content_key(problem) not in same:
            number = max(of_others, key=of_others.__getitem__)
            copies[task].append(NearCopy(problem, tested[number], of_others[number]))
    for near in copies.values():
        near.sort(key=lambda copy: -copy.share)
    return copies


def near_pairs(texts: Sequence[str]) -> set[tuple[int, int]]:
    """Places of two texts of which one repeats a part of the other, the smaller place first; copies
    among them."""
    words = [sentences(text) for text in texts]
    return {
        (min(place, number), max(place, number))
        for place, of_others in shares_of_runs(words, words).items()
        for number in of_others
        if number != place
    }


def shares_of_runs(
    texts: Sequence[list[Words]], test_texts: Sequence[list[Words]]
) -> dict[int, dict[int, float]]:
    """For each text, by place, the test texts, by number, of whose runs it has enough, and what
    share of them."""
    templates = common_sentences(texts) | common_sentences(test_texts)
    long, short = index([without(text, templates) for text in test_texts])
    words = [without(text, templates) for text in texts]
    shares: dict[int, dict[int, float]] = defaultdict(dict)
    for kind, enough in ((long, LONG_SHARE), (short, SHORT_SHARE)):
        for place, found in matches(words, kind).items():
            for number, count in found.items():
                if count / kind.totals[number] >= enough:
                    shares[place][number] = count / kind.totals[number]
    return shares


def sentences(text: str) -> list[Words]:
    """What is asked, as the words of each sentence or line."""
    parts = SENTENCE_END.split(text.casefold())
    # A word that comes a million times is one object: a third of the memory.
    return [tuple(map(sys.intern, WORD.findall(part))) for part in parts]


def common_sentences(texts: Sequence[list[Words]]) -> set[Words]:
    """Sentences that more than ``COMMON`` texts have, or, of three texts or more, most."""
    counts = Counter(sentence for text in texts for sentence in set(text))
    most = min(COMMON, max(len(texts) / 2, 2))
    return {sentence for sentence, count in counts.items() if count > most}


def without(text: list[Words], templates: set[Words]) -> Words:
    """The words of the sentences that are no template's; none if they are too few to compare."""
    words = tuple(word for sentence in text if sentence not in templates for word in sentence)
    real = sum(len(word) > 1 and not word.isdigit() for word in words)
    return words if real >= SHORTEST else ()


def runs(words: Words, length: int) -> Iterable[Run]:
    """All runs of so many words. zip makes them many times as fast as slices would."""
    return zip(*(words[start:] for start in range(length)), strict=False)


def index(texts: Sequence[Words]) -> tuple[Runs, Runs]:
    """The runs of long test problems and those of short ones, without those of templates."""
    long, short = Runs(LONG_RUN), Runs(SHORT_RUN)
    for number, words in enumerate(texts):
        if words:
            (long if len(words) >= LONG_PROBLEM else short).add(number, words)
    for kind in (long, short):
        common = [run for run, owners in kind.owners.items() if len(owners) > COMMON]
        for run in common:
            del kind.owners[run]
    return long, short


def matches(texts: Sequence[Words], kind: Runs) -> dict[int, Counter[int]]:
    """For each text, by place, how many runs it has in common with which test problems. Runs that
    more than ``COMMON`` texts have do not count."""
    known = set(kind.owners)
    if not known:
        return {}
    found: dict[int, set[Run]] = {}
    for place, words in enumerate(counted("looking for near copies", texts)):
        shared = known.intersection(runs(words, kind.length))
        if shared:
            found[place] = shared
    counts = Counter(run for shared in found.values() for run in shared)
    matched: dict[int, Counter[int]] = {}
    for place, shared in found.items():
        rare = [run for run in shared if counts[run] <= COMMON]
        matched[place] = Counter(number for run in rare for number in kind.owners[run])
    return matched


def told_of_splits(parts: Mapping[str, Mapping[str, Sequence[Problem]]]) -> str:
    """What ``told`` says of training problems that nearly repeat one of the other splits, of
    whichever task."""
    training: dict[str, Sequence[Problem]] = {}
    held_out: list[Problem] = []
    for task, by_split in parts.items():
        for split, problems in by_split.items():
            if split == "train":
                training[task] = problems
            else:
                held_out += problems
    return told(near_copies(training, held_out))


def told(copies: Mapping[str, Sequence[NearCopy]]) -> str:
    """How many near copies each task has, and the nearest of all, in words; "" for none."""
    counts = ", ".join(f"{task} {len(near)}" for task, near in copies.items() if near)
    if not counts:
        return ""
    nearest = max((near[0] for near in copies.values() if near), key=lambda copy: copy.share)
    return (
        f"{counts}; such as {beginning(nearest.problem)}, which has {nearest.share:.0%} of the "
        f"runs of words of {beginning(nearest.other)}"
    )


def beginning(problem: Problem) -> str:
    """The beginning of what is asked, on one line."""
    text = " ".join(asked(problem).split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
