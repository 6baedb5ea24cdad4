"""A task of a training may be judged by a function of the user's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engines.contract.config import ConfigError, same_config
from engines.ppo.config import Config
from engines.ppo.data.prompts import read_prompts
from engines.ppo.training import scoring_pool
from tests.support.models import TASKS, byte_tokenizer, make_data

FIRST, SECOND = sorted(TASKS)[:2]
LENGTH = "def score(**given): return len(given['solution_str']) / 10\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, a tokenizer and a scorer."""
    make_data(tmp_path / "data")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "my_scorer.py").write_text(LENGTH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(folder: Path, **values: Any) -> Config:
    places = {"model": "model", "data": "data", "validation_data": "data"}
    return Config.model_validate(
        {key: str(folder / place) for key, place in places.items()} | values
    )


def test_the_reward_of_a_task_is_what_its_scorer_says(folder: Path) -> None:
    made = config(folder, scorers={FIRST: "my_scorer:score"})
    prompts = read_prompts(made, folder / "model")
    with scoring_pool(made) as pool:
        for problems in (prompts.train, prompts.validation):
            pairs = [(problems[task][0], "12345") for task in (FIRST, SECOND)]
            assert [verdict.value for verdict in pool.score_many(pairs)] == [0.5, 0.0]


def test_the_planned_source_stays_and_an_edit_does_not_continue_another_training(
    folder: Path,
) -> None:
    made = config(folder, scorers={FIRST: "my_scorer:score", SECOND: "mathematics"})
    kept = json.loads(made.model_dump_json())
    assert set(kept["planned_scorers"]) == {"my_scorer:score"}
    (folder / "my_scorer.py").write_text("# longer\n" * 100 + LENGTH)
    assert Config.model_validate(kept) == made
    edited = config(folder, scorers={FIRST: "my_scorer:score", SECOND: "mathematics"})
    with pytest.raises(ConfigError, match="planned_scorers: ") as caught:
        same_config(edited, kept, folder)
    assert len(str(caught.value)) < 1000
    # A training that was begun before there were such keys goes on.
    without = {key: value for key, value in kept.items() if "scorers" not in key}
    same_config(config(folder), without, folder)


def test_a_wrong_scorer_or_task_is_told_before_anything_starts(folder: Path) -> None:
    with pytest.raises(ValidationError, match=f"scorer of {FIRST}: there is no other.py for"):
        config(folder, scorers={FIRST: "other:score"})
    with pytest.raises(ValidationError, match=r"scorers\.x"):
        config(folder, scorers={"x": 3})
    with pytest.raises(ConfigError, match="scorers: there is no task poetry; there are "):
        read_prompts(config(folder, scorers={"poetry": "my_scorer:score"}), folder / "model")
    (folder / "my_scorer.py").write_text("import no_such_module\n" + LENGTH)
    with pytest.raises(ConfigError, match="my_scorer:score cannot be loaded: ModuleNotFoundError"):
        read_prompts(config(folder, scorers={FIRST: "my_scorer:score"}), folder / "model")
