"""Actual against expected: specialists that are equal up to noise show neither synergy nor negative
transfer, known gains are found, and what has no value is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from engines.geography_report.transfer.cells import (
    NEGATIVE,
    NONE,
    NOT_DECIDED,
    SYNERGY,
    UNDEFINED,
    Grid,
    cells_of,
    difference,
    expected_of,
    improvements_of,
    summaries_of,
    tied,
)
from engines.geography_report.transfer.improvement import (
    NOT_CLEAR,
    NOT_LEARNED,
    Chooser,
    Improvements,
    chosen_by_other_seeds,
    chosen_by_own_seed,
    chosen_by_test,
    improve,
)
from engines.geography_report.transfer.scores import Trained
from engines.shared.geography.tasks import PUBLISHED_PAIRS, TASKS
from tests.support.city_scores import MODELS, SINGLES, scores_of


class Quiet(NamedTuple):
    """Whether a repeat calls nothing."""

    cells: bool
    """Of none of the cells, under the definition that gives verdicts."""
    kinds: dict[Chooser, bool]


def gains(improvements: Improvements, choose: Chooser) -> Grid:
    actual = improvements_of(improvements, PUBLISHED_PAIRS)
    return difference(actual, expected_of(improvements, PUBLISHED_PAIRS, choose))


def equal_specialists(
    repeat: int, sd: float, seeds: int = 3, noise: float = 0.05, draws: int = 200
) -> Improvements:
    """Models that all improve by 0.5, up to the luck of their runs."""
    random = np.random.default_rng(repeat)
    luck = {
        (model, seed, task): 0.5 + sd * random.standard_normal()
        for model in MODELS
        for seed in range(seeds)
        for task in TASKS
    }
    scores = scores_of(
        lambda *key: luck[key], seeds=seeds, noise=noise, questions=40, random=random
    )
    return improve(scores, repeat, draws)


@pytest.fixture(scope="module")
def repeats() -> list[Quiet]:
    """What a hundred repeats say of equal specialists, under two definitions."""
    found = []
    for repeat in range(100):
        improvements = equal_specialists(repeat, sd=0.05)
        grids = {
            choose: gains(improvements, choose)
            for choose in (chosen_by_other_seeds, chosen_by_test)
        }
        cells = cells_of(improvements, grids[chosen_by_other_seeds])
        kinds = {
            choose: {one.verdict for one in summaries_of(improvements, grid)} == {NONE}
            for choose, grid in grids.items()
        }
        found.append(Quiet({cell.verdict for cell in cells} == {NONE}, kinds))
    return found


def test_equal_specialists_come_out_as_none(repeats: list[Quiet]) -> None:
    """In at least 95 of 100 repeats none of 147 cells is called, and none of the four means over
    kinds of cells."""
    assert sum(one.cells for one in repeats) >= 95
    assert sum(one.kinds[chosen_by_other_seeds] for one in repeats) >= 95


def test_the_plain_best_of_two_makes_negative_transfer_of_equal_specialists(
    repeats: list[Quiet],
) -> None:
    assert sum(one.kinds[chosen_by_test] for one in repeats) < 50


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_that_choose_for_one_another_are_tied_as_computed(seeds: int) -> None:
    """Differences of models that are equal up to the luck of their runs: the variance of their
    mean over seeds, against that which independent seeds would have."""
    random = np.random.default_rng(seeds)
    runs = random.standard_normal((40_000, 3, seeds))
    actual, first, second = runs.transpose(1, 0, 2)
    apart = second - first
    others = apart.sum(axis=1, keepdims=True) - apart
    gain = actual - np.where(others > 0, second, first)
    naive = gain.var(axis=1, ddof=1).mean() / seeds
    assert gain.mean() == pytest.approx(0, abs=0.02)
    assert gain.mean(axis=1).var() / naive == pytest.approx(tied(seeds, 0.25), rel=0.03)


@pytest.mark.parametrize(
    ("choose", "bias"),
    [
        (chosen_by_other_seeds, 0.0),
        # E[max] of two standard normal variables: 1 / sqrt(pi).
        (chosen_by_test, -0.564),
        # Validation questions see the same run as the test: without noise of single questions the
        # better of two equal runs is found as surely as on the test.
        (chosen_by_own_seed, -0.564),
    ],
)
def test_the_bias_in_standard_deviations_between_runs(choose: Chooser, bias: float) -> None:
    sd, found = 0.1, []
    for repeat in range(30):
        # The intervals, for which questions are drawn, are not looked at.
        improvements = equal_specialists(repeat, sd, noise=0.0, draws=2)
        found.append(float(gains(improvements, choose).values.mean()))
    # A repeat has 147 x 3 differences, of which the specialists' runs are shared.
    assert np.mean(found) / sd == pytest.approx(bias, abs=0.06)


def reached(model: Trained, _seed: int, task: str) -> float:
    """Specialists reach 0.9 on their task and 0.4 on others; pairs as much, but for three cells."""
    planted: dict[tuple[Trained, str], float] = {
        (("distance", "trianglearea"), "angle"): 0.8,
        (("angle", "compass"), "angle"): 0.5,
        (("inside", "perimeter"), "distance"): 0.4,
    }
    return planted.get((model, task), 0.9 if task in model else 0.4)


def test_planted_gains_are_found_in_both_directions() -> None:
    random = np.random.default_rng(1)
    scores = scores_of(
        lambda *key: reached(*key) + 0.005 * random.standard_normal(),
        seeds=5,
        noise=0.02,
        questions=200,
        random=random,
    )
    improvements = improve(scores, 0, 400)
    cells = cells_of(improvements, gains(improvements, chosen_by_other_seeds))
    called = {
        (cell.trained, cell.task): (cell.verdict, round(cell.value.interval.value, 1))
        for cell in cells
        if cell.value is not None and cell.verdict != NONE
    }
    assert called == {
        (("distance", "trianglearea"), "angle"): (SYNERGY, 0.4),
        (("angle", "compass"), "angle"): (NEGATIVE, -0.4),
    }
    assert len(cells) == 147
    assert sum(cell.is_trained for cell in cells) == 42


def test_summaries_are_means_over_their_kinds_of_cells() -> None:
    improvements = improve(scores_of(reached), 0, 200)
    singles = summaries_of(improvements, improvements_of(improvements, SINGLES))
    by_kind = {one.kind: (one.cells, one.value) for one in singles}
    for kind, cells, mean in (
        ("trained", 7, 0.9),
        ("transfer", 42, 0.4),
        ("with distance", 7, (0.9 + 6 * 0.4) / 7),
        ("without distance", 42, (0.9 + 6 * 0.4) / 7),
    ):
        found, value = by_kind[kind]
        assert value is not None
        assert found == cells
        assert value.interval.value == pytest.approx(mean)


def test_each_definition_takes_its_own_specialist() -> None:
    """On angle, distance's specialist is better on the test of seed 0 alone, area's on all
    validation questions."""
    base = scores_of(lambda model, _seed, _task: 0.2 if model == ("distance",) else 0.6)
    angle = base.tasks["angle"]
    after = angle.after.copy()
    # Errors: less is better. Models 0 and 1 are the specialists of distance and area.
    after[0, 0] = 0.5 * after[1, 0]
    base.tasks["angle"] = replace(angle, after=after)
    improvements = improve(base, 0, 200)
    place = list(TASKS).index("angle")
    choices = {
        choose: choose(improvements, 0, 1)[:, place].tolist()
        for choose in (chosen_by_test, chosen_by_own_seed, chosen_by_other_seeds)
    }
    assert choices == {
        chosen_by_test: [0, 1, 1],
        chosen_by_own_seed: [1, 1, 1],
        chosen_by_other_seeds: [1, 1, 1],
    }
    validation = angle.validation.copy()
    validation[0, 0] = 0.1
    base.tasks["angle"] = replace(angle, after=after, validation=validation)
    improvements = improve(base, 0, 200)
    assert chosen_by_own_seed(improvements, 0, 1)[:, place].tolist() == [0, 1, 1]
    # Seed 0 is judged by seeds 1 and 2; they are judged by seed 0 and one another.
    assert chosen_by_other_seeds(improvements, 0, 1)[:, place].tolist() == [1, 0, 0]


def test_without_a_base_that_learned_there_is_no_value_and_it_is_counted() -> None:
    scores = scores_of(reached)
    compass, inside = scores.tasks["compass"], scores.tasks["inside"]
    scores.tasks["compass"] = replace(compass, learned=np.array([1.0, 0.0, 1.0]))
    # No better on known cities than on new ones, in all seeds.
    scores.tasks["inside"] = replace(inside, goal=inside.before.copy())
    improvements = improve(scores, 0, 200)
    assert improvements.undefined(NOT_LEARNED) == 1
    assert improvements.undefined(NOT_CLEAR) == 3
    cells = cells_of(improvements, improvements_of(improvements, SINGLES))
    seeds = {cell.task: 0 if cell.value is None else cell.value.seeds for cell in cells}
    assert seeds == {**dict.fromkeys(TASKS, 3), "compass": 2, "inside": 0}
    assert {cell.verdict for cell in cells if cell.task == "inside"} == {UNDEFINED}


def test_a_denominator_that_questions_cannot_tell_from_0_is_undefined() -> None:
    random = np.random.default_rng(0)
    scores = scores_of(reached, noise=0.5, questions=30, random=random)
    angle = scores.tasks["angle"]
    noisy = angle.before.mean() * (1 + random.standard_normal(angle.goal.shape))
    scores.tasks["angle"] = replace(angle, goal=noisy)
    assert improve(scores, 0, 400).undefined(NOT_CLEAR) == 3


def test_one_seed_decides_nothing() -> None:
    improvements = improve(scores_of(reached, seeds=1), 0, 200)
    cells = cells_of(improvements, gains(improvements, chosen_by_other_seeds))
    assert {cell.verdict for cell in cells} == {NOT_DECIDED}
