"""A model is asked only about the cities it has learned, by what it was not trained on."""

import json
from pathlib import Path

import pytest

from engines.contract.config import ConfigError
from engines.shared.geography.cities.world import make_world
from engines.shared.geography.questions.origin import ORIGIN_FILE, check_origin, note_origin
from engines.shared.geography.questions.store import write_world


def data_folder(folder: Path, atlantis: int = 4, **config: float) -> Path:
    facts = {"config": {"seed": 1, "test_share": 0.1, "validation_share": 0.02, **config}}
    write_world(folder, make_world(20, atlantis, 1), facts)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    note_origin(folder, data_folder(tmp_path / "own"))
    return folder


def test_data_of_the_same_world_and_hold_out_are_let_through(model: Path, tmp_path: Path) -> None:
    check_origin(model, tmp_path / "own")
    # Another folder, with other sets of questions: the same as long as both are drawn alike.
    check_origin(model, data_folder(tmp_path / "twin", tasks=3))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"atlantis": 5}, "holds another world"),
        ({"test_share": 0.2}, "holds out other questions"),
        ({"validation_share": 0.1}, "holds out other questions"),
    ],
)
def test_others_are_refused(
    model: Path, tmp_path: Path, changes: dict[str, int], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        check_origin(model, data_folder(tmp_path / "other", **changes))


def test_a_model_that_says_nothing_of_its_data_is_let_through(model: Path, tmp_path: Path) -> None:
    (model / ORIGIN_FILE).unlink()
    check_origin(model, data_folder(tmp_path / "other", atlantis=5))


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"world": "a"})])
def test_a_damaged_note_is_named(model: Path, tmp_path: Path, text: str) -> None:
    (model / ORIGIN_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"data\.json: cannot be read"):
        check_origin(model, tmp_path / "own")
