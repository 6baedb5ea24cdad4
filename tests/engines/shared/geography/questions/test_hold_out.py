"""Which questions are kept from training: pairs exactly, others by their keys."""

import os
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.geography.questions.hold_out import (
    TEST,
    TRAIN,
    VALIDATION,
    hash_keys,
    hold_out,
    keys,
    pair_of_rank,
    pair_rank,
    pairs_among,
)
from engines.shared.geography.tasks import TASKS
from tests.support.paths import ROOT


def test_ranks_number_all_pairs_and_those_of_real_cities_first() -> None:
    ranks = np.arange(pairs_among(90))
    pairs = pair_of_rank(ranks)
    assert (pairs[0] < pairs[1]).all()
    assert len(np.unique(pairs, axis=1).T) == len(ranks)
    assert (pair_rank(pairs[0], pairs[1]) == ranks).all()
    assert (pair_rank(pairs[1], pairs[0]) == ranks).all()
    assert pairs[:, : pairs_among(70)].max() == 69
    assert pairs[1, pairs_among(70) :].min() == 70


@given(st.integers(1, 10_000))
@settings(deadline=None)
def test_ranks_at_the_ends_of_their_blocks(high: int) -> None:
    first = high * (high - 1) // 2
    pairs = pair_of_rank(np.array([first, first + high - 1]))
    assert pairs.tolist() == [[0, high - 1], [high, high]]


def test_exact_shares_of_the_pairs_are_held_out_in_both_parts() -> None:
    held_out = hold_out(real=200, atlantis=20, seed=1, shares=(0.02, 0.1))
    facts = held_out.facts()["unordered_pairs"]
    assert facts["no_atlantis"] == {"train": 17_512, "validation": 398, "test": 1_990}
    assert facts["atlantis_required"] == {"train": 3_687, "validation": 84, "test": 419}


@pytest.mark.parametrize(
    ("split", "there"), [("train", 17_512), ("validation", 398), ("test", 1_990)]
)
def test_all_pairs_of_a_split_can_be_drawn_and_not_one_more(split: str, there: int) -> None:
    held_out = hold_out(200, 20, 1, (0.02, 0.1))
    random = np.random.default_rng(0)
    pairs = held_out.draw_pairs("no_atlantis", split, there, "distance", random)  # type: ignore[arg-type]
    assert len(np.unique(np.sort(pairs, axis=0), axis=1).T) == there
    # Each in a random direction.
    assert abs((pairs[0] < pairs[1]).mean() - 0.5) < 4 * 0.5 / np.sqrt(there)
    with pytest.raises(
        ConfigError, match=rf"{there + 1} different pairs .* {there} are for {split}"
    ):
        held_out.draw_pairs("no_atlantis", split, there + 1, "distance", random)  # type: ignore[arg-type]


def test_a_million_pairs_of_200_cities_are_refused_with_the_number() -> None:
    held_out = hold_out(200, 20, 1, (0.02, 0.1))
    with pytest.raises(ConfigError, match="of the 19900 pairs 17512 are for train"):
        held_out.draw_pairs("no_atlantis", "train", 1_000_000, "x", np.random.default_rng(0))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_polygons_have_the_key_of_all_their_rotations_and_reflections(count: int) -> None:
    orders = np.array(list(permutations(range(10, 10 + count)))).T
    different = {tuple(column) for column in keys("perimeter", orders).T.tolist()}
    # (n - 1)! / 2 polygons through n points.
    assert len(different) == {3: 1, 4: 3, 5: 12}[count]
    for column in orders.T:
        turns = np.stack(
            [np.roll(way, turn) for way in (column, column[::-1]) for turn in range(count)]
        )
        assert len({tuple(key) for key in keys("perimeter", turns.T).T.tolist()}) == 1


@pytest.mark.parametrize(
    ("task", "count", "different"),
    [
        ("distance", 2, 1),
        ("compass", 2, 1),
        ("trianglearea", 3, 1),
        ("angle", 3, 3),
        ("crossing", 4, 3),
        ("inside", 4, 4),
        ("inside", 6, 6),
    ],
)
def test_number_of_different_questions_about_the_same_cities(
    task: str, count: int, different: int
) -> None:
    orders = np.array(list(permutations(range(count)))).T
    assert len({tuple(column) for column in keys(task, orders).T.tolist()}) == different


@pytest.mark.parametrize(
    ("task", "order", "same"),
    [
        ("angle", (7, 3, 5), (5, 3, 7)),
        ("inside", (7, 3, 5, 9), (7, 9, 5, 3)),
        ("crossing", (7, 3, 5, 9), (9, 5, 3, 7)),
    ],
)
def test_key_of_what_asks_the_same(
    task: str, order: tuple[int, ...], same: tuple[int, ...]
) -> None:
    both = keys(task, np.array([order, same]).T)
    assert (both[:, 0] == both[:, 1]).all()


def test_hashes_tell_tasks_numbers_of_cities_and_seeds_apart_and_spread_evenly() -> None:
    columns = np.random.default_rng(0).integers(0, 5546, (3, 100_000)).astype(np.int32)
    columns = np.unique(columns, axis=1)
    first = hash_keys("angle", columns, 1)
    assert len(np.unique(first)) == columns.shape[1]
    for other in (hash_keys("trianglearea", columns, 1), hash_keys("angle", columns, 2)):
        assert not np.isin(first, other).any()
    # As two of 16 parts of 2^64 each: 1 / 16 +- 0.0008.
    for bits in (0, 17, 41, 60):
        shares = np.bincount(((first >> np.uint64(bits)) & np.uint64(15)).astype(int)) / len(first)
        assert np.abs(shares - 1 / 16).max() < 5 * 0.0008


def test_splits_by_hash_have_their_shares() -> None:
    held_out = hold_out(200, 20, 1, (0.02, 0.1))
    columns = np.random.default_rng(0).integers(0, 220, (4, 200_000)).astype(np.int32)
    splits, _ = held_out.splits_of("crossing", columns)
    for split, share in ((TRAIN, 0.88), (VALIDATION, 0.02), (TEST, 0.1)):
        assert abs((splits == split).mean() - share) < 5 * np.sqrt(share * (1 - share) / 200_000)


def test_two_cities_have_one_split_in_every_task_and_direction() -> None:
    held_out = hold_out(200, 20, 1, (0.02, 0.1))
    pairs = pair_of_rank(np.arange(pairs_among(220)))
    splits = [
        held_out.splits_of(task, cities)[0]
        for task in ("distance", "compass", "perimeter")
        for cities in (pairs, pairs[::-1])
    ]
    assert all((one == splits[0]).all() for one in splits)
    assert TASKS["perimeter"].fewest == 2


def test_what_is_held_out_is_the_same_in_every_process() -> None:
    code = (
        "from engines.shared.geography.questions.hold_out import hold_out, hash_keys; "
        "import numpy as np, hashlib; h = hold_out(100, 10, 7, (.02, .1)); "
        "print(hashlib.sha256(h.pairs.tobytes() + "
        "hash_keys('angle', np.arange(9, dtype=np.int32).reshape(3, 3), 7).tobytes()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
