"""The update's pure functions, against loops written from the equations."""

import copy
import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.ppo.config import Config, EarlyStopping
from engines.ppo.data.prompts import NEEDS
from engines.ppo.data.task_sampler import Group, TaskSampler
from engines.ppo.early_stopping import Validation, should_stop
from engines.ppo.update.batch import Rollout, count_tokens, micro_batches, sequences_to_train
from engines.ppo.update.losses import (
    clipped_surrogate,
    divergence,
    gae,
    group_advantages,
    masked_sum,
    policy_loss,
    truncated_importance,
)
from engines.shared.inference import Generation, sample_seed
from tests.support.models import qwen2

FINITE = st.floats(-5, 5, allow_nan=False)

EPSILON = 2.0**-23
"""One rounding in float32, relative."""


def assert_equal_but_for_rounding(found, expected):
    """Relative to the norm: single elements may be what is left where larger terms cancel.

    A gradient lies some sixty operations from the weights, on sums of up to hundreds of terms that
    padded and packed batches add up in another order: roundings in the hundreds.
    """
    apart = (found - expected).detach().norm()
    assert apart <= 1000 * EPSILON * expected.detach().norm()


def surrogate(logprob, old, advantage, low, high, c):
    ratio = math.exp(max(-20.0, min(20.0, logprob - old)))
    clipped = max(1 - low, min(1 + high, ratio))
    loss = max(-advantage * ratio, -advantage * clipped)
    return min(loss, -advantage * c) if advantage < 0 else loss


@settings(max_examples=200, deadline=None)
@given(logprob=FINITE, old=FINITE, advantage=FINITE)
def test_clipped_surrogate_follows_the_equation_of_each_token(logprob, old, advantage):
    found = clipped_surrogate(
        *(torch.tensor([value], dtype=torch.float64) for value in (logprob, old, advantage)),
        clip_low=0.2,
        clip_high=0.3,
        clip_c=3.0,
    )
    # Float64: a handful of roundings of 1e-16.
    assert found.item() == pytest.approx(
        surrogate(logprob, old, advantage, 0.2, 0.3, 3.0), rel=1e-12, abs=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=9))
def test_group_advantages_are_standard_scores_of_the_group(rewards):
    found = group_advantages(torch.tensor([rewards], dtype=torch.float64), "grpo")[0].tolist()
    mean = sum(rewards) / len(rewards)
    deviation = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / (len(rewards) - 1))
    expected = (
        [0.0] * len(rewards)
        if len(set(rewards)) == 1
        else [(reward - mean) / (deviation + 1e-6) for reward in rewards]
    )
    # The mean of nine numbers up to 5 is right to 1e-14, and the least divisor is 1e-6.
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(FINITE, min_size=1, max_size=12),
    reward=FINITE,
    gamma=st.floats(0.1, 1.0),
    lam=st.floats(0.0, 1.0),
)
def test_gae_is_the_discounted_sum_of_the_errors_of_the_values(values, reward, gamma, lam):
    n = len(values)
    rewards = [0.0] * (n - 1) + [reward]
    errors = [rewards[t] + gamma * ([*values, 0.0][t + 1]) - values[t] for t in range(n)]
    expected = [sum((gamma * lam) ** k * errors[t + k] for k in range(n - t)) for t in range(n)]
    # Float64: sums of twelve terms up to 10, so 1e-13.
    assert gae(
        reward, torch.tensor(values, dtype=torch.float64), gamma, lam
    ).tolist() == pytest.approx(expected, abs=1e-9)


def test_gae_without_discount_and_decay_is_what_is_still_to_come_less_the_value():
    assert gae(1.0, torch.tensor([0.25, 0.5, 2.0]), 1.0, 1.0).tolist() == [0.75, 0.5, -1.0]
    assert gae(1.0, torch.tensor([0.25, 0.5, 2.0]), 1.0, 0.0).tolist() == [0.25, 1.5, -1.0]


@settings(max_examples=100, deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=9).filter(lambda rewards: len(set(rewards)) > 1))
def test_dr_grpo_and_rloo_are_differences_from_the_group_and_from_the_others(rewards):
    n = len(rewards)
    tensor = torch.tensor([rewards], dtype=torch.float64)
    plain = [reward - sum(rewards) / n for reward in rewards]
    # Float64: sums of nine terms up to 5, so 1e-14.
    assert group_advantages(tensor, "dr_grpo")[0].tolist() == pytest.approx(plain, abs=1e-9)
    others = [
        reward - sum(rewards[:i] + rewards[i + 1 :]) / (n - 1) for i, reward in enumerate(rewards)
    ]
    assert group_advantages(tensor, "rloo")[0].tolist() == pytest.approx(others, abs=1e-9)
    assert others == pytest.approx([n / (n - 1) * value for value in plain], abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(logprob=FINITE, reference=FINITE)
def test_the_divergence_follows_its_equation_and_is_never_negative(logprob, reference):
    found = divergence(
        torch.tensor([logprob], dtype=torch.float64), torch.tensor([reference], dtype=torch.float64)
    ).item()
    d = reference - logprob
    # Float64: exp(d) - d - 1 loses up to 1e-16 of the 1 that it subtracts.
    assert found == pytest.approx(min(math.exp(d) - d - 1, 10.0), rel=1e-9, abs=1e-12)
    assert found >= 0


def test_the_divergence_adds_to_the_loss_with_its_coefficient_and_stays_inside_the_mask():
    logprobs = torch.tensor([[-1.0, -2.0, float("nan")]], requires_grad=True)
    mask = torch.tensor([[True, True, False]])
    reference = torch.tensor([[-1.5, -2.0, float("nan")]])
    arguments = {
        "clip_low": 0.2,
        "clip_high": 0.2,
        "clip_c": 10.0,
        "importance_cap": 2.0,
        "denominator": 2.0,
    }
    sampler, advantages = logprobs.detach().clone(), torch.zeros(1, 3)
    loss = policy_loss(
        logprobs,
        sampler,
        advantages,
        mask,
        reference_logprobs=reference,
        kl_coefficient=0.1,
        **arguments,
    )
    assert loss.item() == pytest.approx(0.1 * (math.exp(-0.5) + 0.5 - 1) / 2, rel=100 * EPSILON)
    loss.backward()
    assert torch.isfinite(logprobs.grad).all()


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo"])
@pytest.mark.parametrize("reward", [0.1, 1 / 3, 0.7])
def test_a_group_of_equal_rewards_has_advantage_exactly_zero(reward, estimator):
    assert group_advantages(torch.full((2, 7), reward), estimator).eq(0).all()
    assert group_advantages(torch.tensor([[reward]]), estimator).eq(0).all()


def test_importance_weights_are_capped_and_carry_no_gradient():
    logprobs = torch.tensor([-1.0, -1.0, 100.0], requires_grad=True)
    weights = truncated_importance(logprobs, torch.tensor([-1.5, -3.0, 0.0]), cap=2.0)
    assert weights.tolist() == pytest.approx([math.exp(0.5), 2.0, 2.0], rel=100 * EPSILON)
    assert not weights.requires_grad


def test_policy_loss_is_the_token_mean_over_the_whole_batch_and_its_gradient_the_policy_gradient():
    torch.manual_seed(0)
    logprobs = torch.randn(3, 4, dtype=torch.float64).requires_grad_()
    sampler = logprobs.detach() + 0.1 * torch.randn(3, 4, dtype=torch.float64)
    advantages = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    loss = policy_loss(
        logprobs,
        sampler,
        advantages[:, None].expand(3, 4),
        mask,
        clip_low=0.2,
        clip_high=0.2,
        clip_c=10.0,
        importance_cap=2.0,
        denominator=20,
    )
    loss.backward()
    expected, gradient = 0.0, torch.zeros(3, 4, dtype=torch.float64)
    for b in range(3):
        for s in range(4):
            if mask[b, s]:
                weight = min(math.exp(logprobs[b, s].item() - sampler[b, s].item()), 2.0)
                expected += -advantages[b].item() * weight / 20
                gradient[b, s] = -advantages[b] * weight / 20
    # Float64: sums of seven terms.
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(logprobs.grad, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_outside_the_mask_leaks_neither_into_the_loss_nor_into_the_gradient(
    poison,
):
    logprobs = torch.tensor([[-1.0, poison]], requires_grad=True)
    mask = torch.tensor([[True, False]])
    loss = policy_loss(
        logprobs,
        torch.tensor([[-1.0, poison]]),
        torch.ones(1, 2),
        mask,
        clip_low=0.2,
        clip_high=0.2,
        clip_c=10.0,
        importance_cap=2.0,
        denominator=1,
    )
    loss.backward()
    assert loss.item() == pytest.approx(-1.0)
    assert logprobs.grad.tolist() == [[-1.0, 0.0]]
    assert masked_sum(torch.tensor([[2.0, poison]]), mask).item() == 2.0


def group(prompt, responses, rewards):
    samples = tuple(
        Generation(tuple(ids), tuple(-0.5 for _ in ids), "", "stop") for ids in responses
    )
    return Group(tuple(prompt), samples, tuple(rewards))


def test_samples_without_advantage_are_left_out_but_their_tokens_count_in_the_denominator():
    groups = [group([1, 2], [[3], [4, 5]], [1.0, 1.0]), group([1], [[2, 3, 4], [5]], [0.0, 1.0])]
    sequences = sequences_to_train(groups, "grpo")
    assert [sequence.response for sequence in sequences] == [(2, 3, 4), (5,)]
    assert count_tokens(groups) == 7


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 5)), min_size=1, max_size=12),
    st.integers(11, 60),
)
def test_micro_batches_hold_every_token_once_within_the_budget_and_no_padding(shapes, budget):
    rows = sorted(
        [
            Rollout(
                tuple(range(1, p + 1)),
                tuple(range(50, 50 + r)),
                (-0.1 * r,) * r,
                (float(p),) * r,
                1.0,
            )
            for p, r in shapes
        ],
        key=len,
        reverse=True,
    )
    batches = list(micro_batches(rows, budget))
    assert all(sum(batch.lengths) == len(batch.input_ids) <= budget for batch in batches)
    assert all(len(a.input_ids) + b.lengths[0] > budget for a, b in itertools.pairwise(batches))
    for batch in batches:
        assert batch.mask.all()
        assert batch.input_ids[batch.positions + 1].tolist() == batch.targets.tolist()
        for length, ids in zip(batch.lengths, batch.input_ids.split(batch.lengths), strict=True):
            row, *rows = rows
            assert (length, ids.tolist()) == (len(row), [*row.prompt, *row.response])
            n = len(row.response)
            (targets, batch_targets), (values, batch_values), (advantages, batch_advantages) = (
                (tensor[:n], tensor[n:])
                for tensor in (batch.targets, batch.sampler_logprobs, batch.advantages)
            )
            assert targets.tolist() == list(row.response)
            assert values.tolist() == pytest.approx(row.sampler_logprobs)
            assert advantages.tolist() == list(row.advantages)
            batch = replace(
                batch,
                targets=batch_targets,
                sampler_logprobs=batch_values,
                advantages=batch_advantages,
            )
    assert rows == []


def tiny_policy(reference=None, **changes):
    """A policy around a random two-layer model, without a folder to load it from."""
    pytest.importorskip("transformers")
    from engines.ppo.update.critic import Critic
    from engines.ppo.update.policy import Policy
    from engines.ppo.update.sharding import World

    model = qwen2()
    values = {
        "model": "x",
        "data": "x",
        "validation_data": "x",
        "max_prompt_tokens": 8,
        "max_response_tokens": 8,
    } | changes
    config, world = Config.model_validate(values), World(torch.device("cpu"))
    critic = Critic(copy.deepcopy(model), config, world) if config.estimator == "gae" else None
    return Policy(model, config, world, reference, critic)


def rollouts():
    generator = torch.Generator().manual_seed(4)

    def ids(n):
        return torch.randint(1, 64, (n,), generator=generator).tolist()

    return {
        task: [
            group(ids(3 + i), [ids(1 + (i + k) % 5) for k in range(4)], [0.0, 1.0, 0.0, 0.5])
            for i in range(3)
        ]
        for task in ("logic", "math")
    }


def test_the_gradients_of_the_tasks_add_up_to_the_whole_gradient_bit_for_bit():
    total, shares, _ = tiny_policy(micro_batch_tokens=64).task_gradients(rollouts())
    assert len(shares) == 2
    # One addition per element, which every processor rounds alike.
    assert all(torch.equal(whole, a + b) for whole, a, b in zip(total, *shares, strict=True))


def parameters_after_a_step(**changes):
    policy = tiny_policy(**changes)
    metrics = policy.step(rollouts(), 0)
    return [parameter.detach().clone() for parameter in policy.parameters], metrics


def test_off_takes_the_same_step_as_sum_bit_for_bit_and_measures_nothing():
    off, nothing = parameters_after_a_step(mtl={"method": "off"})
    plain, measured = parameters_after_a_step(mtl={"method": "sum"})
    # The same operations in the same order in one process; no weight differs from 1.
    assert all(torch.equal(a, b) for a, b in zip(off, plain, strict=True))
    assert "conflict_rate" in measured
    assert not any(key.startswith(("conflict_rate", "cosine/", "weight/")) for key in nothing)


def test_equal_gives_each_task_the_mean_over_its_own_tokens():
    shares = tiny_policy(mtl={"method": "equal"}).task_gradients(rollouts())[1]
    for place, task in enumerate(("logic", "math")):
        alone = tiny_policy().task_gradients({task: rollouts()[task]})[
            0
        ]  # one task: its tokens are the whole denominator
        for part, gradient in zip(shares[place], alone, strict=True):
            assert_equal_but_for_rounding(part * 2, gradient)


@pytest.mark.parametrize("grouping", ["layer", "module"])
def test_pcgrad_per_group_is_pcgrad_on_the_parameters_of_each_group_alone(grouping):
    from engines.ppo.update.pcgrad import gramian, pcgrad_weights

    policy = tiny_policy(mtl={"method": "pcgrad", "group": grouping})
    total, shares, _ = policy.task_gradients(rollouts())
    plain = [tensor.clone() for tensor in total]
    metrics = policy.resolve(["logic", "math"], total, shares, step=3)
    assert len(set(policy.groups)) == {"layer": 5, "module": 11}[grouping]
    for place, group in enumerate(dict.fromkeys(policy.groups)):
        chosen = [i for i, name in enumerate(policy.groups) if name == group]
        parts = [[share[i] for i in chosen] for share in shares]
        weights = pcgrad_weights(
            gramian(parts), torch.Generator().manual_seed(sample_seed(0, "pcgrad", 3, place))
        )
        for k, i in enumerate(chosen):
            expected = plain[i] + sum(
                (float(weight) - 1) * part[k] for weight, part in zip(weights, parts, strict=True)
            )
            assert_equal_but_for_rounding(total[i], expected)
    assert metrics["weight/math"] >= 1 - 1e-9  # float64


@pytest.mark.parametrize("method", sorted(NEEDS))
def test_torchjds_weightings_resolve_the_gradients_by_name(method):
    for package in NEEDS[method]:
        pytest.importorskip(package)
    parameters, metrics = parameters_after_a_step(mtl={"method": method})
    assert all(torch.isfinite(parameter).all() for parameter in parameters)
    # These two change nothing where no two gradients are in conflict, as here; a quadratic program
    # is solved for that, to rounding errors of float64.
    is_one = metrics["weight/math"] == pytest.approx(1.0, abs=1e-9)
    assert is_one is (method in ("dualproj", "upgrad"))


def test_a_critic_that_knows_nothing_gives_whitened_rewards_and_learns_the_mean():
    policy = tiny_policy(estimator="gae", critic={"learning_rate": 1e-2})
    judged = policy.rollouts(rollouts())
    rows = [row for own in judged.values() for row in own]
    assert len(rows) == 24, "a rollout was dropped"
    tokens = torch.tensor([row.reward for row in rows for _ in row.response], dtype=torch.float64)
    whitened = (tokens - tokens.mean()) / (tokens.std(unbiased=False) + 1e-8)
    # Float64 but for the values, which are exactly 0.
    assert [value for row in rows for value in row.advantages] == pytest.approx(
        whitened.tolist(), abs=1e-6
    )
    assert all(row.returns == (row.reward,) * len(row.response) for row in rows)
    losses = [policy.step(rollouts(), step)["critic/loss"] for step in range(40)]
    assert losses[0] == pytest.approx(float(tokens.square().mean()) / 2, rel=100 * EPSILON)
    assert losses[-1] < float(tokens.var(unbiased=False)) / 2, "it has not even learned the mean"
    assert policy.step(rollouts(), 40)["critic/explained_variance"] > 0.3


def test_dr_grpo_divides_by_samples_times_the_longest_answer():
    tokens = sum(
        len(sample.token_ids)
        for groups in rollouts().values()
        for g in groups
        for sample in g.samples
    )
    samples = sum(len(g.samples) for groups in rollouts().values() for g in groups)
    policy = tiny_policy(estimator="dr_grpo")
    assert sum(policy._denominator(groups) for groups in rollouts().values()) == samples * 8
    assert sum(tiny_policy()._denominator(groups) for groups in rollouts().values()) == tokens


def test_the_divergence_from_the_model_itself_is_zero_and_grows_when_it_moves():
    same = tiny_policy(reference=tiny_policy().model, kl_coefficient=0.1)
    # It is half the square of a difference: rounding of log-probabilities near -4, 1e-6, leaves
    # 1e-12.
    assert same.task_gradients(rollouts())[2]["divergence"] == pytest.approx(0.0, abs=1e-7)
    with torch.no_grad():
        for parameter in same.parameters:
            parameter.mul_(1.5)
    assert same.task_gradients(rollouts())[2]["divergence"] > 1e-4


def padded_logprobs(model, rows, temperature):
    """Of each response, by transformers' own attention on a batch padded to the right: a list of
    tensors."""
    length = max(map(len, rows))
    ids = torch.tensor([[*row.prompt, *row.response, *[0] * (length - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    model.set_attn_implementation("sdpa")
    table = (model(input_ids=ids, attention_mask=mask).logits / temperature).log_softmax(-1)
    return [
        torch.stack(
            [table[i, len(row.prompt) - 1 + k, token] for k, token in enumerate(row.response)]
        )
        for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize("chunk", [3, 2048])
def test_packed_logprobs_are_those_of_a_padded_batch_and_of_whole_logits(monkeypatch, chunk):
    monkeypatch.setattr("engines.shared.language_model.packing.ROWS", chunk)
    policy = tiny_policy()
    rows = sequences_to_train(rollouts()["math"], "grpo")
    (batch,) = micro_batches(rows, 4096)
    assert len(set(batch.lengths)) > 2
    found = policy.logprobs(policy.scorer, batch, temperature=0.7).detach()
    assert_equal_but_for_rounding(found, torch.cat(padded_logprobs(policy.model, rows, 0.7)))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("tokens", [16, 40, 4096])
def test_packing_changes_neither_the_loss_nor_the_gradient(tokens, checkpointing):
    own = tiny_policy(micro_batch_tokens=tokens, gradient_checkpointing=checkpointing)
    assert own.model.is_gradient_checkpointing is checkpointing
    total, _, metrics = own.task_gradients(rollouts())
    model, config = tiny_policy().model, own.config
    rows = [row for groups in rollouts().values() for row in sequences_to_train(groups, "grpo")]
    count = sum(count_tokens(groups) for groups in rollouts().values())
    loss = torch.zeros(())
    for row, values in zip(rows, padded_logprobs(model, rows, config.temperature), strict=True):
        loss = loss + policy_loss(
            values,
            torch.tensor(row.sampler_logprobs),
            torch.tensor(row.advantages, dtype=torch.float32),
            torch.ones_like(values).bool(),
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            clip_c=config.clip_c,
            importance_cap=config.truncated_importance_cap,
            denominator=count,
        )
    loss.backward()
    # Its terms, advantages times weights of e^-3.7, cancel to a fiftieth of their size.
    assert metrics["loss"] == pytest.approx(loss.item(), rel=0, abs=100 * EPSILON * 0.05)
    for gradient, parameter in zip(total, model.parameters(), strict=True):
        assert_equal_but_for_rounding(gradient, parameter.grad)


def test_a_model_whose_attention_looks_back_less_far_than_the_answers_are_long_is_refused():
    policy = tiny_policy()
    policy.model.config.sliding_window = 12
    with pytest.raises(ConfigError, match="attends to the last 12 tokens only"):
        type(policy)(policy.model, policy.config, policy.world)


def test_a_gradient_that_is_not_finite_is_skipped_and_counted_and_too_many_end_the_run():
    policy = tiny_policy(max_skipped_steps=1)
    before = [parameter.detach().clone() for parameter in policy.parameters]
    broken = {
        task: [Group(g.prompt, g.samples, (float("inf"), 0.0, 0.0, 1.0)) for g in groups]
        for task, groups in rollouts().items()
    }
    assert policy.step(broken, 0)["skipped_steps"] == 1.0
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters, strict=True))
    with pytest.raises(
        RuntimeError,
        match=r"step 2: the gradient is not finite, 2 times so far \(max_skipped_steps = 1\)",
    ):
        policy.step(broken, 1)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 23), min_size=1, max_size=4),
    prompts=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_every_problem_comes_once_per_pass_and_every_task_equally_often(sizes, prompts, seed):
    problems = {f"task{i}": [f"{i}:{k}" for k in range(size)] for i, size in enumerate(sizes)}
    sampler = TaskSampler(problems, prompts, seed)
    assert sampler.steps_per_epoch == math.ceil(max(sizes) / prompts)
    for task, own in problems.items():
        seen = [
            problem
            for step in range(3 * sampler.steps_per_epoch)
            for problem in sampler.batch(step)[task]
        ]
        assert len(seen) == 3 * sampler.steps_per_epoch * prompts
        for start in range(0, len(seen) - len(own) + 1, len(own)):
            assert sorted(seen[start : start + len(own)]) == sorted(own)
    assert TaskSampler(problems, prompts, seed).batch(2) == sampler.batch(2)


def test_seeds_of_samples_depend_on_every_part():
    seeds = {
        sample_seed(seed, "rollout", step, task, i)
        for seed in (0, 1)
        for step in (0, 1)
        for task in "ab"
        for i in (0, 1)
    }
    assert len(seeds) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)


def validations(*means, every=3):
    return [Validation(i * every, i, mean, {"math": mean}, True) for i, mean in enumerate(means)]


@pytest.mark.parametrize(
    ("means", "stops"),
    [
        ((0.5, 0.5, 0.5, 0.5), False),  # epoch 9: before min_epochs
        ((0.5, 0.5, 0.5, 0.5, 0.5), True),  # epoch 12, nothing better than before training
        ((0.1, 0.5, 0.5, 0.5, 0.5), True),
        ((0.1, 0.2, 0.3, 0.4, 0.5), False),
        ((0.5, 0.4, 0.4, 0.502, 0.4), False),  # one improvement starts the count anew
        ((0.5, 0.5005, 0.5009, 0.501, 0.501), True),  # not more than min_delta
    ],
)
def test_early_stopping_counts_validations_without_improvement(means, stops):
    assert should_stop(EarlyStopping(), validations(*means)) is stops
    assert should_stop(None, validations(*means)) is False


def test_a_validation_that_is_no_number_is_a_failure():
    with pytest.raises(ValueError, match="mean reward is nan"):
        Validation(3, 30, float("nan"), {}, True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"micro_batch_tokens": 8}, "must hold one sequence"),
        ({"samples_per_prompt": 1}, "greater than or equal to 2"),
        ({"clip_c": 0.9}, "greater than 1"),
        ({"data": {"math": "a"}, "validation_data": {"code": "b"}}, "name the same"),
        ({"mtl": {"method": "average"}}, "'sum', 'equal', 'pcgrad'"),
    ],
)
def test_a_config_that_cannot_run_is_refused_without_heavy_imports(changes, says):
    values = {
        "model": "x",
        "data": "x",
        "validation_data": "x",
        "max_prompt_tokens": 8,
        "max_response_tokens": 8,
    }
    with pytest.raises(ValueError, match=says):
        Config.model_validate(values | changes)
