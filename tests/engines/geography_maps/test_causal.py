"""The causal check: what is true of a moved city, how far a state is moved, and what counts as
following."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engines.geography_maps.causal import (
    Asked,
    directions,
    follow_rows,
    least_absolute_slope,
    mover,
    random_directions,
)
from engines.shared.geography.cities.world import make_world
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.rows import Array, Questions
from engines.shared.geography.representations.probe import fit
from engines.shared.geography.tasks import SECTORS, TASKS
from tests.support.city_questions import drawn


@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("coordinate", [0, 1])
def test_the_new_truth_is_that_of_a_world_in_which_the_first_city_lies_there(
    task: str, coordinate: int
) -> None:
    world = make_world(30, 0, 1)
    questions = drawn(world, task, 12, 0)
    moves = np.random.default_rng(2).choice([-300, 300], 12)
    found = Asked(world, questions, [0, 1], moves).moved_answers(coordinate)
    for row in range(12):
        x, y = world.x.copy(), world.y.copy()
        cities = questions.cities[row]
        cities = cities[cities >= 0]
        (x if coordinate == 0 else y)[cities[0]] += moves[row]
        assert found[row] == answers(task, x, y, cities[:, None])[0]


def test_a_move_changes_one_reading_and_goes_the_way_in_which_states_vary() -> None:
    random = np.random.default_rng(0)
    places = random.normal(size=(4000, 2)) * [800, 250]
    # Each coordinate has a direction of its own, and much varies besides.
    ways = np.linalg.qr(random.normal(size=(30, 2)))[0].T
    noise = random.normal(size=(4000, 30)) * np.linspace(1, 300, 30)
    states = places @ ways + noise
    probe = fit(states, places)
    steps = directions(probe, states)
    assert steps is not None
    for coordinate in range(2):
        moved = probe.read(states + 300 * steps[coordinate]) - probe.read(states)
        expected = np.zeros(2)
        expected[coordinate] = 300
        np.testing.assert_allclose(moved, np.tile(expected, (4000, 1)), atol=1e-6)
    # S W (W'S W)^-1, word for word.
    covariance = np.cov(states.T)
    weights = probe.weights
    pattern = covariance @ weights @ np.linalg.inv(weights.T @ covariance @ weights)
    np.testing.assert_allclose(steps, pattern.T, rtol=1e-6, atol=1e-9)
    # What is read well is moved as places move states, not by the shortest vector.
    shortest = weights @ np.linalg.inv(weights.T @ weights)
    for coordinate in range(2):
        way = ways[coordinate]

        def cosine(vector: Array, way: Array = way) -> float:
            return float(vector @ way / np.linalg.norm(vector))

        assert cosine(steps[coordinate]) > cosine(shortest[:, coordinate])
        assert cosine(steps[coordinate]) > 0.9
    unread = random.normal(size=(200, 30))
    assert directions(fit(unread, places[:200]), unread) is None


def test_a_random_direction_is_as_long() -> None:
    lengths = np.array([1.0, 5.0])
    found = random_directions(lengths, 64, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths)
    assert abs(found[0] @ found[1]) < 3


def test_only_the_two_tokens_of_one_layer_are_moved() -> None:
    change = mover(2, [1, 3], torch.ones(4, 2, 5))
    states = torch.zeros(1, 4, 6, 5)
    assert change(1, states) is states
    moved = change(2, states)
    assert (moved[:, :, [1, 3]] == 1).all()
    assert (moved[:, :, [0, 2, 4, 5]] == 0).all()
    assert (states == 0).all()


def followed(task: str, rows: list[tuple[int, int, int, int]]) -> dict[str, float | None]:
    """From (truth, truth of the moved city, answer before, answer after)."""
    truth, moved, before, after = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    cities: Array = np.zeros((len(rows), TASKS[task].most), np.int32)
    found = follow_rows(Questions(task, cities, truth), moved, before, after, {})
    return {row.metric: row.value for row in found}


def test_a_table_of_numbers() -> None:
    found = followed(
        "distance",
        [
            (100, 200, 110, 160),  # half of the way: follows
            (300, 100, 300, 100),  # all of it
            (100, 200, 100, 100),  # nothing
            (100, 200, 100, 50),  # the wrong way
            (100, 200, 100, -1),  # cannot be read: has not followed, no slope
            (100, 100, 100, 900),  # nothing to follow
            (100, 200, -1, 150),  # nothing to compare with
        ],
    )
    assert found["causal_share"] == pytest.approx(2 / 5)
    # Ratios -1/2, 0, 1/2 with weight 100 each and 1 with weight 200: half of 500 is within 1/2.
    assert found["causal_slope"] == 0.5


def test_wild_answers_do_not_decide_the_slope() -> None:
    """A third of the answers has more digits than any true one; the rest follows to a hundredth."""
    random = np.random.default_rng(0)
    truth = random.integers(400, 1600, 90).astype(np.int32)
    moved = truth + random.choice([-1, 1], 90).astype(np.int32) * random.integers(50, 300, 90)
    for planted in (0.0, 1.0):
        noise = random.normal(0, 1, 90)
        after = np.rint(truth + planted * (moved - truth) + noise).astype(np.int32)
        after[::3] = random.integers(10_000, 9_999_999, 30)
        cities: Array = np.zeros((90, 2), np.int32)
        rows = follow_rows(Questions("distance", cities, truth), moved, truth, after, {})
        (slope,) = [row for row in rows if row.metric == "causal_slope"]
        assert slope.value == pytest.approx(planted, abs=0.05)
        assert slope.n == 90
        assert slope.spread is not None
        assert 0 < slope.spread < 0.05
        # Nothing but the planted answers: exactly what was planted.
        after = np.rint(truth + planted * (moved - truth)).astype(np.int32)
        rows = follow_rows(Questions("distance", cities, truth), moved, truth, after, {})
        assert [(row.value, row.spread) for row in rows if row.metric == "causal_slope"] == [
            (planted, 0.0)
        ]


@given(
    st.lists(
        st.tuples(st.integers(-300, 300).filter(bool), st.integers(-(10**7), 10**7)),
        min_size=1,
        max_size=12,
    )
)
def test_the_slope_has_the_least_absolute_deviations(changes: list[tuple[int, int]]) -> None:
    wanted, got = np.array(changes, np.float64).T
    value, error = least_absolute_slope(wanted, got)
    sums = [float(np.abs(got - one * wanted).sum()) for one in (value, *(got / wanted))]
    assert sums[0] <= min(sums) * (1 + 1e-12)
    assert least_absolute_slope(wanted, -got)[0] == pytest.approx(-value)
    assert (error is None) == (len(changes) == 1)


def test_the_error_of_the_slope_is_how_far_it_varies_over_samples() -> None:
    random = np.random.default_rng(1)
    wanted = random.choice([-1.0, 1.0], (300, 100)) * random.integers(50, 300, (300, 100))
    got = 0.5 * wanted + random.standard_t(2, (300, 100)) * 40
    found = [least_absolute_slope(*one) for one in zip(wanted, got, strict=True)]
    values = np.array([value for value, _ in found])
    errors = np.array([error for _, error in found], np.float64)
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert np.median(errors) == pytest.approx(values.std(), rel=0.2)


def test_a_table_of_directions() -> None:
    east, north_east, north, west = (SECTORS.index(word) for word in ("E", "NE", "N", "W"))
    found = followed(
        "compass",
        [
            (east, north, east, north),  # 90 * 90
            (north, east, north, north_east),  # half of the turn: the answer is not the new truth
            (east, west, east, west),  # half a turn has no side: 180 * 180
            (east, north, north, north),  # was the new truth before: nothing has changed
        ],
    )
    assert found["causal_share"] == pytest.approx(2 / 4)
    assert found["causal_slope"] == pytest.approx(
        (90 * 90 + 45 * 90 + 180 * 180) / (90 * 90 * 3 + 180 * 180)
    )
    # The shorter way round: from SE to NE through the east.
    south_east = SECTORS.index("SE")
    assert followed("compass", [(south_east, north_east, south_east, north_east)]) == {
        "causal_share": 1.0,
        "causal_slope": 1.0,
    }


def test_truth_values_have_a_share_and_no_slope() -> None:
    assert followed("inside", [(0, 1, 0, 1), (1, 0, 1, 1)]) == {"causal_share": 0.5}
    assert followed("inside", [(1, 1, 0, 1)]) == {"causal_share": None}
