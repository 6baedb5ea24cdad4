"""Drawn sets against the figures measured on a million questions of each kind, and against the rules
of balance."""

from functools import cache

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import Cities
from engines.shared.geography.questions.drawing import Group, Wanted, draw, draw_group
from engines.shared.geography.questions.geometry import answers, turn
from engines.shared.geography.questions.hold_out import HoldOut, hold_out, keys
from engines.shared.geography.questions.rows import Array, Questions
from engines.shared.geography.questions.summary import best_constant, describe
from engines.shared.geography.tasks import SECTORS, TASKS, TaskName

ROWS = 60_000
MEASURED_ON = 250_000
"""Fewest questions that a figure of the tables was measured on; they have an error of their own."""


@cache
def whole_world() -> tuple[World, HoldOut]:
    return make_world(5_446, 100, 42), hold_out(5_446, 100, 42, (0.02, 0.1))


@cache
def training_set(task: TaskName, cities: Cities) -> Questions:
    return draw(*whole_world(), Wanted(task, cities, "train", ROWS))


@cache
def unbalanced(task: TaskName, cities: Cities, count: int) -> Array:
    """Questions as they are drawn, (count, n)."""
    world, held_out = whole_world()
    wanted = Wanted(task, cities, "train", ROWS)
    return draw_group(world, held_out, wanted, Group(count, ROWS), np.random.default_rng(0))


def near(values: Array, expected: float, rounded_to: float) -> None:
    """The mean of ``values`` is ``expected``, a mean over MEASURED_ON that was rounded."""
    error = values.std(ddof=1) * np.sqrt(1 / len(values) + 1 / MEASURED_ON)
    assert abs(values.mean() - expected) <= 4 * error + rounded_to / 2


def near_median(values: Array, expected: float, rounded_to: float) -> None:
    """As many values lie below the expected median as above it."""
    error = 0.5 * np.sqrt(1 / len(values) + 1 / MEASURED_ON)
    assert (values < expected - rounded_to / 2).mean() <= 0.5 + 4 * error
    assert (values > expected + rounded_to / 2).mean() <= 0.5 + 4 * error


def constant_errors(values: Array) -> Array:
    return np.abs(values - np.median(values))


def random_errors(values: Array) -> Array:
    return np.abs(values - np.random.default_rng(1).permutation(values))


NUMBERS: list[tuple[TaskName, Cities, float | None, float, float, float]] = [
    ("distance", "no_atlantis", 894, 800, 470, 655),
    ("distance", "atlantis_required", None, 825, 388, 516),
    ("angle", "no_atlantis", 60.0, 36, 46.4, 62.0),
    ("angle", "atlantis_required", None, 32, 48.0, 64.4),
    ("perimeter", "no_atlantis", 2904, 2766, 1483, 2024),
    ("perimeter", "atlantis_required", None, 3090, 1331, 1870),
]
"""Mean, median, mean absolute error of the best constant and of another question's answer."""


@pytest.mark.parametrize(("task", "cities", "mean", "median", "constant", "random"), NUMBERS)
def test_answers_are_spread_as_measured(
    task: TaskName,
    cities: Cities,
    mean: float | None,
    median: float,
    constant: float,
    random: float,
) -> None:
    values = training_set(task, cities).answers.astype(float)
    digit = 0.1 if task == "angle" else 1
    if mean is not None:
        near(values, mean, digit)
    near_median(values, median, 1)
    near(constant_errors(values), constant, digit)
    near(random_errors(values), random, digit)


@pytest.mark.parametrize(
    ("cities", "median", "median_digit", "constant", "random", "random_digit"),
    [
        ("no_atlantis", 86_616, 1, 99_700, 142_000, 1_000),
        ("atlantis_required", 98_200, 100, 84_400, 120_700, 100),
    ],
)
def test_areas_are_spread_as_measured(
    cities: Cities,
    median: float,
    median_digit: float,
    constant: float,
    random: float,
    random_digit: float,
) -> None:
    values = training_set("trianglearea", cities).answers.astype(float)
    near_median(values, median, median_digit)
    near(constant_errors(values), constant, 100)
    near(random_errors(values), random, random_digit)
    if cities == "no_atlantis":
        near(values, 134_329, 1)


@pytest.mark.parametrize(
    ("cities", "medians", "constants"),
    [
        ("no_atlantis", (799, 2561, 3575, 4401), (468, 969, 1077, 1178)),
        ("atlantis_required", (827, 2888, 3514, 4388), (389, 693, 815, 1003)),
    ],
)
def test_perimeters_by_number_of_cities(
    cities: Cities, medians: tuple[int, ...], constants: tuple[int, ...]
) -> None:
    questions = training_set("perimeter", cities)
    groups = list(questions.by_count())
    assert [count for count, _ in groups] == [2, 3, 4, 5]
    assert [len(rows) for _, rows in groups] == [ROWS // 4] * 4
    errors = []
    for (_, rows), median, constant in zip(groups, medians, constants, strict=True):
        values = questions.answers[rows].astype(float)
        near_median(values, median, 1)
        near(constant_errors(values), constant, 1)
        errors.append(constant_errors(values))
    near(np.concatenate(errors), 923 if cities == "no_atlantis" else 725, 1)


@pytest.mark.parametrize(
    ("task", "digits"),
    [
        ("distance", {1: 0.002, 2: 0.033, 3: 0.588, 4: 0.378}),
        ("trianglearea", {4: 0.090, 5: 0.439, 6: 0.457, 7: 0.0001}),
    ],
)
def test_lengths_of_answers(task: TaskName, digits: dict[int, float]) -> None:
    values = training_set(task, "no_atlantis").answers
    lengths = np.array([len(str(value)) for value in values.tolist()])
    for length, share in digits.items():
        near((lengths == length).astype(float), share, 0.001)


def test_a_third_of_the_angles_is_small_and_37_percent_of_the_areas_end_in_a_half() -> None:
    near((training_set("angle", "no_atlantis").answers < 20).astype(float), 0.357, 0.001)
    world, _ = whole_world()
    cities = training_set("trianglearea", "no_atlantis").cities.T
    odd = turn(world.x[cities], world.y[cities], 0, 1, 2) % 2 == 1
    near(odd.astype(float), 0.371, 0.001)


@pytest.mark.parametrize(
    ("cities", "shares", "random"),
    [
        ("no_atlantis", (0.302, 0.085, 0.037, 0.076, 0.302, 0.085, 0.037, 0.076), 0.211),
        ("atlantis_required", (0.376, 0.042, 0.032, 0.051, 0.375, 0.042, 0.031, 0.051), 0.293),
    ],
)
def test_directions_are_as_frequent_as_measured(
    cities: Cities, shares: tuple[float, ...], random: float
) -> None:
    values = training_set("compass", cities).answers
    for sector, share in enumerate(shares):
        near((values == sector).astype(float), share, 0.001)
    near((random_errors(values) == 0).astype(float), random, 0.001)
    constant = best_constant("compass", values)
    assert SECTORS[constant.answer] in ("E", "W")
    near((values == constant.answer).astype(float), max(shares), 0.004)


RAW: list[tuple[TaskName, Cities, int, float]] = [
    ("inside", "no_atlantis", 4, 0.0835),
    ("inside", "no_atlantis", 5, 0.1657),
    ("inside", "no_atlantis", 6, 0.2381),
    ("inside", "atlantis_required", 4, 0.0775),
    ("inside", "atlantis_required", 5, 0.1615),
    ("inside", "atlantis_required", 6, 0.2297),
    ("crossing", "no_atlantis", 4, 0.2222),
    ("crossing", "atlantis_required", 4, 0.2292),
]


@pytest.mark.parametrize(("task", "cities", "count", "rate"), RAW)
def test_share_of_true_before_balancing(
    task: TaskName, cities: Cities, count: int, rate: float
) -> None:
    world, _ = whole_world()
    found = answers(task, world.x, world.y, unbalanced(task, cities, count))
    near(found.astype(float), rate, 0.0001)


@pytest.mark.parametrize(
    ("count", "of_atlantis", "of_real"), [(4, 0.096, 0.071), (5, 0.197, 0.152), (6, 0.288, 0.217)]
)
def test_share_of_true_by_the_targets_origin(
    count: int, of_atlantis: float, of_real: float
) -> None:
    world, _ = whole_world()
    cities = unbalanced("inside", "atlantis_required", count)
    found = answers("inside", world.x, world.y, cities).astype(float)
    about_atlantis = world.atlantis[cities[0]]
    near(found[about_atlantis], of_atlantis, 0.001)
    near(found[~about_atlantis], of_real, 0.001)


@pytest.mark.parametrize("cities", ["no_atlantis", "with_atlantis", "atlantis_required"])
def test_crossing_is_balanced_as_the_questions_are_asked(cities: Cities) -> None:
    world, _ = whole_world()
    questions = training_set("crossing", cities)
    asked = answers("crossing", world.x, world.y, np.ascontiguousarray(questions.cities.T))
    assert (asked == questions.answers).all()
    assert abs(asked.mean() - 0.5) <= 3 * 0.5 / np.sqrt(len(asked))
    # Neither half nor any way to pair the ends foretells the answer.
    for half in (slice(0, ROWS // 2), slice(ROWS // 2, ROWS)):
        assert abs(asked[half].mean() - 0.5) <= 3.5 * 0.5 / np.sqrt(ROWS // 2)


def test_balancing_before_shuffling_the_cities_would_not_be_balanced() -> None:
    """What the published data does; of r = 0.222 it leaves (1/2 + r / (1 - r)) / 3."""
    world, _ = whole_world()
    balanced = np.ascontiguousarray(training_set("crossing", "no_atlantis").cities.T)
    shuffled = np.random.default_rng(2).permuted(balanced, axis=0)
    near(answers("crossing", world.x, world.y, shuffled).astype(float), 0.2631, 0.001)


@pytest.mark.parametrize("cities", ["no_atlantis", "with_atlantis", "atlantis_required"])
def test_inside_is_balanced_within_every_hull_size_and_origin(cities: Cities) -> None:
    world, _ = whole_world()
    questions = training_set("inside", cities)
    asked = np.concatenate(
        [
            answers("inside", world.x, world.y, np.ascontiguousarray(questions.cities[rows, :n].T))
            for n, rows in questions.by_count()
        ]
    )
    told = np.concatenate([questions.answers[rows] for _, rows in questions.by_count()])
    assert (asked == told).all()
    groups = 0
    for _, rows in questions.by_count():
        assert len(rows) == ROWS // 3
        about_atlantis = world.atlantis[questions.cities[rows, 0]]
        for origin in (about_atlantis, ~about_atlantis):
            truths = questions.answers[rows[origin]]
            assert abs(2 * int(truths.sum()) - len(truths)) <= 1
            groups += bool(len(truths))
    assert groups == (3 if cities == "no_atlantis" else 6)


def test_targets_come_from_atlantis_as_often_as_without_balance() -> None:
    world, _ = whole_world()
    questions = training_set("inside", "atlantis_required")
    for count, rows in questions.by_count():
        drawn = world.atlantis[unbalanced("inside", "atlantis_required", count)[0]]
        near(world.atlantis[questions.cities[rows, 0]].astype(float), drawn.mean(), 0.001)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cities", ["no_atlantis", "with_atlantis", "atlantis_required"])
def test_questions_ask_about_the_cities_of_their_kind(task: TaskName, cities: Cities) -> None:
    world, _ = whole_world()
    questions = training_set(task, cities)
    there = questions.cities >= 0
    of_atlantis = world.atlantis[questions.cities] & there
    if cities == "no_atlantis":
        assert not of_atlantis.any()
    if cities == "atlantis_required":
        assert of_atlantis.any(axis=1).all()
        # At every place, as often as chance puts them there.
        for _, rows in questions.by_count():
            if task != "inside":
                columns = of_atlantis[rows][:, there[rows[0]]]
                shares = columns.mean(axis=0)
                assert np.ptp(shares) < 10 * 0.5 / np.sqrt(len(rows))
    if cities == "with_atlantis":
        share = of_atlantis.sum() / there.sum()
        assert abs(share - 100 / 5546) < 0.003
    for count, rows in questions.by_count():
        assert (np.diff(np.sort(questions.cities[rows, :count], axis=1), axis=1) > 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_no_question_is_asked_twice_and_none_of_a_test_is_trained_on(task: TaskName) -> None:
    """Over all kinds of cities: a test of one kind against the trainings of all."""
    world, held_out = make_world(40, 8, 3), hold_out(40, 8, 3, (0.05, 0.15))
    kinds: tuple[Cities, ...] = ("no_atlantis", "with_atlantis", "atlantis_required")
    asked: dict[str, set[tuple[int, ...]]] = {"train": set(), "validation": set(), "test": set()}
    pairs: dict[str, set[tuple[int, ...]]] = {"train": set(), "validation": set(), "test": set()}
    for cities in kinds:
        for split, rows in (("train", 250), ("validation", 16), ("test", 40)):
            questions = draw(world, held_out, Wanted(task, cities, split, rows))  # type: ignore[arg-type]
            of_set = [
                tuple(key)
                for count, rows_ in questions.by_count()
                for key in keys(
                    task, np.ascontiguousarray(questions.cities[rows_, :count].T)
                ).T.tolist()
            ]
            assert len(set(of_set)) == len(of_set) == rows
            asked[split].update(of_set)
            pairs[split].update(key for key in of_set if len(key) == 2)
    assert not asked["train"] & (asked["test"] | asked["validation"])
    assert not asked["test"] & asked["validation"]
    # The pairs of the other tasks that ask about two cities are of the same splits.
    for split, expected in (("validation", 1), ("test", 2)):
        for first, second in pairs[split]:
            rank = second * (second - 1) // 2 + first
            assert held_out.pairs[rank] == expected


@pytest.mark.parametrize("task", ["compass", "trianglearea", "inside", "crossing", "angle"])
def test_a_set_hangs_on_its_seed_alone(task: TaskName) -> None:
    world, held_out = make_world(60, 10, 3), hold_out(60, 10, 3, (0.05, 0.15))
    wanted = Wanted(task, "atlantis_required", "train", 100)
    first, again = draw(world, held_out, wanted), draw(world, held_out, wanted)
    assert (first.cities == again.cities).all()
    assert (first.answers == again.answers).all()
    other = draw(world, hold_out(60, 10, 4, (0.05, 0.15)), wanted)
    assert (first.cities != other.cities).any()


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("trianglearea", 300, r"300 different questions about 3 cities asked for, about \d+ are"),
        ("inside", 3_000, r"different questions about 4 cities whose answer is TRUE asked for"),
        (
            "distance",
            60,
            r"60 different pairs of cities asked for; of the 66 pairs 58 are for train",
        ),
    ],
)
def test_more_questions_than_there_are_is_an_error_with_the_number(
    task: TaskName, rows: int, message: str
) -> None:
    world, held_out = make_world(12, 0, 0), hold_out(12, 0, 0, (0.01, 0.1))
    with pytest.raises(ConfigError, match=message):
        draw(world, held_out, Wanted(task, "no_atlantis", "train", rows))


def test_almost_all_questions_can_be_had() -> None:
    # 220 triangles of 12 cities, of which the hash gives about 200 to the training.
    world, held_out = make_world(12, 0, 0), hold_out(12, 0, 0, (0.01, 0.1))
    questions = draw(world, held_out, Wanted("trianglearea", "no_atlantis", "train", 180))
    assert len(questions) == 180


@pytest.mark.parametrize("values", [[5], [1, 3], [7, 0, 2], [4, 4, 9, 1], [0, 0, 0, 8]])
def test_best_constant_is_the_best_of_all_integers(values: list[int]) -> None:
    expected = np.array(values, np.int32)
    constant = best_constant("distance", expected)
    best = min(np.abs(expected - answer).mean() for answer in range(10))
    assert constant.score == best
    assert np.abs(expected - constant.answer).mean() == best


def test_description_of_a_set_counts_its_rows() -> None:
    world, _ = whole_world()
    told = describe(world, training_set("inside", "atlantis_required"))
    assert told["rows"] == sum(told["answers"].values()) == ROWS
    assert sum(part["rows"] for part in told["by_cities"].values()) == ROWS
    assert len(told["by_cities_and_target"]) == 6
    told = describe(world, training_set("distance", "no_atlantis"))
    assert sum(told["digits"].values()) == ROWS
    assert 460 < told["best_constant"]["score"] < 480
