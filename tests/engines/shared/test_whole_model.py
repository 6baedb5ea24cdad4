"""A model some of whose weights are not in its folder is refused: transformers would draw them."""

import json
from pathlib import Path

import pytest

from engines.contract.config import ConfigError
from tests.support.models import qwen2

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from engines.polychromic.config import Config  # noqa: E402
from engines.polychromic.model import load_inner  # noqa: E402
from engines.ppo.update.load import load_model  # noqa: E402
from engines.shared.whole_model import whole_model  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a model."""
    qwen2(tie_word_embeddings=request.param).save_pretrained(tmp_path)
    return tmp_path


def rename(folder: Path, prefix: str) -> None:
    """Save the weights as a wrapped model does."""
    path = folder / "model.safetensors"
    save_file({prefix + name: value for name, value in load_file(path).items()}, path)


def refused(folder: Path) -> str:
    """Why it is refused, by both engines that train one."""
    with pytest.raises(ConfigError) as error:
        load_model(folder, CPU)
    line = str(error.value)
    with pytest.raises(ConfigError) as error:
        load_inner(Config(model=str(folder), data="data"), folder, CPU)
    assert str(error.value) == line
    assert "\n" not in line
    return line


def test_a_whole_model_is_loaded_as_it_was_saved(folder: Path) -> None:
    loaded = load_model(folder, CPU)
    saved = load_file(folder / "model.safetensors")
    assert {name: torch.equal(loaded.state_dict()[name], saved[name]) for name in saved} == (
        dict.fromkeys(saved, True)
    )


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module."])
def test_weights_under_the_names_of_a_wrapper_are_refused(folder: Path, prefix: str) -> None:
    rename(folder, prefix)
    line = refused(folder)
    assert line.startswith(f"{folder}: the weights lack ")
    assert f"it has {prefix}" in line


def test_a_layer_that_is_gone_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path)
    assert "lack model.layers.1.mlp.up_proj.weight, which" in refused(folder)


def test_other_shapes_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    assert "has the shape [16, 32], not [16, 40] as its config.json says" in refused(folder)


def test_a_pooling_layer_that_nobody_asks_may_be_missing(tmp_path: Path) -> None:
    shape = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    transformers.BertForMaskedLM(shape).save_pretrained(tmp_path)
    assert whole_model(transformers.AutoModel, tmp_path).config.hidden_size == 16
    with pytest.raises(ConfigError, match="lack"):
        whole_model(transformers.AutoModelForSequenceClassification, tmp_path)
