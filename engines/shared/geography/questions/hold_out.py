"""Which questions may be trained on: decided once per world, for all tasks, kinds of cities and
mixtures together.

In: a world's size, a seed, and the shares of the test and validation questions. Out: for each
question its split. The drawing of sets asks it.

Two cities decide a distance, a direction and a perimeter of two, so *unordered pairs* are held
out, for those three tasks together: as many of the pairs as the shares say, counted among the
real cities and among the pairs with Atlantis separately. Of the other questions there are far too
many to list. There a hash of the question's key, which is the same for all questions that ask the
same thing, says which split it belongs to. So no set has to know of any other one, and a set that
is made later keeps out of the same questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.description import SPLITS, Cities, Split
from engines.shared.geography.questions.pairs import (
    kinds_of_pairs,
    pairs_among,
    pairs_of_splits,
    too_many_pairs,
)
from engines.shared.geography.questions.rows import Array

TRAIN, VALIDATION, TEST = range(len(SPLITS))


def pair_rank(first: Array, second: Array) -> Array:
    """Number of an unordered pair of different rows, from 0.

    Pairs are numbered by the larger row first, so those of the real cities, whose rows come first,
    stand in front of all pairs with Atlantis.
    """
    low, high = np.minimum(first, second).astype(np.int64), np.maximum(first, second)
    rank: Array = high.astype(np.int64) * (high - 1) // 2 + low
    return rank


def pair_of_rank(rank: Array) -> Array:
    """The rows of some pairs, the smaller one first: (2, n) int32."""
    high = ((1 + np.sqrt(1 + 8 * rank.astype(np.float64))) / 2).astype(np.int64)
    # The root of a double may be off by one at the ends of a block of ranks.
    high -= high * (high - 1) // 2 > rank
    high += high * (high + 1) // 2 <= rank
    return np.stack([rank - high * (high - 1) // 2, high]).astype(np.int32)


@dataclass(frozen=True)
class HoldOut:
    """The splits of all questions about one world."""

    real: int
    """Real cities; rows from here on are of Atlantis."""
    cities: int
    """All cities."""
    seed: int
    shares: tuple[float, float]
    """Share of the questions that are for validation, and for tests."""
    pairs: Array
    """The split of every unordered pair, by rank: uint8."""

    def ranks(self, cities: Cities) -> slice:
        """Ranks of the pairs that a kind of cities asks about."""
        among_real = pairs_among(self.real)
        if cities == "no_atlantis":
            return slice(0, among_real)
        if cities == "atlantis_required":
            return slice(among_real, len(self.pairs))
        return slice(0, len(self.pairs))

    def draw_pairs(
        self, cities: Cities, split: Split, rows: int, what: str, random: np.random.Generator
    ) -> Array:
        """Different unordered pairs, in a random order and each in a random direction: (2, rows).

        ConfigError if there are not so many; ``what`` names the set in its message.
        """
        among = self.ranks(cities)
        ranks = np.flatnonzero(self.pairs[among] == SPLITS.index(split))
        if rows > len(ranks):
            raise ConfigError(
                too_many_pairs(what, rows, among.stop - among.start, split, len(ranks))
            )
        chosen = ranks[random.choice(len(ranks), rows, replace=False)]
        pair = pair_of_rank(chosen + among.start)
        turned = random.random(rows) < 0.5
        pair[:, turned] = pair[::-1, turned]
        return pair

    def splits_of_keys(self, hashes: Array) -> Array:
        """The split of questions by the hashes of their keys: (n,) uint8."""
        validation, test = self.shares
        # A comparison of integers: as doubles, the largest hashes would all be 2^64.
        ends = [np.uint64(int(share * 2**64)) for share in (validation, validation + test)]
        found = np.full(len(hashes), TRAIN, np.uint8)
        found[hashes < ends[1]] = TEST
        found[hashes < ends[0]] = VALIDATION
        return found

    def splits_of(self, task: str, cities: Array) -> tuple[Array, Array]:
        """Splits (n,) uint8 and hashes (n,) uint64 of questions (k, n) with as many cities each."""
        hashes = hash_keys(task, keys(task, cities), self.seed)
        if len(cities) == 2:
            return self.pairs[pair_rank(cities[0], cities[1])], hashes
        return self.splits_of_keys(hashes), hashes

    def facts(self) -> dict[str, Any]:
        """What is held out, in numbers."""
        kinds: tuple[Cities, ...] = ("no_atlantis", "atlantis_required")
        counted = {}
        for kind in kinds:
            counts = np.bincount(self.pairs[self.ranks(kind)], minlength=len(SPLITS))
            counted[kind] = dict(zip(SPLITS, counts.tolist(), strict=True))
        return {
            "real_cities": self.real,
            "cities": self.cities,
            "seed": self.seed,
            "unordered_pairs": counted,
            "of_tasks": ["distance", "compass", "perimeter of two cities"],
            "other_questions": "by a hash of the question's key",
            "share": {"validation": self.shares[0], "test": self.shares[1]},
        }


def hold_out(real: int, atlantis: int, seed: int, shares: tuple[float, float]) -> HoldOut:
    """Decide the splits of a world; ``shares`` are those for validation and for tests."""
    pairs = np.full(pairs_among(real + atlantis), TRAIN, np.uint8)
    first = 0
    for name, count in zip(("real", "atlantis"), kinds_of_pairs(real, atlantis), strict=True):
        random = stream(seed, "held out pairs", name)
        of_split = pairs_of_splits(count, shares)
        held_out = of_split["validation"] + of_split["test"]
        chosen = first + random.choice(count, held_out, replace=False)
        pairs[chosen[: of_split["validation"]]] = VALIDATION
        pairs[chosen[of_split["validation"] :]] = TEST
        first += count
    return HoldOut(real, real + atlantis, seed, shares, pairs)


def keys(task: str, cities: Array) -> Array:
    """The same columns for all questions that ask the same thing: (k, n).

    Distances, directions and triangles: the cities in order. An angle: its vertex, then the other
    two. Inside: the city asked about, then the hull. A perimeter: the polygon from its smallest
    city on, towards the smaller neighbour. Crossing: the ends of each segment in order, then the
    segment with the smallest city first.
    """
    if task == "angle":
        return np.concatenate([cities[1:2], np.sort(cities[::2], axis=0)])
    if task == "inside":
        return np.concatenate([cities[:1], np.sort(cities[1:], axis=0)])
    if task == "crossing":
        return crossing_keys(cities)
    if task == "perimeter" and len(cities) > 3:
        return polygon_keys(cities)
    return np.sort(cities, axis=0)


def polygon_keys(cities: Array) -> Array:
    """Each polygon as it is walked from its smallest city towards the smaller neighbour."""
    count = len(cities)
    start = cities.argmin(axis=0)
    columns = np.arange(cities.shape[1])
    after = cities[(start + 1) % count, columns]
    before = cities[(start - 1) % count, columns]
    step = np.where(after < before, 1, -1)
    places = (start + step * np.arange(count)[:, None]) % count
    return np.take_along_axis(cities, places, axis=0)


def crossing_keys(cities: Array) -> Array:
    """Each segment with its smaller city first, and the segment with the smallest one first."""
    first, second = np.sort(cities[:2], axis=0), np.sort(cities[2:], axis=0)
    in_order = first[0] < second[0]
    return np.concatenate([np.where(in_order, first, second), np.where(in_order, second, first)])


def hash_keys(task: str, columns: Array, seed: int) -> Array:
    """64 random bits for each key: (n,) uint64.

    The finalizer of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
    generators", figure 17, variant 13 of Stafford) over the columns, one after the other. Two keys
    of a million share a hash with a chance of 3e-8; one of them would be left out, no more.
    """
    start = stream(seed, "held out", task, str(len(columns))).integers(0, 2**63, dtype=np.uint64)
    hashes = np.full(columns.shape[1], start, np.uint64)
    for column in columns:
        hashes ^= column.astype(np.uint64)
        hashes += np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(30)
        hashes *= np.uint64(0xBF58476D1CE4E5B9)
        hashes ^= hashes >> np.uint64(27)
        hashes *= np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
    return hashes
