"""What an arm has reached: more diversity than asked, with its quality kept, or not.

In: the changes of an arm against the arm without the diversity term. Out: a standing for every
question of the decision tree, and the conclusion of the tree. Called by report.py.

Diversity alone can be bought with nonsense: an arm counts only if it is shown that its different
valid replies are not fewer, and its cross-entropy or a judge's preference not worse, by more than a
stated margin. "Not shown" is no yes, as in any test of non-inferiority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engines.polychromic_report.compare import Change
from engines.polychromic_report.config import Level, Margins

Answer = Literal["yes", "no", "open", "no verdict"]
NEGATIVE, OPEN, NO_VERDICT = "negative result", "not decided", "no verdict"


@dataclass(frozen=True)
class Arm:
    """One arm against the arm without the term."""

    name: str
    weight: float
    """Of its diversity term."""
    diversity: Change | str
    """Relative change of the tree's metric; in words, why there is none."""
    unique_valid: Change | str
    """Relative change."""
    cross_entropy: Change | str
    """Difference, nats per token; below 0 is better."""
    judge: Change | str
    """The judge's preference for the arm minus 0.5; in words, why there is none."""


@dataclass(frozen=True)
class Quality:
    """Whether an arm kept its quality, and what says so."""

    kept: Answer
    because: str


@dataclass(frozen=True)
class Asked:
    """The answer of one arm to one question of the tree."""

    level: Level
    arm: Arm
    diversity: Answer
    quality: Quality

    @property
    def reached(self) -> bool:
        """Whether this arm reaches this level."""
        return self.diversity == "yes" and self.quality.kept == "yes"


@dataclass(frozen=True)
class Conclusion:
    """What the tree says of a family of arms."""

    level: str
    """The name of the level reached, NEGATIVE, OPEN, or NO_VERDICT."""
    why: str
    asked: tuple[Asked, ...]


def above(change: Change | str, threshold: float) -> Answer:
    """Whether the whole interval lies above a threshold, or wholly at or below it."""
    if isinstance(change, str) or change.estimate.seeds < 2:
        return "no verdict"
    if change.interval.low > threshold:
        return "yes"
    return "no" if change.interval.high <= threshold else "open"


def below(change: Change | str, threshold: float) -> Answer:
    """Whether the whole interval lies below a threshold."""
    if isinstance(change, str) or change.estimate.seeds < 2:
        return "no verdict"
    if change.interval.high < threshold:
        return "yes"
    return "no" if change.interval.low >= threshold else "open"


def quality(arm: Arm, margins: Margins) -> Quality:
    """Both conditions must be shown: unique valid replies, and the judge's preference or else the
    cross-entropy."""
    valid = above(arm.unique_valid, -margins.unique_valid)
    if isinstance(arm.judge, str):
        second = below(arm.cross_entropy, margins.cross_entropy)
        what, far = "cross-entropy", f"{margins.cross_entropy:g} nats per token"
    else:
        second = above(arm.judge, -margins.judge)
        what, far = "the judge's preference", f"{100 * margins.judge:g} points"
    answers = {
        f"unique valid replies (margin {100 * margins.unique_valid:g} %)": valid,
        f"{what} (margin {far})": second,
    }
    for answer, words in (
        ("no", "is worse by more than the margin"),
        ("no verdict", "cannot be compared"),
        ("open", "is not shown to be within the margin"),
    ):
        found = [name for name, one in answers.items() if one == answer]
        if found:
            return Quality(answer, f"{' and '.join(found)} {words}")  # type: ignore[arg-type]
    return Quality("yes", " and ".join(answers) + " are within the margin")


def conclude(arms: Sequence[Arm], tree: Sequence[Level], margins: Margins) -> Conclusion:
    """Walk the tree: the first level that an arm reaches with its quality kept."""
    kept = {arm.name: quality(arm, margins) for arm in arms}
    asked = []
    for level in tree:
        for arm in arms:
            if arm.weight in level.weights:
                answer = above(arm.diversity, level.above)
                asked.append(Asked(level, arm, answer, kept[arm.name]))
    for one in asked:
        if one.reached:
            return Conclusion(one.level.name, reason(one), tuple(asked))
    return Conclusion(*unreached(asked), tuple(asked))


def unreached(asked: Sequence[Asked]) -> tuple[str, str]:
    """The conclusion where no level is reached, and why."""
    if not asked:
        return NO_VERDICT, "no arm has a weight that the tree asks about"
    for one in asked:
        if "no verdict" in (one.diversity, one.quality.kept):
            return NO_VERDICT, f"{one.arm.name}: {why_none(one)}"
    # The last question is the easiest one, so what is open there is what keeps the tree open.
    for one in reversed(asked):
        if one.diversity != "no" and one.quality.kept != "no":
            return OPEN, f"{one.arm.name}: {what_is_open(one)}"
    for one in asked:
        if one.diversity == "yes":
            return NEGATIVE, f"{one.arm.name} is refused for its quality: {one.quality.because}"
    least = min(one.level.above for one in asked)
    return NEGATIVE, f"no arm gained more than {100 * least:g} % with its quality kept"


def what_is_open(one: Asked) -> str:
    """What more data would have to decide."""
    open_parts = []
    if one.diversity == "open":
        open_parts.append(f"the interval of its gain holds {100 * one.level.above:g} %")
    if one.quality.kept == "open":
        open_parts.append(one.quality.because)
    return "; ".join(open_parts)


def why_none(one: Asked) -> str:
    """Why an arm has no verdict."""
    if one.diversity != "no verdict":
        return one.quality.because
    if isinstance(one.arm.diversity, str):
        return one.arm.diversity
    return "one seed shows how models of that seed differ, and nothing of the next seed"


def reason(one: Asked) -> str:
    """Why a level is reached."""
    return f"{one.arm.name} gained more than {100 * one.level.above:g} %, and {one.quality.because}"
