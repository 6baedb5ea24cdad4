"""Drawing the questions of one split of one set: at random, no question twice, those of yes and no
as often each.

In: a world, what is held out, and what is wanted. Out: ``Questions``. The engine
``geography_data`` calls it. Every set has a random stream of its own, so it is the same whichever
others are made.

A set is made of groups of the same number of cities: a quarter of the perimeters for 2, 3, 4 and 5
cities, a third of ``inside`` for hulls of 3, 4 and 5. In each group of ``inside`` half of the
answers are TRUE, among the questions about a real city and among those about one of Atlantis: were
only the whole balanced, the number of cities and the target's origin would foretell the answer. The
answers of ``crossing`` are balanced over questions as they are asked. The published data balances
first and then shuffles the four cities, which leaves 26 % TRUE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from engines.contract.config import ConfigError
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import SPLITS, Cities, Split
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.hold_out import HoldOut
from engines.shared.geography.questions.pairs import shared_out
from engines.shared.geography.questions.rows import Array, Questions, pad
from engines.shared.geography.tasks import TASKS, TaskName

AT_ONCE = 1 << 21
"""Most questions drawn at once; bounds memory."""
AT_LEAST = 1 << 13
"""Fewest questions drawn at once."""
HOPELESS = 1 << 21
"""Draws without one that fits, after which there is said to be none."""
EXHAUSTED = 50
"""Times as seldom as at first that a new question comes, when the questions are said to be used
up."""


@dataclass(frozen=True)
class Wanted:
    """One split of one set."""

    task: TaskName
    cities: Cities
    split: Split
    rows: int

    @property
    def name(self) -> str:
        """For messages: ``angle.no_atlantis, test``."""
        return f"{self.task}.{self.cities}, {self.split}"


@dataclass(frozen=True)
class Group:
    """Some questions of a split that have to meet the same conditions."""

    count: int
    """Cities in each question."""
    rows: int
    truth: int | None = None
    """The answer that all have; None: any."""
    target: Literal["any", "real", "atlantis"] = "any"
    """Where the first city is from."""


def draw(world: World, held_out: HoldOut, wanted: Wanted) -> Questions:
    """The questions of one split in random order. ConfigError if there are not so many."""
    random = stream(held_out.seed, "questions", wanted.task, wanted.cities, wanted.split)
    most = TASKS[wanted.task].most
    cities = np.empty((wanted.rows, most), np.int32)
    found = np.empty(wanted.rows, np.int32)
    # Drawn group by group, and each group's questions go to random places.
    places = random.permutation(wanted.rows)
    start = 0
    for group in groups(world, wanted, random):
        columns = draw_group(world, held_out, wanted, group, random)
        rows = places[start : start + group.rows]
        cities[rows] = pad(columns, most)
        found[rows] = answers(wanted.task, world.x, world.y, columns)
        start += group.rows
    return Questions(wanted.task, cities, found)


def groups(world: World, wanted: Wanted, random: np.random.Generator) -> Iterator[Group]:
    """The groups of a split; their rows add up to those that are wanted."""
    task = TASKS[wanted.task]
    if task.name == "inside":
        yield from groups_of_inside(world, wanted, random)
    elif task.name == "crossing":
        for truth, rows in enumerate(shared_out(wanted.rows, 2)):
            yield Group(task.most, rows, truth)
    else:
        counts = range(task.fewest, task.most + 1)
        for count, rows in zip(counts, shared_out(wanted.rows, len(counts)), strict=True):
            yield Group(count, rows)


def groups_of_inside(world: World, wanted: Wanted, random: np.random.Generator) -> Iterator[Group]:
    """Hull by hull and origin by origin, as often TRUE as FALSE.

    How many ask about a city of Atlantis is what it would be without any balance.
    """
    sizes = range(TASKS["inside"].fewest, TASKS["inside"].most + 1)
    for count, rows in zip(sizes, shared_out(wanted.rows, len(sizes)), strict=True):
        about_atlantis = int(random.binomial(rows, share_about_atlantis(world, wanted, count)))
        origins: tuple[tuple[Literal["real", "atlantis"], int], ...] = (
            ("real", rows - about_atlantis),
            ("atlantis", about_atlantis),
        )
        for target, of_origin in origins:
            for truth, of_truth in enumerate(shared_out(of_origin, 2)):
                yield Group(count, of_truth, truth, target)


def share_about_atlantis(world: World, wanted: Wanted, count: int) -> float:
    """How often the first of ``count`` cities is of Atlantis."""
    of_atlantis = len(world) - world.real
    if wanted.cities == "no_atlantis":
        return 0.0
    if wanted.cities == "with_atlantis":
        return of_atlantis / len(world)
    # One of the cities is drawn from Atlantis, the others from all that are left.
    return 1 / count + (1 - 1 / count) * (of_atlantis - 1) / (len(world) - 1)


def draw_group(
    world: World, held_out: HoldOut, wanted: Wanted, group: Group, random: np.random.Generator
) -> Array:
    """The questions of a group, (count, rows), all different."""
    if group.count == 2:
        return held_out.draw_pairs(wanted.cities, wanted.split, group.rows, wanted.name, random)
    columns, hashes = np.empty((group.count, 0), np.int32), np.empty(0, np.uint64)
    drawn, best = 0, 0.0
    size = group.rows + group.rows // 4 + AT_LEAST
    while len(hashes) < group.rows:
        size = min(size, AT_ONCE)
        more = propose(world, wanted.cities, group, size, random)
        more, more_hashes = fitting(world, held_out, wanted, group, more)
        before = len(hashes)
        hashes = np.concatenate([hashes, more_hashes])
        # The first of each question, in the order in which they were drawn.
        first = np.sort(np.unique(hashes, return_index=True)[1])
        columns, hashes = np.concatenate([columns, more], axis=1)[:, first], hashes[first]
        drawn += size
        rate = (len(hashes) - before) / size
        best = max(best, rate)
        used_up = rate * EXHAUSTED < best or (best == 0 and drawn >= HOPELESS)
        if used_up and len(hashes) < group.rows:
            raise ConfigError(too_many(wanted, group, len(hashes)))
        # A tenth more than needed at this rate, so that few rounds are enough.
        size = AT_LEAST + int(1.1 * (group.rows - len(hashes)) / max(rate, 1 / drawn))
    return columns[:, : group.rows]


def too_many(wanted: Wanted, group: Group, there: int) -> str:
    """What to say when the questions of a group are used up."""
    kind = f"questions about {group.count} cities"
    words = TASKS[wanted.task].words
    if words is not None and group.truth is not None:
        kind += f" whose answer is {words[group.truth]}"
    if group.target == "atlantis":
        kind += " and that ask about one of Atlantis"
    return (
        f"{wanted.name}: {group.rows} different {kind} asked for, about {there} are for "
        f"{wanted.split}: ask for fewer rows or for more cities"
    )


def propose(
    world: World, cities: Cities, group: Group, size: int, random: np.random.Generator
) -> Array:
    """Random questions about different cities, (count, at most ``size``).

    Where a city of Atlantis is required, one is drawn from there and the others from all, and it
    goes to a random place, as in the published data. A target's origin, where it is given, stays.
    """
    known = world.real if cities == "no_atlantis" else len(world)
    drawn = random.integers(0, known, (group.count, size), dtype=np.int32)
    if group.target == "real":
        drawn[0] = random.integers(0, world.real, size, dtype=np.int32)
    if group.target == "atlantis":
        drawn[0] = random.integers(world.real, len(world), size, dtype=np.int32)
    elif cities == "atlantis_required":
        # Not in place of a target that is to be real.
        first = 1 if group.target == "real" else 0
        place = random.integers(first, group.count, size)
        drawn[place, np.arange(size)] = random.integers(
            world.real, len(world), size, dtype=np.int32
        )
    different = np.ones(size, bool)
    for one, other in combinations(drawn, 2):
        different &= one != other
    return drawn[:, different]


def fitting(
    world: World, held_out: HoldOut, wanted: Wanted, group: Group, drawn: Array
) -> tuple[Array, Array]:
    """Those of the drawn questions that have the group's answer and are of the split: (count, n);
    and the hashes of their keys, (n,)."""
    if group.truth is not None:
        found = answers(wanted.task, world.x, world.y, drawn)
        drawn = drawn[:, found == group.truth]
    splits, hashes = held_out.splits_of(wanted.task, drawn)
    of_split = splits == SPLITS.index(wanted.split)
    return drawn[:, of_split], hashes[of_split]
