"""The diversity of sets of samples and the gradient of its expectation by the score function.

In: distances between the n samples of each of P prompts and how good each sample is. Out: the
diversity of each set, an advantage for each sample, and a scalar to differentiate. The training
loop calls it once per step. Derivation and sources: docs/polychromic.md.
"""

from __future__ import annotations

from typing import Literal

import torch

from engines.contract.config import ConfigError

Baseline = Literal["leave_one_out", "cross_prompt"]


def set_diversity(distances: torch.Tensor, quality: torch.Tensor | None) -> torch.Tensor:
    """Mean over the pairs of a set of d_ij q_i q_j: (P, n, n), (P, n) -> (P,), float64.

    Sets of success times diversity: polychromic objectives, arXiv 2509.25424; here both factors
    stand inside the pair, so that the mean stays a function of pairs. ``distances`` are symmetric
    and not negative; their diagonals are not read. ``quality`` is in [0, 1], each entry a function
    of its own sample alone; None: all are 1. ConfigError below two samples.
    """
    return _mean_over_pairs(_contributions(distances, quality))


def advantages(
    distances: torch.Tensor, quality: torch.Tensor | None, baseline: Baseline
) -> torch.Tensor:
    """A_i of each sample, so that mean_p sum_i A_i grad log p(y_i) is an unbiased estimate of the
    gradient of the expected ``set_diversity``: (P, n), float64.

    ``leave_one_out``: f(S) - f(S without i), the sample's marginal contribution (Poly-EPO, arXiv
    2604.17654); for a mean over pairs it is (2 / n) (m_i - f(S without i)), m_i the mean of row i.
    A single sample has diversity 0, so with n = 2 both get f(S). ``cross_prompt``: f(S) less the
    mean of the OTHER prompts' sets, the same for all of a set; ConfigError for one prompt. They are
    not centred inside the set: b may not depend on y_i.
    """
    pairs = _contributions(distances, quality)
    diversity = _mean_over_pairs(pairs)
    prompts, n, _ = pairs.shape
    if baseline == "cross_prompt":
        if prompts < 2:
            raise ConfigError(
                "baseline: cross_prompt needs at least 2 prompts per step, there is "
                f"{prompts}; raise prompts_per_step or choose leave_one_out"
            )
        others = (diversity.sum() - diversity) / (prompts - 1)
        return (diversity - others)[:, None].expand(prompts, n).contiguous()
    rows = pairs.sum(-1)
    # Twice the sum over the pairs that are left when sample i and its n - 1 pairs are taken away.
    left = pairs.sum((-1, -2))[:, None] - 2 * rows
    without = left / max(1, (n - 1) * (n - 2))
    return (2 / n) * (rows / (n - 1) - without)


def policy_surrogate(
    advantages: torch.Tensor, logprob_sums: torch.Tensor, prompts: int | None = None
) -> torch.Tensor:
    """Sum of A_i log p(y_i) / prompts: a scalar whose gradient is that of the mean set diversity
    (score function, Williams 1992). Its value means nothing.

    ``logprob_sums`` are the SUMS of the log-probabilities of a sample's tokens, its end included,
    under the distribution that it was drawn from, in the shape of ``advantages``: (P, n), or the
    part that a micro-batch holds. ``prompts``: those of the whole STEP, so that micro-batches add
    up; None: P, there is one micro-batch.
    """
    assert advantages.shape == logprob_sums.shape, (advantages.shape, logprob_sums.shape)
    weights = advantages.detach().to(logprob_sums.dtype)
    return (weights * logprob_sums).sum() / (prompts or len(advantages))


def _contributions(distances: torch.Tensor, quality: torch.Tensor | None) -> torch.Tensor:
    """d_ij q_i q_j with a diagonal of zeros: (P, n, n), float64."""
    n = distances.shape[-1]
    if n < 2:
        raise ConfigError(f"samples: a set of {n} has no pairs; take at least 2, better 8")
    pairs = distances.detach().double()
    if quality is not None:
        good = quality.detach().double()
        pairs = pairs * good[:, :, None] * good[:, None, :]
    diagonal = torch.eye(n, dtype=torch.bool, device=distances.device)
    return pairs.masked_fill(diagonal, 0.0)


def _mean_over_pairs(pairs: torch.Tensor) -> torch.Tensor:
    """(P, n, n) with zeros on the diagonal -> (P,)."""
    n = pairs.shape[-1]
    return pairs.sum((-1, -2)) / (n * (n - 1))
