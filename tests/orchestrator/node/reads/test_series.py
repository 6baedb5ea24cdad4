"""Of a step that was measured in several lives of a program the last one counts."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.node.reads.series import Point, Series, flat, number, whole

LIVES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), min_size=1, max_size=5)


@given(LIVES)
def test_the_curve_is_that_of_the_last_life_that_came_to_each_step(
    lives: list[tuple[int, int]],
) -> None:
    series = Series()
    expected: dict[int, float] = {}
    for life, (start, steps) in enumerate(lives):
        # By its definition: whatever an earlier life had from this step on is gone.
        expected = {step: one for step, one in expected.items() if step < start}
        for step in range(start, start + steps):
            series.add([Point(step, {"loss": float(life)})])
            expected[step] = float(life)
    assert series.values["loss"] == expected
    assert [point.step for point in series.points()] == sorted(expected)
    # A second reading of the same files changes nothing.
    series.add(Point(step, {"loss": value}) for step, value in expected.items())
    assert series.values["loss"] == expected


def test_metrics_of_other_steps_do_not_drop_one_another() -> None:
    series = Series()
    series.add([Point(100, {"batch_loss": 1.0}), Point(1, {"epoch_loss": 2.0})])
    series.add([Point(200, {"batch_loss": 0.5}), Point(2, {"epoch_loss": 1.0})])
    assert series.values == {"batch_loss": {100: 1.0, 200: 0.5}, "epoch_loss": {1: 2.0, 2: 1.0}}
    assert series.last() == {"batch_loss": 0.5, "epoch_loss": 1.0}


def test_a_time_that_one_file_knows_is_not_lost_by_another() -> None:
    series = Series()
    series.add([Point(4, {"loss": 1.0}, time=9.0, total=8), Point(4, {"eval_loss": 2.0})])
    (point,) = series.points()
    assert (point.time, point.total) == (9.0, 8)
    assert point.metrics == {"loss": 1.0, "eval_loss": 2.0}


def test_what_is_a_number_and_what_is_a_step() -> None:
    assert number(True) is None
    assert number("007") is None
    assert number(10**400) is None
    assert [whole(one) for one in (3, 3.0, 3.5, -1, float("nan"), None)] == [3, 3, None] + [
        None
    ] * 3
    assert flat({"step": 1, "data": {"a": {"b": 2}}, "c": {"d": 3}}) == {
        "step": 1,
        "a/b": 2,
        "c/d": 3,
    }
