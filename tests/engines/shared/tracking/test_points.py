"""The points of a progress file while it is written, and when an engine opens it again."""

from __future__ import annotations

import json
from pathlib import Path

from engines.contract.progress import Progress
from engines.shared.tracking.points import Points, point_of


def steps(points: Points, *, final: bool = False) -> list[tuple[str, int]]:
    return [(point.phase, point.step) for point in points.new(final)]


def test_each_line_comes_once_and_a_torn_one_when_it_is_whole(tmp_path: Path) -> None:
    points = Points(tmp_path / "progress.jsonl")
    assert steps(points) == []
    progress = Progress(tmp_path)
    progress.write(1, 3, {"loss": 1.0})
    assert steps(points) == [("train", 1)]
    assert steps(points) == []
    text = json.dumps({"step": 2, "metrics": {"loss": 0.5}}).encode() + b"\n"
    with (tmp_path / "progress.jsonl").open("ab") as file:
        file.write(text[:9])
        file.flush()
        assert steps(points) == []
        file.write(text[9:])
    progress.write(3, 3, {"loss": 0.4}, phase="validate")
    assert steps(points) == [("train", 2), ("validate", 3)]


def test_a_file_of_an_earlier_start_is_left_alone_until_the_engine_opens_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "progress.jsonl"
    earlier = Progress(tmp_path)
    for step in (1, 2, 3):
        earlier.write(step, 4, {"loss": 1.0})
    points = Points(path, path.stat().st_ino)
    assert steps(points) == []
    later = Progress(tmp_path, keep_until=2)
    later.write(3, 4, {"loss": 2.0})
    assert steps(points) == [("train", 1), ("train", 2), ("train", 3)]
    # One that ended before it opened the file has left it as it was.
    assert steps(Points(path, path.stat().st_ino), final=True) == [
        ("train", 1),
        ("train", 2),
        ("train", 3),
    ]


def test_a_phase_stands_before_its_metrics_but_for_training() -> None:
    line = json.dumps({"step": 1, "time": 5.0, "phase": "validate", "metrics": {"loss": 1}})
    point = point_of(line.encode())
    assert point is not None
    assert point.metrics == {"validate/loss": 1.0}
    trained = point_of(line.replace("validate", "train").encode())
    assert trained is not None
    assert trained.metrics == {"loss": 1.0}
    assert point_of(b'{"step": 1, "metrics": {"loss": NaN}}') is None
    assert point_of(b"torn") is None
