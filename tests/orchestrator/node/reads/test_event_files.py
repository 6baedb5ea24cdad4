"""TensorBoard's and W&B's files: all values, later lives, damage."""

import math
import shutil
import struct
from pathlib import Path

import pytest

from tests.support.frameworks import FRAMEWORKS, curves, look


def float32(value: float) -> float:
    """What a file of float32 holds of it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def test_scalars_of_two_lives_are_one_curve() -> None:
    found = look("tensorboard", "tensorboard")
    known = curves(found)
    assert known["train/loss"] == {
        step: float32(1 / step + (0.01 if step >= 4 else 0.0)) for step in range(1, 9)
    }
    # Two lines of one plot are two curves, and the folder of a life is not in the name.
    assert known["rate_low/rate"] == {step: float32(0.1 * step) for step in range(1, 9)}
    assert known["rate_high/rate"] == {step: float(step) for step in range(1, 9)}
    assert math.isnan(known["eval/loss"][6])
    # No histogram, no text.
    assert set(known) == {"train/loss", "eval/loss", "rate_low/rate", "rate_high/rate"}
    assert all(point.time and point.time > 1.7e9 for point in found.points)
    assert found.problems == []


def first_file(folder: Path) -> Path:
    """A copy of the main file of the first life."""
    (source,) = (FRAMEWORKS / "tensorboard" / "Nov28_10-00-00_node").glob("events*")
    return Path(shutil.copy(source, folder))


def test_one_damaged_record_costs_only_itself(tmp_path: Path) -> None:
    file = first_file(tmp_path)
    data = bytearray(file.read_bytes())
    # A bit of the value at step 3.
    at = data.find(struct.pack("<f", 1 / 3))
    data[at] ^= 1
    file.write_bytes(data)
    found = look("tensorboard", tmp_path)
    assert list(curves(found)["train/loss"]) == [1, 2, 4, 5, 6]
    assert "1 record in all; passed over" in found.problems[0]


def test_a_damaged_length_is_told(tmp_path: Path) -> None:
    file = first_file(tmp_path)
    data = bytearray(file.read_bytes())
    (length,) = struct.unpack_from("<Q", data, 0)
    data[12 + length + 4] ^= 1
    file.write_bytes(data)
    (problem,) = look("tensorboard", tmp_path).problems
    assert "the rest of the file cannot be read" in problem


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_tail_is_read_when_it_is_whole(tmp_path: Path, cut: int) -> None:
    from orchestrator.node.reads.files import Place
    from orchestrator.node.reads.tensorboard import EventFiles

    file = first_file(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[:-cut])
    files = EventFiles(Place(str(tmp_path)))
    first = files.read(final=False)
    assert first.problems == []
    assert "are no whole record" in files.read(final=True).problems[0]
    file.write_bytes(data)
    second = files.read(final=True)
    assert second.problems == []
    assert len(curves(second)["train/loss"]) == 6
    assert len(first.points) <= len(second.points)


def test_a_killed_life_of_wandb_has_what_its_full_block_holds() -> None:
    known = curves(look("wandb", "wandb_offline", step="global"))
    # The second life began at 20; the first one's full block ended before.
    assert known["loss"] == {step: 1 / step for step in known["loss"]}
    assert list(known["eval.acc"])[-11:] == list(range(20, 31))
    assert next(iter(known["loss"])) == 1
    assert all(math.isnan(value) for value in known["bad"].values())
    assert set(known) == {"loss", "eval.acc", "bad"}
    # Its own steps begin at 0 again: then the last life is the curve.
    assert list(curves(look("wandb", "wandb_offline"))["loss"]) == list(range(11))


def test_wandbs_missing_end_and_damage_are_told(tmp_path: Path) -> None:
    for path in sorted((FRAMEWORKS / "wandb_offline").glob("*/*.wandb"))[:1]:
        (tmp_path / path.parent.name).mkdir()
        file = Path(shutil.copy(path, tmp_path / path.parent.name))
    (problem,) = look("wandb", tmp_path).problems
    assert "has no end" in problem
    whole = len(curves(look("wandb", tmp_path))["loss"])
    data = bytearray(file.read_bytes())
    data[20_000] ^= 1
    file.write_bytes(data)
    found = look("wandb", tmp_path)
    assert "damaged at byte" in found.problems[0]
    assert 0 < len(curves(found)["loss"]) < whole
