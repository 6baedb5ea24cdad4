"""The pure functions of the update: group advantages, clipped surrogate, truncated importance
weights, masked sums.

Shapes: R response tokens (end of text included) of all sequences. Masks are boolean, True where a
    token counts.
"""

from __future__ import annotations

from typing import Literal

import torch

Estimator = Literal["grpo", "dr_grpo", "rloo", "gae"]

DIVERGENCE_LIMIT = 10.0
"""One token's divergence counts at most this much, nats."""

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to +- this before exp: e^20 is beyond every clip range and far from
overflow."""


def grpo(rewards: torch.Tensor, epsilon: float = 1e-6) -> torch.Tensor:
    """(R - mean) / (std + epsilon) within each group (Shao et al. 2024): (groups, n) -> (groups,
    n), unbiased std."""
    return (rewards - rewards.mean(-1, keepdim=True)) / (rewards.std(-1, keepdim=True) + epsilon)


def dr_grpo(rewards: torch.Tensor) -> torch.Tensor:
    """R - mean within each group, without the division that favours groups of little spread (Liu et
    al. 2025)."""
    return rewards - rewards.mean(-1, keepdim=True)


def rloo(rewards: torch.Tensor) -> torch.Tensor:
    """R - mean of the OTHERS of the group (Ahmadian et al. 2024): an unbiased baseline for each
    sample."""
    n = rewards.shape[-1]
    return rewards - (rewards.sum(-1, keepdim=True) - rewards) / (n - 1)


ESTIMATORS = {"grpo": grpo, "dr_grpo": dr_grpo, "rloo": rloo}


def gae(reward: float, values: torch.Tensor, gamma: float, lam: float) -> torch.Tensor:
    """Generalized advantage estimates of one response (Schulman et al. 2016): (R,) -> (R,).

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lam A_{t+1}. ``values`` are V_t
    before each of the R tokens; the reward comes with the last token, after which the value is 0,
    cut-off answers included.
    """
    deltas = torch.cat([gamma * values[1:], values.new_tensor([reward])]) - values
    found = torch.zeros_like(deltas)
    following = deltas.new_zeros(())
    for t in range(len(deltas) - 1, -1, -1):
        # A_t = delta_t + gamma lam A_{t+1}, from the last token back.
        following = deltas[t] + gamma * lam * following
        found[t] = following
    return found


def group_advantages(rewards: torch.Tensor, estimator: Estimator) -> torch.Tensor:
    """Advantages of each sample against its group: (groups, n) -> (groups, n), for the estimators
    that have no critic.

    A group of one has advantage 0: it says nothing about which answer is better. A group of equal
    rewards is exactly 0, too.
    """
    if rewards.shape[-1] == 1:
        return torch.zeros_like(rewards)
    equal = (rewards == rewards[..., :1]).all(-1, keepdim=True)
    # Rounding of the mean must not become a gradient.
    return torch.where(equal, torch.zeros_like(rewards), ESTIMATORS[estimator](rewards))


def truncated_importance(
    logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, cap: float
) -> torch.Tensor:
    """min(pi_trainer / pi_sampler, cap) per token, without gradient: corrects for a sampler that
    computes differently."""
    difference = (logprobs.detach() - sampler_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return difference.exp().clamp(max=cap)


def clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    clip_c: float,
) -> torch.Tensor:
    """PPO's loss per token (Schulman et al. 2017) with the dual clip for negative advantages (Ye et
    al. 2020): same shape.

    max(-A r, -A clip(r, 1 - clip_low, 1 + clip_high)), and at most -A clip_c where A < 0.
    """
    ratio = (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    loss = torch.maximum(
        -advantages * ratio, -advantages * ratio.clamp(1 - clip_low, 1 + clip_high)
    )
    return torch.where(advantages < 0, torch.minimum(loss, -advantages * clip_c), loss)


def masked_sum(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum where ``mask`` is True. A NaN outside the mask reaches neither the value nor the gradient
    of what is inside."""
    return torch.where(mask, values, torch.zeros_like(values)).sum()


def value_loss(
    values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor, denominator: float
) -> torch.Tensor:
    """This micro-batch's share of half the mean squared error of the critic: (R,), (R,) -> scalar.

    One step is taken per batch, so the values are those of the rollouts and PPO's clipping of them
    could do nothing.
    """
    return masked_sum((values - returns).square(), mask) / (2 * denominator)


def divergence(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """Estimate k3 of KL(policy | reference) per token (Schulman 2020): exp(d) - d - 1 with d =
    reference - policy; never negative."""
    difference = (reference_logprobs - logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    # Rounding of equals may fall below zero.
    return (difference.expm1() - difference).clamp(0, DIVERGENCE_LIMIT)


def policy_loss(  # noqa: PLR0913  # one argument for each symbol of the equation
    logprobs: torch.Tensor,
    sampler_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    clip_c: float,
    importance_cap: float,
    denominator: float,
    reference_logprobs: torch.Tensor | None = None,
    kl_coefficient: float = 0.0,
) -> torch.Tensor:
    """This micro-batch's share of the loss of the whole batch: sum over its tokens /
    ``denominator``: scalar, nats.

    All tensors are (R,). ``denominator`` belongs to the WHOLE batch (its tokens, or for dr_grpo its
    samples times the longest answer), so that micro-batches add up. One optimizer step is taken per
    batch of rollouts, so the old policy is the present one: the ratio is 1 in value, and its
    gradient is the policy gradient.
    """

    def inside(values: torch.Tensor) -> torch.Tensor:
        return torch.where(mask, values, torch.zeros_like(values))

    # Before exp, not only in the sum: a NaN or infinity outside of the mask would come back into
    # the gradient as 0 * NaN.
    logprobs, sampler_logprobs = inside(logprobs), inside(sampler_logprobs)
    tokens = clipped_surrogate(
        logprobs,
        logprobs.detach(),
        advantages,
        clip_low=clip_low,
        clip_high=clip_high,
        clip_c=clip_c,
    )
    tokens = tokens * truncated_importance(logprobs, sampler_logprobs, importance_cap)
    if reference_logprobs is not None:
        tokens = tokens + kl_coefficient * divergence(logprobs, inside(reference_logprobs))
    return masked_sum(tokens, mask) / denominator
