"""Weights held against their config.json and against each other, on models that transformers
makes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.shared.model_shapes import refusals
from tests.support.models import qwen2


def qwen(folder: Path, seed: int = 0, **values: Any) -> Path:
    """A small Qwen2 on disk."""
    qwen2(seed, **values).save_pretrained(folder)
    return folder


def changed(folder: Path, to: Path, **tensors: torch.Tensor | None) -> Path:
    """A copy of a model in which some tensors are others; None: it is left out."""
    shutil.copytree(folder, to)
    file = to / "model.safetensors"
    weights = load_file(file)
    for name, tensor in tensors.items():
        weights.pop(name, None)
        if tensor is not None:
            weights[name] = tensor
    save_file(weights, file)
    return to


def reconfigured(folder: Path, to: Path, **values: Any) -> Path:
    """A copy of a model whose config.json says something else; None: the key goes."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text()) | values
    kept = {key: value for key, value in config.items() if value is not None}
    (to / "config.json").write_text(json.dumps(kept))
    return to


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return qwen(tmp_path_factory.mktemp("good") / "model")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"vocab_size": 65},
            "lm_head.weight has the shape [64, 16], not [65, 16] as its config.json says",
        ),
        ({"hidden_size": 32}, "has the shape"),
        ({"intermediate_size": 48}, "mlp.down_proj.weight has the shape [16, 32], not [16, 48]"),
        ({"num_hidden_layers": 1, "layer_types": None}, "the weights hold model.layers.1."),
        ({"num_hidden_layers": 3, "layer_types": None}, "the weights lack model.layers.2."),
        ({"num_key_value_heads": 2}, "self_attn.k_proj"),
    ],
)
def test_weights_that_are_not_what_their_config_describes_are_refused(
    good: Path, tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    bad = reconfigured(good, tmp_path / "bad", **values)
    found = refusals({"good": good, "bad": bad, "again": good})
    assert set(found) == {"bad"}
    assert words in found["bad"]
    # Alone, there is nothing to compare it with but its own config.
    assert refusals({"bad": bad}) == found


def test_of_one_config_the_checkpoint_with_other_shapes_is_refused_wherever_it_stands(
    good: Path, tmp_path: Path
) -> None:
    name = "model.embed_tokens.weight"
    bad = changed(good, tmp_path / "bad", **{name: torch.zeros(60, 16)})
    reason = f"{name} has the shape [60, 16], not [64, 16] as its config.json says"
    other = qwen(tmp_path / "other", seed=1)
    for order in (("bad", "good", "other"), ("good", "bad", "other"), ("good", "other", "bad")):
        folders = {"bad": bad, "good": good, "other": other}
        assert refusals({key: folders[key] for key in order}) == {"bad": reason}


def test_a_tensor_that_is_missing_is_told_and_a_tied_head_may_be_missing(
    good: Path, tmp_path: Path
) -> None:
    headless = changed(good, tmp_path / "headless", **{"lm_head.weight": None})
    assert "the weights lack lm_head.weight" in refusals({"a": headless})["a"]
    tied = qwen(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(tied / "model.safetensors")
    weight = load_file(tied / "model.safetensors")["model.embed_tokens.weight"]
    both = changed(tied, tmp_path / "both", **{"lm_head.weight": weight.clone()})
    assert refusals({"tied": tied, "both": both}) == {}


def test_another_type_of_number_is_no_other_shape(good: Path, tmp_path: Path) -> None:
    weights = load_file(good / "model.safetensors")
    halves = {name: tensor.bfloat16() for name, tensor in weights.items()}
    assert refusals({"a": good, "b": changed(good, tmp_path / "b", **halves)}) == {}


def test_the_model_that_most_are_not_needs_an_evaluation_of_its_own(
    good: Path, tmp_path: Path
) -> None:
    bigger = qwen(tmp_path / "bigger", hidden_size=32)
    found = refusals({"bigger": bigger, "a": good, "b": qwen(tmp_path / "b", seed=2)})
    assert found == {
        "bigger": "its config.json is not that of 'a' (hidden_size): it needs an engine of its own"
    }
    assert set(refusals({"a": good, "bigger": bigger})) == {"bigger"}


def test_what_is_not_whole_is_told(good: Path, tmp_path: Path) -> None:
    folders = {}
    for name in ("torn", "list", "text", "gone", "stray", "empty", "adapter"):
        folders[name] = tmp_path / name
        shutil.copytree(good, folders[name])
    weights = folders["torn"] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    (folders["list"] / "config.json").write_text("[]")
    (folders["text"] / "config.json").write_text('{"vocab_si')
    (folders["gone"] / "config.json").unlink()
    (folders["stray"] / "optimizer.safetensors").write_bytes(weights.read_bytes())
    (folders["empty"] / "model.safetensors").unlink()
    for path in folders["adapter"].iterdir():
        path.unlink()
    (folders["adapter"] / "adapter_config.json").write_text("{}")
    found = refusals({"good": good, **folders})
    assert found == {
        "torn": "model.safetensors is not as long as its header says",
        "list": "config.json is no table in JSON",
        "text": "config.json is no table in JSON",
        "gone": "there is no config.json",
        "stray": "optimizer.safetensors is no file of weights, but vLLM reads it as one: move it away",
        "empty": "no safetensors file",
        "adapter": "adapter_config.json is an adapter (LoRA), not a whole model: merge it into the "
        "model that it was trained on and save the whole as safetensors",
    }


@pytest.mark.parametrize("kind", ["GPT2", "Mixtral", "Llama"])
def test_other_architectures_fit_their_own_config(tmp_path: Path, kind: str) -> None:
    import transformers as hf

    small = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 2, "num_key_value_heads": 2}  # fmt: skip
    made = {
        "GPT2": lambda: hf.GPT2LMHeadModel(
            hf.GPT2Config(vocab_size=64, n_positions=8, n_embd=16, n_layer=2, n_head=2)
        ),
        # Saved under other names than those of its parameters: the experts are apart on disk.
        "Mixtral": lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**small, num_local_experts=2)),
        "Llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**small)),
    }
    folder = tmp_path / "a"
    made[kind]().save_pretrained(folder)
    assert refusals({"a": folder}) == {}
    first = sorted(load_file(folder / "model.safetensors"))[0]
    bad = changed(folder, tmp_path / "bad", **{first: torch.zeros(3)})
    found = refusals({"a": folder, "bad": bad, "b": folder})
    assert set(found) == {"bad"}
    assert f"{first} has the shape [3]" in found["bad"]


def test_a_model_that_transformers_does_not_know_is_held_against_the_others(
    good: Path, tmp_path: Path
) -> None:
    unknown = reconfigured(
        good, tmp_path / "a", model_type="of_our_own", architectures=["Ours"], auto_map={}
    )
    name = "model.embed_tokens.weight"
    wide = changed(unknown, tmp_path / "wide", **{name: torch.zeros(64, 17)})
    short = changed(unknown, tmp_path / "short", **{name: None})
    long = changed(unknown, tmp_path / "long", extra=torch.zeros(1))
    found = refusals({"wide": wide, "a": unknown, "short": short, "long": long, "b": unknown})
    assert found == {
        "wide": f"{name} has the shape [64, 17], not [64, 16] as in 'a'",
        "short": f"the weights lack {name}, which 'a' has",
        "long": "the weights hold extra, which 'a' lacks",
    }
