"""Adapters by PEFT: what they compute, the folder that others load, and what is refused."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from engines.contract.config import ConfigError
from engines.shared.language_model.lora import (
    WEIGHTS,
    adapt,
    adapters_merged,
    adapters_off,
    lora_layers,
    merged_state,
    read_adapter,
    write_adapter,
)
from engines.shared.language_model.settings import LoraSettings
from tests.support.models import qwen2

IDS = torch.arange(1, 9)[None]
WHOLE = LoraSettings(rank=3, alpha=6, modules_to_save=["embed_tokens", "lm_head"])
BASE = "f" * 64


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def moved(settings=WHOLE, **values):
    """An adapted model whose trained parameters are somewhere else than at the start."""
    model = qwen2(**values).eval()
    adapt(model, settings, seed=0)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model


def test_a_fresh_adapter_computes_the_base_bit_for_bit_and_draws_nothing_from_torch():
    model = qwen2().eval()
    expected, state = logits(model), torch.get_rng_state()
    adapt(model, WHOLE, seed=0)
    assert torch.equal(logits(model), expected)
    assert torch.equal(torch.get_rng_state(), state)
    other = qwen2()
    torch.manual_seed(123)
    adapt(other, WHOLE, seed=0)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_without_names_every_linear_layer_of_the_decoder_gets_one_and_no_other():
    model = qwen2(tie_word_embeddings=True)
    adapt(model, LoraSettings(), seed=0)
    names = [name for name, _ in lora_layers(model)]
    assert len(names) == 2 * 7
    assert all(".layers." in name for name in names)
    few = qwen2()
    adapt(few, LoraSettings(target_modules=["q_proj", "v_proj"]), seed=0)
    assert {name.split(".")[-1] for name, _ in lora_layers(few)} == {"q_proj", "v_proj"}


@pytest.mark.parametrize(
    ("settings", "tied", "what"),
    [
        ({"target_modules": ["qproj"]}, False, "no linear layer 'qproj'"),
        ({"target_modules": ["lm_head"]}, False, "no linear layer 'lm_head'"),
        ({"modules_to_save": ["head"]}, False, "no module 'head'"),
        ({"modules_to_save": ["embed_tokens"]}, True, "share one weight"),
        ({"modules_to_save": ["lm_head"]}, True, "share one weight"),
    ],
)
def test_names_that_are_not_there_or_tied_are_refused(settings, tied, what):
    with pytest.raises(ConfigError, match=what):
        adapt(qwen2(tie_word_embeddings=tied), LoraSettings(**settings), seed=0)


@pytest.mark.parametrize("trainable", [False, True])
def test_a_written_adapter_is_read_bit_for_bit_and_trains_only_where_asked(tmp_path, trainable):
    model = moved()
    write_adapter(model, tmp_path, BASE)
    other = qwen2().eval()
    read_adapter(other, tmp_path, BASE, trainable=trainable)
    assert torch.equal(logits(other), logits(model))
    trained = {name for name, one in other.named_parameters() if one.requires_grad}
    expected = {name for name, one in model.named_parameters() if one.requires_grad}
    assert trained == (expected if trainable else set())
    if trainable:
        before = {name: one.detach().clone() for name, one in other.named_parameters()}
        optimizer = torch.optim.SGD([one for one in other.parameters() if one.requires_grad], 0.1)
        other(IDS, labels=IDS).loss.backward()
        optimizer.step()
        changed = {n for n, one in other.named_parameters() if not torch.equal(one, before[n])}
        assert changed == expected


def test_peft_loads_the_folder_and_ours_loads_one_of_peft_with_its_base_named(tmp_path):
    model = moved()
    write_adapter(model, tmp_path / "ours", BASE)
    theirs = PeftModel.from_pretrained(qwen2().eval(), tmp_path / "ours")
    assert torch.equal(logits(theirs), logits(model))
    assert json.loads((tmp_path / "ours" / "adapter_config.json").read_text())["r"] == 3

    config = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    wrapped = get_peft_model(qwen2().eval(), config)
    for layer in wrapped.modules():
        if hasattr(layer, "lora_B"):
            torch.nn.init.normal_(layer.lora_B.default.weight)
    wrapped.save_pretrained(tmp_path / "peft")
    other = qwen2().eval()
    with pytest.raises(ConfigError, match="does not say which base it was trained on"):
        read_adapter(other, tmp_path / "peft", BASE)
    file = tmp_path / "peft" / WEIGHTS
    save_file(load_file(file), file, metadata={"base_fingerprint": BASE})
    read_adapter(other, tmp_path / "peft", BASE)
    assert torch.equal(logits(other), logits(wrapped))


def rewrite(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"base_fingerprint": BASE})


def drop_half(tensors):
    for name in sorted(tensors)[::2]:
        del tensors[name]


def add_one(tensors):
    tensors["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.zeros(3, 16)


def cut_one(tensors):
    name = next(name for name in tensors if name.endswith("q_proj.lora_A.weight"))
    tensors[name] = tensors[name][:, :8].contiguous()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (drop_half, "tensors are missing, such as base_model"),
        (add_one, "1 tensors are not of this adapter, such as .*layers.9"),
        (cut_one, r"has shape \(3, 8\), and its place in the model \(3, 16\)"),
    ],
)
def test_tensors_that_peft_would_only_warn_of_are_refused(tmp_path, change, what):
    write_adapter(moved(), tmp_path, BASE)
    rewrite(tmp_path, change)
    with pytest.raises(ConfigError, match=what):
        read_adapter(qwen2(), tmp_path, BASE)


def test_another_base_and_a_folder_without_adapter_are_refused(tmp_path):
    write_adapter(moved(), tmp_path, BASE)
    with pytest.raises(ConfigError, match="trained on another base: its fingerprint is ffff"):
        read_adapter(qwen2(seed=1), tmp_path, "0" * 64)
    with pytest.raises(ConfigError, match="is no adapter"):
        read_adapter(qwen2(), tmp_path / "nothing", BASE)


@pytest.mark.parametrize("tied", [False, True])
def test_the_merged_weights_are_a_plain_model_that_computes_the_same(tied):
    settings = LoraSettings(rank=3, alpha=6) if tied else WHOLE
    model = moved(settings, tie_word_embeddings=tied)
    plain = qwen2(tie_word_embeddings=tied).eval()
    state = dict(merged_state(model))
    assert state.keys() == dict(plain.named_parameters()).keys()
    plain.load_state_dict(state, strict=False)
    expected = logits(model)
    # One rounding of each merged weight, through two layers.
    torch.testing.assert_close(logits(plain), expected, rtol=0, atol=1e-5 * expected.abs().max())


def test_off_and_merged_are_undone_bit_for_bit_and_leave_training_as_it_was():
    model, base = moved(), qwen2().eval()
    before, expected = copy.deepcopy(model.state_dict()), logits(model)
    trained = [one.requires_grad for one in model.parameters()]
    with adapters_off(model):
        assert torch.equal(logits(model), logits(base))
    with adapters_merged(model):
        found = logits(model)
        assert not torch.equal(
            model.state_dict()["model.layers.0.mlp.up_proj.base_layer.weight"],
            before["model.layers.0.mlp.up_proj.base_layer.weight"],
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max())
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert torch.equal(logits(model), expected)
    assert [one.requires_grad for one in model.parameters()] == trained


def test_dropout_acts_in_training_mode_alone():
    model = moved(LoraSettings(rank=3, alpha=6, dropout=0.5))
    assert torch.equal(logits(model), logits(model))
    model.train()
    assert not torch.equal(logits(model), logits(model))
