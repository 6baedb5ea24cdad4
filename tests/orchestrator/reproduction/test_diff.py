"""What differs between two runs of commands: the options that do, once for all jobs."""

from pathlib import Path

from orchestrator.description.profile import Profile
from orchestrator.reproduction.diff import differences
from orchestrator.reproduction.differences import Difference
from orchestrator.runs.create import create_run
from orchestrator.runs.run import Run
from tests.support.builders import planned

COMMAND = "python train.py --data here/and/there/and/elsewhere --lr {lr} "


def run_with(folder: Path, name: str, rest: str) -> Run:
    stages = {"train": {"command": COMMAND + rest, "matrix": {"lr": [0.1, 0.01, 0.001]}}}
    plan = planned({"experiment": "e", "stages": stages}, folder)
    return create_run(plan, Profile(kind="local"), folder / name)


def between(folder: Path, a: str, b: str) -> list[Difference]:
    found = differences(run_with(folder, "a", a), run_with(folder, "b", b))
    return [one for one in found if one.what == "config"]


def test_of_long_commands_the_options_that_differ_are_told_once_for_all_jobs(
    tmp_path: Path,
) -> None:
    assert between(tmp_path, "--steps 160 --size=3 -v", "--steps 120 --size=4 --bf16") == [
        Difference("config", "train", "command --steps", "160", "120"),
        Difference("config", "train", "command --size", "3", "4"),
        Difference("config", "train", "command -v", "given", None),
        Difference("config", "train", "command --bf16", None, "given"),
    ]


def test_numbers_below_zero_are_no_options_and_another_order_is_told_whole(tmp_path: Path) -> None:
    assert between(tmp_path, "--low -1 -2.5e-3 x", "--low -1 -3 x") == [
        Difference("config", "train", "command --low", "-1 -2.5e-3 x", "-1 -3 x")
    ]
    orders = between(tmp_path, "--a 1 --b 2", "--b 2 --a 1")
    assert len(orders) == 3  # of each job the whole, which holds its own rate
    assert {one.key for one in orders} == {"command"}
    assert all(str(one.a).endswith("--a 1 --b 2") for one in orders)
