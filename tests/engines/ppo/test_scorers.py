"""The reward of a training, of one task or of all, may be a function of the user's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engines.contract.config import ConfigError, same_config
from engines.ppo.config import Config
from engines.ppo.data.prompts import read_prompts
from engines.ppo.resume import Point
from engines.ppo.training import scoring_pool
from engines.ppo.watchdogs import check_judged
from engines.shared.data.problem_files import read_problems, write_problems
from engines.shared.scoring.verdict import Verdict
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
    made = config(folder, reward={FIRST: "my_scorer:score"})
    prompts = read_prompts(made, folder / "model")
    with scoring_pool(made) as pool:
        for problems in (prompts.train, prompts.validation):
            pairs = [(problems[task][0], "12345") for task in (FIRST, SECOND)]
            assert [verdict.value for verdict in pool.score_many(pairs)] == [0.5, 0.0]


def test_the_planned_source_stays_and_an_edit_does_not_continue_another_training(
    folder: Path,
) -> None:
    made = config(folder, reward={FIRST: "my_scorer:score", SECOND: "mathematics"})
    kept = json.loads(made.model_dump_json())
    assert set(kept["planned_scorers"]) == {"my_scorer:score"}
    (folder / "my_scorer.py").write_text("# longer\n" * 100 + LENGTH)
    assert Config.model_validate(kept) == made
    edited = config(folder, reward={FIRST: "my_scorer:score", SECOND: "mathematics"})
    with pytest.raises(ConfigError, match="planned_scorers: ") as caught:
        same_config(edited, kept, folder)
    assert len(str(caught.value)) < 1000
    # A training that was begun before there were such keys goes on.
    without = {
        key: value for key, value in kept.items() if key not in ("reward", "planned_scorers")
    }
    same_config(config(folder), without, folder)
    # So does one that was begun when the key was called scorers.
    before = {("scorers" if key == "reward" else key): value for key, value in kept.items()}
    same_config(made, before, folder)
    same_config(config(folder), {**without, "scorers": {}}, folder)
    with pytest.raises(ValidationError, match="scorers is called reward now, and both are given"):
        config(folder, scorers={FIRST: "mathematics"}, reward="mathematics")


def test_one_function_judges_all_tasks_and_may_take_from_them(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "rewards.py").write_text(
        "def score(**given): return len(given['solution_str']) - 10\n"
    )
    made = config(folder, reward="mine/rewards.py:score")
    prompts = read_prompts(made, folder / "model")
    with scoring_pool(made) as pool:
        pairs = [(prompts.train[task][0], "12345") for task in (FIRST, SECOND)]
        assert [verdict.value for verdict in pool.score_many(pairs)] == [-5.0, -5.0]
    assert set(made.planned_scorers) == {"mine/rewards.py:score"}


def test_a_wrong_scorer_or_task_is_told_before_anything_starts(folder: Path) -> None:
    with pytest.raises(ValidationError, match=f"scorer of {FIRST}: there is no other.py for"):
        config(folder, reward={FIRST: "other:score"})
    with pytest.raises(ValidationError, match=r"reward\.dict"):
        config(folder, reward={"x": 3})
    with pytest.raises(ConfigError, match=f"there is no task 'poetry'; known: {FIRST}, {SECOND}"):
        read_prompts(config(folder, reward={"poetry": "my_scorer:score"}), folder / "model")
    (folder / "my_scorer.py").write_text("import no_such_module\n" + LENGTH)
    with pytest.raises(ConfigError, match="my_scorer:score cannot be loaded: ModuleNotFoundError"):
        read_prompts(config(folder, reward={FIRST: "my_scorer:score"}), folder / "model")


def test_a_task_that_the_files_of_the_config_do_not_have_is_told_before_anything_is_submitted(
    folder: Path,
) -> None:
    files = {FIRST: str(folder / "data" / f"{FIRST}.train.parquet")}
    misspelt = {f"{FIRST}s": "my_scorer:score"}
    with pytest.raises(ValidationError, match=f"no task '{FIRST}s'; did you mean '{FIRST}'"):
        config(folder, data=files, validation_data=files, scorers=misspelt)


def test_a_data_source_without_a_scorer_is_told_with_its_task_before_the_model_is_loaded(
    folder: Path,
) -> None:
    for split in ("train", "validation"):
        path = folder / "data" / f"{FIRST}.{split}.parquet"
        write_problems(path, [replace(one, data_source="haiku") for one in read_problems(path)])
    with pytest.raises(ConfigError, match=f"{FIRST}: no scorer for the data source 'haiku'; name "):
        read_prompts(config(folder), folder / "model")
    named = config(folder, reward={FIRST: "my_scorer:score"})
    assert len(read_prompts(named, folder / "model").train[FIRST]) > 1


def test_the_first_answer_of_each_kind_that_could_not_be_judged_is_told_and_all_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    point = Point(Path("model"))
    wrong = Verdict(None, "error", detail="my_scorer:score: KeyError: 'x' (my_scorer.py, line 2)")
    for _ in range(2):
        point.count_failures("math", [wrong, Verdict(0.0, "ok"), Verdict(None, "timeout"), wrong])
    assert point.failures == {"math": {"error": 4, "timeout": 2}}
    first, second = capsys.readouterr().out.splitlines()
    assert "math: an answer could not be judged, its reward is 0: error: my_scorer:score: " in first
    assert ": timeout: " in second


def test_a_task_of_which_no_answer_can_be_judged_ends_the_training_before_it_begins() -> None:
    tasks = {"code": ["a"], "math": ["b", "c"]}
    right, wrong = Verdict(1.0, "ok"), Verdict(None, "error", detail="KeyError: 'x'")
    check_judged(tasks, [[right], [wrong], [right]])
    check_judged({**tasks, "none": []}, [[right], [right], [right]])
    with pytest.raises(ConfigError, match=r"math: none of its 2 validation .*error: KeyErr"):
        check_judged(tasks, [[right], [wrong], [wrong]])
