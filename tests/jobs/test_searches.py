"""A search in rounds: what a point counts with, and what is part of a job's identity."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.draws import Draw
from jobs.searches import Search, told

SEARCH = Search(
    metric="loss",
    higher=False,
    where={},
    axes={"lr": Draw(kind="log_uniform", among=(1e-4, 1e-1))},
    rounds=3,
    n=4,
    seed=0,
    command=("train", "--lr={lr}", "{seed}", "{{lr}}", "{checkpoint}"),
)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=5), st.booleans())
def test_a_point_counts_with_the_mean_of_all_its_seeds_or_not_at_all(
    values: list[float | None], to_come: bool
) -> None:
    found = told(3, {"lr": 0.1}, values, to_come)
    there = [value for value in values if value is not None]
    if len(there) == len(values):
        assert found.value == pytest.approx(sum(there) / len(there))
        assert not found.open
    else:
        assert found.value is None
        assert found.open == to_come


def test_further_rounds_change_no_job_and_what_decides_a_point_does() -> None:
    seeds = [0, 1]
    known = [SEARCH.identity(point, seeds) for point in range(12)]
    assert len(set(known)) == 12
    more = replace(SEARCH, rounds=9)
    assert [more.identity(point, seeds) for point in range(12)] == known
    for other in (
        replace(SEARCH, seed=1),
        replace(SEARCH, n=6),
        replace(SEARCH, axes={"lr": Draw(kind="uniform", among=(1e-4, 1e-1))}),
    ):
        assert not {other.identity(point, seeds) for point in range(12)} & set(known)
    # By what the first round is judged decides the later ones alone.
    for judged in (replace(SEARCH, metric="error"), replace(SEARCH, higher=True)):
        found = [judged.identity(point, seeds) for point in range(12)]
        assert found[:4] == known[:4]
        assert not set(found[4:]) & set(known)
    assert [SEARCH.identity(point, [0, 1, 2]) for point in (3, 4)] != known[3:5]
    assert SEARCH.identity(3, [0, 1, 2]) == known[3]


def test_drawn_values_stand_in_the_command_and_what_is_filled_in_later_stays() -> None:
    found = SEARCH.command_at({"lr": 0.01, "seed": 1, "point": 5})
    assert found == ("train", "--lr=0.01", "1", "{lr}", "{checkpoint}")
    assert [SEARCH.round_of({"point": point}) for point in (0, 3, 4, 11)] == [1, 1, 2, 3]
