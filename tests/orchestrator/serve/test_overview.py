"""The key of the colours says what the curves show."""

from pathlib import Path
from typing import Any

from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.serve.overview import colours
from tests.support.builders import PLANNED
from tests.support.cli import SMALL, describe


def colours_of(folder: Path, stages: str) -> dict[str, Any]:
    plan = make_plan(describe(folder, stages))
    return colours(create_run(plan, PLANNED, folder / "runs"))


def test_an_axis_has_the_colours_where_each_of_its_values_has_one(tmp_path: Path) -> None:
    matrix = "{lr: [0.1, 0.2], width: [1, 2], seed: [0, 1]}"
    stages = f"  train: {{command: 'echo {{lr}} {{width}} {{seed}}', matrix: {matrix}, {SMALL}}}\n"
    assert colours_of(tmp_path, stages) == {"axis": "lr", "values": [(0.1, 0), (0.2, 1)]}


def test_where_every_setting_has_its_own_colour_no_axis_has_one(tmp_path: Path) -> None:
    many = "{lr: [1, 2, 3, 4], width: [1, 2], data: [a]}"
    stages = (
        f"  train: {{command: 'echo {{lr}} {{width}} {{data}}', matrix: {many}, {SMALL}}}\n"
        f"  tune: {{command: 'echo {{data}} {{k}}', matrix: {{data: [a, b], k: [1]}}, {SMALL}}}\n"
    )
    assert colours_of(tmp_path, stages) == {"axis": "", "values": []}
