"""Lines of progress: torn, repeated by a later start, or written by a user's own script."""

import json
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engines.contract.progress import Progress, of_last_start, read_progress


def text(**line: object) -> bytes:
    return json.dumps(line).encode()


def test_a_line_of_a_script_needs_its_step_alone() -> None:
    (line,) = of_last_start([text(step=3, metrics={"loss": 0.5})])
    assert line == {
        "step": 3,
        "total": None,
        "time": None,
        "phase": "train",
        "metrics": {"loss": 0.5},
    }


def test_what_an_engine_has_written_is_read_as_it_was_written(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.write(1, 4, {"loss": 2.0})
    progress.write(1, 1, {"accuracy": 0.5}, phase="validation")
    progress.write(2, 4, {"loss": 1.0})
    written = [json.loads(line) for line in progress.path.read_text().splitlines()]
    assert read_progress(tmp_path) == written


def test_a_start_that_repeats_steps_counts_from_the_step_where_it_began() -> None:
    first = [text(step=step, metrics={"loss": 10.0 + step}) for step in range(1, 6)]
    torn = first[-1][:12] + text(step=3, metrics={"loss": 3.0})
    second = [text(step=step, metrics={"loss": float(step)}) for step in (3, 4)]
    lines = of_last_start([*first, torn, *second])
    assert [(line["step"], line["metrics"]["loss"]) for line in lines] == [
        (1, 11.0),
        (2, 12.0),
        (3, 3.0),
        (4, 4.0),
    ]


def test_two_lines_of_one_step_are_one() -> None:
    lines = of_last_start(
        [text(step=1, metrics={"loss": 1.0}), text(step=1, metrics={"accuracy": 0.5})]
    )
    assert [line["metrics"] for line in lines] == [{"loss": 1.0, "accuracy": 0.5}]


def test_values_that_are_no_numbers_are_no_points() -> None:
    (line,) = of_last_start([b'{"step": 1, "metrics": {"loss": NaN, "norm": 2, "note": "x"}}'])
    assert line["metrics"] == {"norm": 2}


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 6))
def test_what_is_no_line_changes_nothing(broken: list[bytes], seed: int) -> None:
    good = [text(step=step, metrics={"loss": 1.0 / step}) for step in range(1, 6)]
    mixed = [*good]
    chosen = random.Random(seed)
    for one in broken:
        # A line break is what parts lines, and digits alone may be JSON but are no line.
        mixed.insert(chosen.randrange(len(mixed) + 1), one.replace(b"\n", b""))
    assert of_last_start(mixed) == of_last_start(good)
