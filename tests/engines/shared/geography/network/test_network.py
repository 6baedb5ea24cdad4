"""The small Qwen2 against transformers' own on the same files, and generation against plain logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.geography.description import Shape
from engines.shared.geography.network.attention import Sequences
from engines.shared.geography.network.generate import complete, greedy
from engines.shared.geography.network.model import (
    Parameters,
    hidden_states,
    initial,
    logits,
    packed_logits,
)
from engines.shared.geography.network.shapes import count
from engines.shared.geography.network.weights import read_model, write_model
from engines.shared.geography.vocabulary import CHARACTERS, END, PADDING, SIZE, decode, encode

SMALL = Shape(width=32, layers=2, heads=2, feed_forward=48)
SEEDS = [3, 4]


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    """Two models whose biases and norms are no constants, so that each of them counts."""
    made = initial(SMALL, SEEDS, 0.3)
    for name, tensor in made.items():
        if tensor.ndim == 2:
            made[name] = tensor + 0.3 * torch.randn(tensor.shape, generator=seeded(1))
    return made


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tokens_of(*size: int) -> torch.Tensor:
    return torch.randint(4, SIZE, size, generator=seeded(2))


def one_of(parameters: Parameters, index: int) -> Parameters:
    return {name: tensor[index] for name, tensor in parameters.items()}


def test_published_size() -> None:
    assert count(Shape()) == 1_601_920
    assert count(Shape(width=64, layers=2, heads=2, feed_forward=256)) == 144_320


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_transformers_computes_the_same(parameters: Parameters, tmp_path: Path, index: int) -> None:
    from transformers import AutoModelForCausalLM

    write_model(tmp_path / "model", SMALL, one_of(parameters, index))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model").double()
    # In float64 both ways; only transformers' norms pass through float32.
    precise = {name: tensor.double() for name, tensor in parameters.items()}
    assert type(theirs).__name__ == "Qwen2ForCausalLM"
    tokens = tokens_of(5, 40)
    with torch.no_grad():
        wanted = theirs(tokens, output_hidden_states=True)
    stacked = tokens.expand(len(SEEDS), 5, 40)
    torch.testing.assert_close(
        logits(precise, SMALL, stacked)[index], wanted.logits, atol=1e-5, rtol=1e-5
    )
    states = hidden_states(precise, SMALL, stacked)
    # transformers' last state is behind the final norm, all before it are raw.
    for layer in range(SMALL.layers):
        torch.testing.assert_close(
            states[layer][index], wanted.hidden_states[layer], atol=1e-5, rtol=1e-5
        )
    assert len(states) == len(wanted.hidden_states) == SMALL.layers + 1


def test_transformers_full_size_computes_the_same(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    made = initial(Shape(), [0], 0.1)
    write_model(tmp_path / "model", Shape(), made)
    tokens = tokens_of(2, 57)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert sum(one.numel() for one in theirs.parameters()) == 1_601_920
    with torch.no_grad():
        wanted = theirs(tokens).logits
    torch.testing.assert_close(logits(made, Shape(), tokens[None])[0], wanted, atol=1e-5, rtol=1e-5)


def test_files_hold_the_model(parameters: Parameters, tmp_path: Path) -> None:
    write_model(tmp_path / "model", SMALL, one_of(parameters, 1))
    shape, found = read_model(tmp_path / "model")
    assert shape == SMALL
    for name, tensor in parameters.items():
        assert torch.equal(found[name], tensor[1:])


def test_another_model_is_refused(parameters: Parameters, tmp_path: Path) -> None:
    write_model(tmp_path / "model", SMALL, one_of(parameters, 0))
    path = tmp_path / "model" / "config.json"
    before = json.loads(path.read_text())
    for key, value, said in (
        ("vocab_size", 100, "vocab_size is 100, and only 98"),
        ("num_key_value_heads", 1, "num_key_value_heads is 1"),
        ("rope_parameters", {"rope_type": "default", "rope_theta": 1e6}, "rope_theta is 1000000.0"),
        ("hidden_size", None, "width"),
        ("hidden_size", 64, "has the shape"),
    ):
        path.write_text(json.dumps({**before, key: value}))
        with pytest.raises(ConfigError, match=said):
            read_model(tmp_path / "model")
    path.unlink()
    with pytest.raises(ConfigError, match=r"no config\.json"):
        read_model(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", -9),
    ],
)
def test_a_damaged_model_is_one_clear_line(
    parameters: Parameters, tmp_path: Path, name: str, content: bytes | int | None
) -> None:
    write_model(tmp_path / "model", SMALL, one_of(parameters, 0))
    path = tmp_path / "model" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else path.read_bytes()[:content])
    with pytest.raises(ConfigError, match=rf"{name}: .*copy"):
        read_model(tmp_path / "model")


def test_tokenizer_is_the_vocabulary(parameters: Parameters, tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    write_model(tmp_path / "model", SMALL, one_of(parameters, 0))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "inside(c_0001;c_0865,c_4879,c_9999)=TRUE"
    numbers = tokenizer(f"<bos>{text}<eos>")["input_ids"]
    assert numbers == [2, *encode(text), 3]
    assert tokenizer.decode(numbers, skip_special_tokens=True) == text == decode(numbers[1:])
    assert tokenizer(CHARACTERS)["input_ids"] == encode(CHARACTERS) == list(range(4, SIZE))
    # AutoTokenizer drops what has no token.
    bare = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    assert bare.encode("(é)").ids == encode("(é)") == [11, 1, 12]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, len(tokenizer)) == (PADDING, END, SIZE)


GROUPS = st.lists(
    st.tuples(st.integers(0, 9), st.lists(st.integers(1, 20), min_size=1, max_size=5)),
    min_size=1,
    max_size=3,
)


@given(GROUPS)
@settings(max_examples=30, deadline=None)
def test_packed_is_each_alone(groups: list[tuple[int, list[int]]]) -> None:
    made = initial(SMALL, SEEDS, 0.3)
    packed, places, filled = list[torch.Tensor](), list[np.ndarray](), 0
    for common, lengths in groups:
        packed.append(tokens_of(len(SEEDS), common))
        start, filled = filled, filled + common
        for length in lengths:
            packed.append(torch.randint(4, SIZE, (len(SEEDS), length), generator=seeded(length)))
            places.append(np.r_[start : start + common, filled : filled + length])
            filled += length
    tokens = torch.cat(packed, dim=1)
    table = np.zeros((len(places), max(map(len, places))), np.int64)
    for row, own in zip(table, places, strict=True):
        row[: len(own)] = own
    layout = Sequences(table, np.array([len(own) for own in places]))
    found = packed_logits(made, SMALL, tokens, layout)
    for own in places:
        alone = logits(made, SMALL, tokens[:, None, own])[:, 0]
        torch.testing.assert_close(found[:, own], alone, atol=1e-5, rtol=1e-4)


def test_change_goes_on_from_its_layer(parameters: Parameters) -> None:
    tokens = tokens_of(len(SEEDS), 3, 9)
    plain = hidden_states(parameters, SMALL, tokens)

    def change(layer: int, states: torch.Tensor) -> torch.Tensor:
        if layer != 1:
            return states
        moved = states.clone()
        moved[:, :, 4] += 1.0
        return moved

    changed = hidden_states(parameters, SMALL, tokens, change)
    assert torch.equal(changed[0], plain[0])
    torch.testing.assert_close(changed[1][:, :, 4], plain[1][:, :, 4] + 1.0)
    assert torch.equal(changed[2][:, :, :4], plain[2][:, :, :4])
    assert not torch.isclose(changed[2][:, :, 5:], plain[2][:, :, 5:]).all(dim=-1).any()


def test_greedy_takes_the_largest_logit(parameters: Parameters) -> None:
    rows = [tokens_of(length)[:length] for length in (5, 9, 5, 12, 9, 9)]
    lengths = torch.tensor([len(row) for row in rows])
    prompts = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)
    found = greedy(parameters, SMALL, prompts, lengths, 6)
    assert found.shape == (len(SEEDS), len(rows), 6)
    for index in range(len(SEEDS)):
        for row, answer in zip(rows, found[index], strict=True):
            assert answer.tolist() == slowly(parameters, index, row, 6)


@pytest.mark.parametrize("common", [1, 4, 6])
def test_a_common_beginning_changes_no_answer(parameters: Parameters, common: int) -> None:
    prompts = tokens_of(5, 7)
    prompts[:, :common] = prompts[0, :common]
    found = complete(parameters, SMALL, prompts, 4)
    for index in range(len(SEEDS)):
        for row, answer in zip(prompts, found[index], strict=True):
            assert answer.tolist() == slowly(parameters, index, row, 4)


def slowly(parameters: Parameters, index: int, row: torch.Tensor, new_tokens: int) -> list[int]:
    """Greedy tokens by a whole forward pass for each."""
    own = {name: tensor[index : index + 1] for name, tensor in parameters.items()}
    text, found = row.tolist(), list[int]()
    while len(found) < new_tokens:
        chosen = int(logits(own, SMALL, torch.tensor([[text]]))[0, 0, -1].argmax())
        found.append(chosen)
        text.append(chosen)
        if chosen == END:
            break
    return found + [PADDING] * (new_tokens - len(found))


def test_generation_ends_at_the_end_token(parameters: Parameters) -> None:
    # A head that likes <eos> best wherever the state's first feature is positive.
    ending = {**parameters, "head": parameters["head"].clone()}
    ending["head"][:, END] += 0.5 * parameters["head"].std() * torch.ones(SMALL.width)
    prompts = tokens_of(20, 7)
    found = complete(ending, SMALL, prompts, 5)
    ended = (found == END).any(-1)
    assert ended.any()
    assert not ended.all()
    for index in range(len(SEEDS)):
        for row, answer in zip(prompts, found[index], strict=True):
            assert answer.tolist() == slowly(ending, index, row, 5)


def test_generation_goes_on_from_a_changed_state(parameters: Parameters) -> None:
    prompts = tokens_of(4, 6)

    def change(layer: int, states: torch.Tensor) -> torch.Tensor:
        return states + 2.0 * (layer == 1)

    wanted = logits(parameters, SMALL, prompts.expand(len(SEEDS), 4, 6), change)[:, :, -1]
    found = complete(parameters, SMALL, prompts, 2, change)
    assert torch.equal(found[:, :, 0], wanted.argmax(-1))
