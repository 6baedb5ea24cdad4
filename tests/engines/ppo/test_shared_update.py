"""An update that runs a prompt once for all of its answers is the update that runs it with each."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.ppo.config import Config
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.batch import Rollout, in_order, micro_batches
from engines.ppo.update.critic import Critic
from engines.ppo.update.policy import Policy
from engines.ppo.update.sharding import World
from engines.shared.inference import Generation
from engines.shared.language_model.packing import PackedModel
from tests.support.models import qwen2

CRITIC = {"estimator": "gae", "critic": {"lam": 0.9}}
LORA = {"lora": {"rank": 4}}
CASES: dict[str, dict[str, Any]] = {
    "grpo": {},
    "dr_grpo": {"estimator": "dr_grpo"},
    "rloo": {"estimator": "rloo"},
    "gae": CRITIC,
    "adapters": LORA,
    "divergence": {"kl_coefficient": 0.1},
    "divergence from the model without adapters": {**LORA, "kl_coefficient": 0.1},
    "gae and divergence": {**CRITIC, "kl_coefficient": 0.1},
    "pcgrad": {"mtl": {"method": "pcgrad"}},
    "pcgrad, micro-batches that cut groups": {
        "mtl": {"method": "pcgrad"},
        "micro_batch_tokens": 24,
    },
    "gae, micro-batches that cut groups": {**CRITIC, "micro_batch_tokens": 24},
    "checkpointing": {"gradient_checkpointing": True},
    "adapters, checkpointing": {**LORA, "gradient_checkpointing": True},
}


def groups(seed: int) -> dict[str, list[Group]]:
    """Two tasks; one of the second's prompts comes twice, and one of its groups has one reward."""
    draw = torch.Generator().manual_seed(seed)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(1, 64, (count,), generator=draw).tolist())

    def group(prompt: tuple[int, ...], rewards: tuple[float, ...]) -> Group:
        answers = [ids(1 + k * len(prompt) % 7) for k in range(len(rewards))]
        # Sampled twice.
        answers[-1] = answers[1]
        made = [Generation(one, (-4.0,) * len(one), "", "stop") for one in answers]
        return Group(prompt, tuple(made), rewards)

    one, other = ids(6), ids(3)
    return {
        "math": [group(ids(5), (0.0, 1.0, 0.0, 0.5)), group(ids(8), (1.0, 0.0, 0.0))],
        "code": [
            group(one, (0.0, 1.0, 1.0, 0.0, 1.0)),
            group(other, (1.0,) * 3),
            group(one, (0.0, 0.0, 1.0)),
        ],
    }


def made(values: dict[str, Any]) -> Policy:
    """A policy whose adapters, critic and distance from its reference are those of a training that
    has begun."""
    config = Config.model_validate(
        {
            "model": "x",
            "data": "x",
            "validation_data": "x",
            "device": "cpu",
            "max_prompt_tokens": 8,
            "max_response_tokens": 8,
            "micro_batch_tokens": 4096,
            **values,
        }
    )
    world = World(torch.device("cpu"))
    draw = torch.Generator().manual_seed(7)
    critic = None
    if config.estimator == "gae":
        critic = Critic(qwen2(2), config, world)
        torch.nn.init.normal_(critic.model.head.weight, generator=draw)
        # AdamW with its usual epsilon moves an element with hardly a gradient by what rounding
        # makes of it.
        critic.optimizer.param_groups[0]["eps"] = 1.0
    reference = qwen2(1) if config.kl_coefficient and config.lora is None else None
    policy = Policy(qwen2(), config, world, reference, critic)
    for name, parameter in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3, generator=draw)
    return policy


def assert_close(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    """To 1e-6 of the largest element, or of 1."""
    largest = max(1.0, *(float(one.abs().max()) for one in theirs))
    for a, b in zip(ours, theirs, strict=True):
        assert float((a - b).abs().max()) <= 1e-6 * largest


@pytest.mark.parametrize("case", CASES)
def test_loss_gradients_and_the_critics_step_are_those_without_shared_prompts(
    monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    found = {}
    for sharing in (True, False):
        monkeypatch.setattr(PackedModel, "sharing", sharing)
        policy, tasks = made(CASES[case]), groups(0)
        assert policy.shared is sharing
        rollouts = policy.rollouts(tasks)
        total, shares, metrics = policy.task_gradients(tasks, rollouts)
        if policy.critic is not None:
            metrics |= policy.critic.step(rollouts)
            shares.append([one.detach() for one in policy.critic.parameters])
        found[sharing] = total, shares, metrics
    (total, shares, metrics), (own_total, own_shares, own_metrics) = found[True], found[False]
    assert max(float(one.abs().max()) for one in total) > 1e-3
    assert_close(total, own_total)
    assert len(shares) == len(own_shares)
    for share, own_share in zip(shares, own_shares, strict=True):
        assert_close(share, own_share)
    assert metrics == pytest.approx(own_metrics, rel=1e-6, abs=1e-6)


def passed(monkeypatch: pytest.MonkeyPatch, sharing: bool) -> list[int]:
    """Tokens of each pass of an update."""
    monkeypatch.setattr(PackedModel, "sharing", sharing)
    policy, tokens = made({}), []
    policy.model.model.register_forward_pre_hook(
        lambda _module, _arguments, named: tokens.append(named["input_ids"].shape[1]),
        with_kwargs=True,
    )
    policy.task_gradients(groups(0))
    return tokens


def test_an_update_computes_each_prompt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        task: [
            (group.prompt, sample.token_ids)
            for group in own
            if len(set(group.rewards)) > 1
            for sample in group.samples
        ]
        for task, own in groups(0).items()
    }
    whole = [sum(len(prompt) + len(answer) for prompt, answer in own) for own in rows.values()]
    once = [
        sum(map(len, {prompt for prompt, _ in own}))
        + sum(len(answer) - 1 for _, answer in set(own))
        for own in rows.values()
    ]
    # Samples with an advantage of 0 are in neither.
    shared, apart = passed(monkeypatch, True), passed(monkeypatch, False)
    assert len(shared) == len(apart) == len(whole)
    assert all(a <= b for a, b in zip(shared, once, strict=True))
    assert all(a <= b for a, b in zip(apart, whole, strict=True))
    assert sum(shared) < 0.75 * sum(apart)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=30),
    st.integers(1, 60),
)
def test_micro_batches_hold_groups_together_as_far_as_their_tokens_allow(
    shapes: list[tuple[int, int]], budget: int
) -> None:
    rows = [
        Rollout((prompt,) * prompt, (k,) * answer, (-1.0,) * answer, (1.0,) * answer, 1.0)
        for k, (prompt, answer) in enumerate(shapes)
    ]
    ordered = in_order(rows, shared=True)
    assert sorted(ordered, key=id) == sorted(rows, key=id)
    # A prompt's rows are neighbours, its longest first, and prompts go by that one.
    runs = [list(run) for _, run in itertools.groupby(ordered, key=lambda row: row.prompt)]
    assert len(runs) == len({row.prompt for row in rows})
    assert all(list(map(len, run)) == sorted(map(len, run), reverse=True) for run in runs)
    assert [len(run[0]) for run in runs] == sorted((len(run[0]) for run in runs), reverse=True)
    left = list(ordered)
    sizes = []
    for batch in micro_batches(ordered, budget, shared=True):
        own, left = left[: len(batch.lengths)], left[len(batch.lengths) :]
        assert list(batch.lengths) == list(map(len, own))
        sizes.append(counted(own))
        assert sizes[-1] <= budget or len(own) == 1
        # The next one did not fit.
        assert not left or counted([*own, left[0]]) > budget
    assert left == []


def counted(rows: list[Rollout]) -> int:
    """Tokens of the different prompts and of all answers."""
    return sum(map(len, {row.prompt for row in rows})) + sum(len(row.response) for row in rows)
