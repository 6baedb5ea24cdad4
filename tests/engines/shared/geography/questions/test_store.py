"""Data that are not as they were written are refused in one line, and never trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.contract.config import ConfigError
from engines.shared.geography.questions.store import read_set, read_world
from tests.support.city_questions import make_data

SET = Path("sets/angle.no_atlantis")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_data(tmp_path, tasks=["angle"])
    return tmp_path


def changed(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    np.save(path, change(np.load(path)), allow_pickle=True)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def shifted(path: Path) -> None:
    changed(path, lambda values: values + 1000)


def halves(path: Path) -> None:
    changed(path, lambda values: values + 0.5)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [empty, shifted, halves, cut, Path.unlink])
@pytest.mark.parametrize("name", ["train.cities.npy", "train.answers.npy"])
def test_a_damaged_array_is_named(
    folder: Path, name: str, damage: Callable[[Path], object]
) -> None:
    damage(folder / SET / name)
    with pytest.raises(ConfigError, match=rf"{name}: .*make the data again"):
        read_set(folder, "angle", "no_atlantis", "train")
    assert len(read_set(folder, "angle", "no_atlantis", "test")) > 0


def test_cities_that_are_gone_are_named(folder: Path) -> None:
    (folder / "world" / "cities.csv").unlink()
    with pytest.raises(ConfigError, match=r"cities\.csv: cannot be read"):
        read_world(folder)


@pytest.mark.parametrize("text", ["{}", "[]", "{"])
def test_a_manifest_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / "world" / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"make the data again|cannot be read"):
        read_world(folder)
