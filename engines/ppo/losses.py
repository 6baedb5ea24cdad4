"""The pure functions of the update: group advantages, clipped surrogate, truncated importance weights, masked sums.

Shapes: B sequences, S response positions. Masks are boolean, True where a response token is (end of text included).
"""

from __future__ import annotations

import torch

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are clamped to +- this before exp: e^20 is beyond every clip range and far from overflow."""


def group_advantages(rewards: torch.Tensor, epsilon: float = 1e-6) -> torch.Tensor:
    """GRPO (Shao et al. 2024): (R - mean) / (std + epsilon) within each group: (groups, n) -> (groups, n), unbiased std.

    A group of one has advantage 0: it says nothing about which answer is better. A group of equal rewards is exactly 0, too.
    """
    if rewards.shape[-1] == 1:
        return torch.zeros_like(rewards)
    centred = rewards - rewards.mean(-1, keepdim=True)
    advantages = centred / (rewards.std(-1, keepdim=True) + epsilon)
    equal = (rewards == rewards[..., :1]).all(-1, keepdim=True)
    return torch.where(equal, torch.zeros_like(advantages), advantages)  # rounding of the mean must not become a gradient


def truncated_importance(logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, cap: float) -> torch.Tensor:
    """min(pi_trainer / pi_sampler, cap) per token, without gradient: corrects for a sampler that computes differently."""
    difference = (logprobs.detach() - sampler_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return difference.exp().clamp(max=cap)


def clipped_surrogate(logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, *, clip_low: float,
                      clip_high: float, clip_c: float) -> torch.Tensor:
    """PPO's loss per token (Schulman et al. 2017) with the dual clip for negative advantages (Ye et al. 2020): same shape.

    max(-A r, -A clip(r, 1 - clip_low, 1 + clip_high)), and at most -A clip_c where A < 0.
    """
    ratio = (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    loss = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip_low, 1 + clip_high))
    return torch.where(advantages < 0, torch.minimum(loss, -advantages * clip_c), loss)


def masked_sum(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum where ``mask`` is True. A NaN outside the mask reaches neither the value nor the gradient of what is inside."""
    return torch.where(mask, values, torch.zeros_like(values)).sum()


def policy_loss(logprobs: torch.Tensor, sampler_logprobs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor, *,
                clip_low: float, clip_high: float, clip_c: float, importance_cap: float, batch_tokens: int) -> torch.Tensor:
    """This micro-batch's share of the loss of the whole batch: sum over its tokens / tokens of the WHOLE batch: scalar, nats.

    ``logprobs``, ``sampler_logprobs`` (B, S), ``advantages`` (B,). One optimizer step is taken per batch of rollouts, so the old
    policy is the present one: the ratio is 1 in value, and its gradient is the policy gradient.
    """
    logprobs = torch.where(mask, logprobs, torch.zeros_like(logprobs))
    sampler_logprobs = torch.where(mask, sampler_logprobs, torch.zeros_like(sampler_logprobs))
    tokens = clipped_surrogate(logprobs, logprobs.detach(), advantages[:, None].expand_as(logprobs),
                               clip_low=clip_low, clip_high=clip_high, clip_c=clip_c)
    weights = truncated_importance(logprobs, sampler_logprobs, importance_cap)
    return masked_sum(tokens * weights, mask) / batch_tokens
