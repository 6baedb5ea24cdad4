"""The engine as a program, and what it refuses before vLLM is started."""

import json
from pathlib import Path

import numpy as np
import pytest

from engines.contract import checkpoints
from engines.contract.checkpoints import Description
from engines.contract.config import ConfigError
from engines.contract.files import write_json
from engines.contract.program import program
from engines.contract.results import read_results, write_results
from engines.polychromic_evaluation.__main__ import run
from engines.polychromic_evaluation.config import Config
from engines.polychromic_evaluation.evaluation import check_begun
from engines.polychromic_evaluation.models import find_models
from engines.shared.language_model.lora import write_adapter
from tests.support.replies import adapted, make_base, make_replies


def training(folder: Path, seed: int, engine: str = "polychromic") -> dict:
    """The output folder of a training of the whole model, and its entry among the inputs."""
    description = Description(
        name="step-00000003",
        step=3,
        epoch=0,
        metrics={"validation_cross_entropy": 1.0},
        rank_by="validation_cross_entropy",
    )
    checkpoints.save(folder, description, lambda inner: make_base(inner / "model", seed))
    write_results(folder, engine, Config.model_validate({"base": "b", "data": "d"}), [], 1.0)
    axes = {"weight": seed, "seed": 0}
    return {"job": f"train/weight={seed}", "stage": "train", "axes": axes, "folder": str(folder)}


@pytest.fixture
def asked(tmp_path):
    make_base(tmp_path / "base")
    make_replies(tmp_path / "data")
    return {
        "base": str(tmp_path / "base"),
        "data": str(tmp_path / "data"),
        "inputs": [training(tmp_path / "t1", 1), training(tmp_path / "t2", 2)],
        "samples": 3,
        "pass_at": [1, 3],
        "max_new_tokens": 8,
    }


def test_models_are_the_base_once_and_a_checkpoint_of_each_training(asked, tmp_path):
    asked["inputs"].append({**training(tmp_path / "d", 3, "polychromic_data"), "job": "data"})
    asked["inputs"].append({"job": "late", "stage": "s", "axes": {}, "folder": str(tmp_path / "x")})
    models = find_models(Config.model_validate(asked))
    assert [model.name for model in models.all] == ["base", "train-weight=1", "train-weight=2"]
    assert models.all[1].axes == {"weight": 1, "seed": 0, "model": "trained"}
    assert models.base.axes == {"model": "base"}
    assert models.missing == ("late: has no results, so it is not evaluated",)


def test_a_checkpoint_that_is_an_adapter_goes_onto_its_base_and_no_other(asked, tmp_path):
    base = tmp_path / "base"
    of_base = checkpoints.fingerprint(base)
    description = Description(
        name="step-00000004",
        step=4,
        epoch=0,
        metrics={"validation_cross_entropy": 0.5},
        rank_by="validation_cross_entropy",
        format="adapter",
        base={"folder": str(base), "fingerprint": of_base},
    )
    model = adapted(base, 1, rank=5)
    for folder in ("t1", "t2"):
        checkpoints.save(
            tmp_path / folder,
            description,
            lambda inner: write_adapter(model, inner / "model", of_base),
        )
    found = find_models(Config.model_validate(asked))
    assert [one.is_adapter for one in found.all] == [False, True, True]
    assert found.adapter_rank == 5
    make_base(tmp_path / "other", seed=9)
    with pytest.raises(ConfigError, match="was trained on another base"):
        find_models(Config.model_validate({**asked, "base": str(tmp_path / "other")}))
    source = {"folder": str(tmp_path / "t1"), "checkpoint": "best"}
    with pytest.raises(ConfigError, match="an adapter"):
        find_models(Config.model_validate({**asked, "base": source}))


def test_what_cannot_be_evaluated_is_said_in_one_line(asked, tmp_path):
    with pytest.raises(ConfigError, match=r"base: .* is no Hugging Face folder"):
        find_models(Config.model_validate({**asked, "base": str(tmp_path)}))
    with pytest.raises(ConfigError, match="no complete checkpoint 'best_unique_valid'"):
        find_models(Config.model_validate({**asked, "checkpoint": "best_unique_valid"}))
    twice = [asked["inputs"][0], {**asked["inputs"][1], "job": "train weight=1"}]
    with pytest.raises(ConfigError, match="two jobs lead to one folder"):
        find_models(Config.model_validate({**asked, "inputs": twice}))
    file = next((tmp_path / "t1" / "checkpoints").glob("step*/model/*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match="the files were changed or damaged"):
        find_models(Config.model_validate(asked))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pass_at": [1, 4]}, "4 is more than samples"),
        ({"pass_at": [1, 1]}, "names one twice"),
        ({"samples": 1}, "greater than or equal to 2"),
        ({"temperature": 0.0}, "greater than 0"),
    ],
)
def test_configs_that_make_no_sense_are_refused(asked, changed, words):
    with pytest.raises(ValueError, match=words):
        Config.model_validate({**asked, **changed})


def test_replies_of_other_weights_or_of_another_config_are_not_continued(asked, tmp_path):
    config = Config.model_validate(asked)
    models = find_models(config)
    check_begun(config, tmp_path, models)
    check_begun(config, tmp_path, models)
    # The judge's budget may be raised in between.
    judge = {
        "url": "http://host/v1",
        "model": "m",
        "price_per_million_input_tokens": 1.0,
        "price_per_million_output_tokens": 1.0,
        "budget": 1.0,
    }
    check_begun(Config.model_validate({**asked, "judge": judge}), tmp_path, models)
    with pytest.raises(ConfigError, match="another config"):
        check_begun(Config.model_validate({**asked, "top_p": 0.5}), tmp_path, models)
    training(tmp_path / "t2", 7)
    with pytest.raises(ConfigError, match="train-weight=2: has other weights"):
        check_begun(config, tmp_path, find_models(config))


@pytest.mark.engine
def test_the_program_leaves_rows_arrays_and_replies_of_every_model(asked, tmp_path):
    write_json(tmp_path / "config.json", asked)
    arguments = [str(tmp_path / "config.json"), "--out", str(tmp_path / "out")]
    assert program("polychromic_evaluation", Config, run, arguments) == 0
    rows, document = read_results(tmp_path / "out")
    facts = document["facts"]
    assert [one["job"] for one in facts["models"]] == [None, "train/weight=1", "train/weight=2"]
    assert any("distinct_2_rarefied draws m n-grams" in note for note in facts["notes"])
    assert facts["embedder"] == "hashing-1024-v1"
    assert facts["checker"] == {"name": "grammar", "version": 1}
    by_axes = {
        (row.metric, row.axes["model"], row.axes.get("weight"), row.axes.get("k")) for row in rows
    }
    for weight, kind in ((None, "base"), (1, "trained"), (2, "trained")):
        assert ("unique_valid", kind, weight, None) in by_axes
        assert ("pass_at_k", kind, weight, 3) in by_axes
        assert ("test_cross_entropy", kind, weight, None) in by_axes
    values = {}
    for entry in facts["models"]:
        folder = tmp_path / "out" / entry["folder"]
        with np.load(folder / "prompts.npz", allow_pickle=False) as kept:
            assert kept["ids"].tolist() == ["p1", "p2", "p3"]
            values[entry["name"]] = kept["test_cross_entropy"]
        lines = [json.loads(line) for line in (folder / "samples.jsonl").open()]
        assert [line["id"] for line in lines] == ["p1", "p2", "p3"]
        assert all(len(line["samples"]) == 3 for line in lines)
        assert {"text", "reason", "complete"} <= set(lines[0]["samples"][0])
    assert len({tuple(one) for one in values.values()}) == 3
    assert program("polychromic_evaluation", Config, run, arguments) == 0
