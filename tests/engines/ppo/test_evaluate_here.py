"""A training that draws the samples of its evaluation, and the evaluation that takes them over."""

import json
import shutil
import subprocess
import sys

import pytest

from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.contract.results import read_results
from engines.ppo.config import Config
from engines.ppo.evaluate_here import evaluate_here
from engines.shared.suites.made import MADE, NOTE, read_made
from tests.support.models import make_data, make_model

TRAINING = {
    "epochs": 2,
    "prompts_per_task": 4,
    "samples_per_prompt": 4,
    "learning_rate": 3e-3,
    "max_prompt_tokens": 16,
    "max_response_tokens": 4,
    "micro_batch_tokens": 512,
    "validate_every_epochs": 1,
    "checkpoint_every_epochs": 1,
    "cpu_threads": 1,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with a model, and data of three splits."""
    folder = tmp_path_factory.mktemp("here")
    make_model(folder / "model", tied=False)
    make_data(folder / "data")
    for path in list((folder / "data").glob("*.validation.parquet")):
        name = path.name.replace("validation", "test")
        shutil.copy(path, folder / "data" / name)
    return folder


def config_of(place, **values):
    data = str(place / "data")
    same = {"validation_data": data, "test_data": data, "allow_test_data": True}
    return {"model": str(place / "model"), "data": data, **same, **TRAINING, **values}


def run(place, engine, out, config, code=0):
    path = place / f"{out}.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-P", "-m", f"engines.{engine}", str(path), "--out"]
    ended = subprocess.run(
        [*command, str(place / out)], cwd=place, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == code, ended.stdout + ended.stderr[-3000:]
    return ended.stdout + ended.stderr


@pytest.mark.engine
def test_the_evaluation_takes_over_what_the_training_drew_and_says_what_vllm_says(place):
    plain = run(place, "ppo", "plain", config_of(place))
    said = run(place, "ppo", "train", config_of(place, evaluate_here=True))
    assert "for the evaluation" not in plain
    assert said.count("samples for the evaluation") == 2
    manifests = sorted((place / "train").glob("checkpoints/epoch-*/manifest.json"))
    for path in manifests:
        twin = place / "plain" / path.relative_to(place / "train")
        assert json.loads(path.read_text()) == json.loads(twin.read_text())
    assert len(manifests) == 2

    asked = {
        "data": str(place / "data"),
        "max_prompt_tokens": 16,
        "max_response_tokens": 4,
    }
    scored = {}
    # The second has the same weights and no samples.
    for out, trained, starts in (("taken", "train", 0), ("own", "plain", 1)):
        models = {"folder": str(place / trained), "checkpoints": "all"}
        log = run(place, "evaluation", out, {"models": models, **asked})
        rows, document = read_results(place / out)
        assert document["facts"]["engine_starts"] == starts
        assert log.count("drawn by the training itself (transformers)") == (
            0 if starts else len(manifests)
        )
        scored[out] = [row.model_dump(mode="json") for row in rows]
    assert scored["taken"] == scored["own"]
    assert any(row["metric"] == "accuracy" and row["value"] is not None for row in scored["own"])


def test_what_is_left_out_is_said_by_the_training(place):
    own = Config.model_validate(config_of(place, evaluate_here=True)).evaluate_here
    assert own is not None
    assert own.data == str(place / "data")
    assert (own.max_prompt_tokens, own.max_response_tokens, own.temperature) == (16, 4, None)
    named = {"data": "elsewhere", "suite": "guru-online", "seed": 3}
    own = Config.model_validate(config_of(place, evaluate_here=named)).evaluate_here
    assert own is not None
    # The suite says how long answers may be.
    assert (own.data, own.max_response_tokens, own.seed) == ("elsewhere", None, 3)
    for off in (False, None):
        assert Config.model_validate(config_of(place, evaluate_here=off)).evaluate_here is None
    without = {key: value for key, value in config_of(place).items() if key != "test_data"}
    with pytest.raises(ValueError, match="evaluate_here: name test_data"):
        Config.model_validate({**without, "evaluate_here": True})


def test_a_planned_config_is_read_again_as_it_is(place):
    config = Config.model_validate(config_of(place, evaluate_here=True))
    assert Config.model_validate(config.model_dump(mode="json")) == config


def test_longer_samples_than_the_training_has_room_for_are_refused(place):
    config = config_of(place, evaluate_here={"max_response_tokens": 5})
    with pytest.raises(ConfigError, match=r"asks for 21 tokens .* has room for 20"):
        evaluate_here(Config.model_validate(config), place, place / "model", Stop())


def test_a_damaged_note_is_none(tmp_path):
    assert read_made(tmp_path / MADE) is None
    (tmp_path / NOTE).write_text('{"seed": 0, "versions": []}')
    assert read_made(tmp_path) is None
