"""Low-rank adapters: the same model to everyone but the trainer."""

from pathlib import Path

import pytest
import torch
import transformers

from engines.ppo.config import Config
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.batch import micro_batches, sequences_to_train
from engines.ppo.update.policy import Policy
from engines.ppo.update.sharding import World
from engines.shared.inference import Generation
from engines.shared.language_model.lora import adapters_off, lora_layers
from tests.support.models import qwen2

EPSILON = 2.0**-23
"""One rounding in float32, relative."""
TOLERANCE = 1000 * EPSILON
"""Between two ways through the model, relative to the size of what comes out: some sixty operations
in a row, on sums of tens of terms. Log-probabilities here are near -4."""


def policy(tied=False, **changes):
    values = {
        "model": "x",
        "data": "x",
        "validation_data": "x",
        "max_prompt_tokens": 8,
        "max_response_tokens": 8,
        "warmup_steps": 0,
        "learning_rate": 1e-2,
        "lora": {"rank": 3, "alpha": 6},
    } | changes
    return Policy(
        qwen2(tie_word_embeddings=tied), Config.model_validate(values), World(torch.device("cpu"))
    )


def rollouts(step):
    draw = torch.Generator().manual_seed(step)

    def ids(n):
        return torch.randint(1, 64, (n,), generator=draw).tolist()

    def group(i):
        answers = [ids(1 + (i + k) % 5) for k in range(4)]
        samples = tuple(Generation(tuple(one), (-4.0,) * len(one), "", "stop") for one in answers)
        return Group(tuple(ids(3 + i)), samples, (0.0, 1.0, 0.0, 0.5))

    return {task: [group(i) for i in range(3)] for task in ("logic", "math")}


def trained(steps=3, **changes):
    own = policy(**changes)
    metrics = [own.step(rollouts(step), step) for step in range(steps)]
    return own, metrics


def test_at_first_the_adapters_change_nothing_and_only_they_are_trained():
    own, plain = policy(), qwen2()
    ids = torch.arange(1, 7)[None]
    expected = plain(ids).logits.log_softmax(-1)[0, torch.arange(5), ids[0, 1:]]
    assert own.prompt_logprobs(ids[0].tolist()) == pytest.approx(expected.tolist(), rel=TOLERANCE)
    assert {name.split(".")[-3] for name in own.names} == {"lora_A", "lora_B"}
    adapted = [name for name, _ in lora_layers(own.model)]
    assert len(adapted) == 2 * 7
    assert all(".layers." in name for name in adapted)
    assert sum(parameter.numel() for parameter in own.parameters) == 2 * 3 * (
        32 + 24 + 24 + 32 + 3 * 48
    )


@pytest.mark.parametrize("tied", [False, True])
def test_samplers_and_checkpoints_get_a_plain_model_that_computes_what_the_adapted_one_does(
    tmp_path, tied
):
    own, _ = trained(tied=tied)
    weights = dict(own.named_weights())
    plain = qwen2(tie_word_embeddings=tied)
    before = plain.state_dict()
    assert weights.keys() == dict(plain.named_parameters()).keys()
    moved = {name for name, tensor in weights.items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name in weights if name.endswith("proj.weight")}
    plain.load_state_dict(weights, strict=False)
    ids = [1, 5, 9, 13, 2]
    expected = plain(torch.tensor([ids])).logits.log_softmax(-1)[
        0, torch.arange(4), torch.tensor(ids[1:])
    ]
    assert own.prompt_logprobs(ids) == pytest.approx(expected.tolist(), rel=TOLERANCE)

    own.save(
        tmp_path / "model",
        tmp_path / "state",
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer()),
    )
    read = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", dtype=torch.float32
    )
    assert all(torch.equal(tensor, weights[name]) for name, tensor in read.named_parameters())


def tokenizer():
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))


def test_adapters_that_were_saved_continue_bit_for_bit(tmp_path: Path):
    whole, metrics = trained(steps=4)
    half, _ = trained(steps=2)
    half.save(
        tmp_path / "model",
        tmp_path / "state",
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer()),
    )
    other = policy()
    other.load_state(tmp_path / "state")
    # The same operations in one process.
    assert [other.step(rollouts(step), step) for step in (2, 3)] == metrics[2:]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters, other.parameters, strict=True))


def test_the_model_without_its_adapters_is_the_reference_of_the_divergence():
    own, metrics = trained(kl_coefficient=0.1)
    # It is half the square of a difference: rounding of log-probabilities near -4, 1e-6, leaves
    # 1e-12.
    assert metrics[0]["divergence"] == pytest.approx(0.0, abs=1e-7)
    assert metrics[-1]["divergence"] > 1e-6
    (batch,) = micro_batches(sequences_to_train(rollouts(0)["math"], "grpo"), 4096)
    frozen = policy()
    expected = frozen.logprobs(frozen.scorer, batch, 1.0).detach()
    torch.testing.assert_close(own.reference_logprobs(batch), expected, rtol=TOLERANCE, atol=0)
    with adapters_off(own.model):
        torch.testing.assert_close(
            own.logprobs(own.scorer, batch, 1.0).detach(), expected, rtol=TOLERANCE, atol=0
        )
    # Three steps of 1e-2 move them by hundredths.
    assert not torch.allclose(
        own.logprobs(own.scorer, batch, 1.0), expected, rtol=10 * TOLERANCE, atol=0
    )


def test_the_gradient_of_an_adapter_follows_from_that_of_the_merged_weight():
    own, _ = trained(steps=2)
    total = dict(zip(own.names, own.task_gradients(rollouts(5))[0], strict=True))
    plain = qwen2()
    plain.load_state_dict(dict(own.named_weights()), strict=False)
    full = Policy(plain, own.config.model_copy(update={"lora": None}), World(torch.device("cpu")))
    whole = dict(zip(full.names, full.task_gradients(rollouts(5))[0], strict=True))
    name = "model.layers.1.mlp.up_proj"
    layer = own.model.get_submodule(name)
    up, down = (
        2 * whole[f"{name}.weight"] @ layer.lora_A.default.weight.T,
        2 * layer.lora_B.default.weight.T @ whole[f"{name}.weight"],
    )
    for found, expected in (
        (total[f"{name}.lora_B.default.weight"], up),
        (total[f"{name}.lora_A.default.weight"], down),
    ):
        assert (
            found - expected
        ).norm() <= TOLERANCE * expected.norm()  # single elements may cancel
