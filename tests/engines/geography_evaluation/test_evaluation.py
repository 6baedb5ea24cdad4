"""The evaluation as a program: all sets on one load, what is finished is kept, and the answers are
those of transformers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError, load_config
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import read_progress
from engines.contract.results import read_results
from engines.geography_evaluation import answering, evaluation
from engines.geography_evaluation.answering import answer
from engines.geography_evaluation.config import Config
from engines.geography_evaluation.estimates import disk_gb, estimate
from engines.geography_evaluation.evaluation import evaluate
from engines.geography_evaluation.sets import evenly
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import Parameters, initial
from engines.shared.geography.questions.origin import note_origin
from engines.shared.geography.questions.store import Questions, read_set
from engines.shared.geography.questions.written import NO_ANSWER
from engines.shared.geography.tasks import TASKS, write_question
from engines.shared.geography.vocabulary import BEGIN, END, PADDING, decode, encode
from tests.support.city_questions import make_data, save_model

SHAPE = Shape(width=16, layers=2, heads=2, feed_forward=24)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    make_data(tmp_path / "data")
    save_model(tmp_path / "train", SHAPE, initial(SHAPE, [0], 0.5))
    return Config(
        model=CheckpointSource(folder=str(tmp_path / "train")), data=str(tmp_path / "data")
    )


def evaluated(config: Config, out: Path, stop: Stop | None = None) -> Path:
    out.mkdir(exist_ok=True)
    evaluate(config, out, stop or Stop())
    return out


def items(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "items").iterdir())}


def test_fifteen_sets_and_the_validation_rows_come_from_one_load(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def counted(folder: Path) -> tuple[Shape, Parameters]:
        loads.append(folder)
        return original(folder)

    original = evaluation.read_model
    monkeypatch.setattr(evaluation, "read_model", counted)
    out = evaluated(config, tmp_path / "out")
    assert len(loads) == 1
    rows, document = read_results(out)
    sets = {
        (row.axes["task"], row.axes["cities"], row.axes["split"])
        for row in rows
        if row.metric == "failed_share"
    }
    expected = {
        (task, cities, split)
        for task in TASKS
        for cities, split in (
            ("no_atlantis", "test"),
            ("atlantis_required", "test"),
            ("multi_task", "test"),
            ("atlantis_required", "validation"),
        )
    }
    assert sets == expected
    # 7 + 7 + 1 of the test; those of the validation are not counted.
    assert document["facts"]["sets"] == 15
    gates = [row for row in rows if row.metric == "beats_constant" and set(row.axes) == {"task"}]
    assert {row.axes["task"]: row.value for row in gates} == dict.fromkeys(TASKS, 0.0)
    lines = read_progress(out)
    assert [line["phase"] for line in lines][:2] == [
        "distance.atlantis_required.validation",
        "trianglearea.atlantis_required.validation",
    ]
    assert lines[6]["step"] == 0
    assert (lines[-1]["step"], lines[-1]["total"]) == (15, 15)
    assert "GeoNames" in document["facts"]["attribution"]
    one = np.load(out / "items" / "distance.no_atlantis.test.npz", allow_pickle=False)
    assert {name: str(one[name].dtype) for name in one.files} == {
        "row": "int32",
        "expected": "int32",
        "answer": "int32",
        "valid": "bool",
        "score": "float64",
    }
    truth = read_set(tmp_path / "data", "distance", "no_atlantis", "test")
    assert (one["expected"] == truth.answers).all()
    # 24 rows of each test: 24 // 7 of each task.
    assert len(np.load(out / "items" / "angle.multi_task.test.npz")["row"]) == 3
    # What is said before the start. Nobody has to know yet how many questions the data have.
    line = "every question of 14 test sets and 7 validation sets"
    assert (estimate(config, 0, 60), disk_gb(config)) == (line, None)
    limited = config.model_copy(update={"rows": 24})
    expected_line = "14 test sets and 7 validation sets, at most 504 questions"
    assert estimate(limited, 0, 60) == expected_line
    most = disk_gb(limited)
    assert most is not None
    assert most / 2 < sum(map(len, items(out).values())) / 1e9 < most


class StopAfter(Stop):
    """Asks to stop once so many looks have been taken."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    @property  # type: ignore[override]
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        pass


def test_a_restart_answers_only_what_is_not_kept_and_ends_the_same(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated(config, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        evaluated(config, out, StopAfter(11))
    kept = items(out)
    assert 0 < len(kept) < 21
    assert not (out / "results.json").exists()
    asked = []

    def counted(*arguments: Any) -> Any:
        asked.append(arguments[3].task)
        return answer(*arguments)

    monkeypatch.setattr(evaluation, "answer", counted)
    evaluated(config, out)
    assert len(asked) == 21 - len(kept)
    assert items(out) == items(whole)
    assert read_results(out)[0] == read_results(whole)[0]


def test_a_failed_evaluation_is_not_done(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(answering, "greedy", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluated(config, tmp_path / "out")
    assert not (tmp_path / "out" / "results.json").exists()
    assert not (tmp_path / "out" / "items").exists()


def test_kept_sets_of_another_model_config_or_data_are_refused(
    config: Config, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        evaluated(config, out, StopAfter(5))
    with pytest.raises(ConfigError, match='rows: "all", now 5'):
        evaluated(config.model_copy(update={"rows": 5}), out)
    make_data(tmp_path / "other", rows=20)
    for name in ("world", "sets"):
        (tmp_path / "data" / name).rename(tmp_path / f"old-{name}")
        (tmp_path / "other" / name).rename(tmp_path / "data" / name)
    with pytest.raises(ConfigError, match="other questions"):
        evaluated(config, out)
    save_model(tmp_path / "train", SHAPE, initial(SHAPE, [1], 0.5))
    with pytest.raises(ConfigError, match="other weights"):
        evaluated(config, out)


def test_a_model_of_another_world_is_not_asked(config: Config, tmp_path: Path) -> None:
    make_data(tmp_path / "other", make_world(41, 8, 3))
    model = checkpoints.named(tmp_path / "train", "last").model
    note_origin(model, tmp_path / "other")
    with pytest.raises(ConfigError, match="holds another world"):
        evaluated(config, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["items/distance.no_atlantis.test.npz", "evaluation.json"])
def test_a_damaged_file_of_an_earlier_start_is_named(
    config: Config, tmp_path: Path, name: str
) -> None:
    out = evaluated(config, tmp_path / "out")
    path = out / name
    path.write_bytes(path.read_bytes()[:-30])
    (out / "results.json").unlink()
    with pytest.raises(ConfigError, match=rf"{name}: cannot be read .*; delete"):
        evaluated(config, out)


def test_a_set_that_is_not_there_is_one_clear_line(config: Config, tmp_path: Path) -> None:
    config = config.model_copy(update={"validation": ["with_atlantis"]})
    with pytest.raises(ConfigError, match=r"no set distance\.with_atlantis"):
        evaluated(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"test": ["multi_task"]}, "add no_atlantis"),
        ({"test": [], "validation": []}, "nothing to ask"),
        ({"tasks": ["angle", "angle"]}, "names one twice"),
        ({"rows": 0}, "1 or more"),
    ],
)
def test_configs_that_cannot_run_are_refused(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model": {"folder": "m"}, "data": "d", **values}))
    with pytest.raises(ConfigError, match=message):
        load_config(path, Config)


def plain_text(world: World, questions: Questions, row: int) -> str:
    rows = [city for city in questions.cities[row].tolist() if city >= 0]
    return write_question(questions.task, [int(world.ids[city]) for city in rows])


def test_answers_are_those_of_transformers_generate_question_by_question(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    world = make_data(tmp_path / "data", rows=8)
    parameters = initial(SHAPE, [2], 0.5)
    # A head that prefers digits and the end: answers that can be read occur.
    for token in [*encode("0123456789"), END]:
        parameters["head"][0, token] *= 4
    saved = save_model(tmp_path / "train", SHAPE, parameters)
    theirs = AutoModelForCausalLM.from_pretrained(saved.model, dtype=torch.float32)
    for task in ("distance", "perimeter"):
        questions = read_set(tmp_path / "data", task, "no_atlantis", "test")
        ours = answer(parameters, SHAPE, world, questions, Stop())
        for row in range(len(questions)):
            prompt = [BEGIN, *encode(plain_text(world, questions, row))]
            made = theirs.generate(
                torch.tensor([prompt]), do_sample=False, max_new_tokens=8, pad_token_id=PADDING
            )[0, len(prompt) :].tolist()
            text = decode(made)
            read = int(text) if END in made and text.isdigit() and len(text) <= 7 else NO_ANSWER
            assert ours[row] == read


def test_rows_are_spread_over_a_set() -> None:
    assert evenly(10, 4).tolist() == [0, 2, 5, 7]
    assert evenly(3, 4).tolist() == evenly(3, "all").tolist() == [0, 1, 2]


def test_the_program_writes_results_and_does_nothing_the_second_time(
    config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.model_dump() | {"tasks": ["compass"], "rows": 4}))
    command = [sys.executable, "-m", "engines.geography_evaluation", str(path)]
    command += ["--out", str(tmp_path / "out")]
    first = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert first.returncode == 0, first.stderr
    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "nothing to do" in second.stdout
    path.write_text(json.dumps(config.model_dump() | {"data": str(tmp_path / "nowhere")}))
    command[-1] = str(tmp_path / "bad")
    bad = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
