"""Diversity without samples: terms that are computed from the logits at the tokens of the data.

In: logits at reply tokens. Out: one number per token, to sum and divide like cross-entropy. The
training loop calls them in place of, or beside, cross-entropy. Both flatten the distribution of
the next token whatever it says, so neither knows a good reply from nonsense.
"""

from __future__ import annotations

import torch


def gem_loss(logits: torch.Tensor, targets: torch.Tensor, beta: float) -> torch.Tensor:
    """beta logsumexp(z / beta) - z_target of each token: (R, V), (R,) -> (R,), float32, >= 0.

    GEM with a linear h (Li et al., ICLR 2025, arXiv 2408.16673): reverse KL with an entropy bonus,
    as a game against q = softmax(z / beta). Their loss is sum_v q_v (z_v - z_target), q held fixed;
    its gradient is q - onehot(target), and so is ours, which is beta times the entropy of q larger:
    a loss that can be compared, the Fenchel-Young loss of that entropy (Blondel et al. 2020). beta
    is in (0, 1]; at 1 this is cross-entropy; below, the minimum is at p ~ data ** beta.
    """
    scores = logits.float()
    chosen = scores.gather(-1, targets[:, None])[:, 0]
    return beta * (scores / beta).logsumexp(-1) - chosen


def gem_beta(weight: float) -> float:
    """The beta of ``gem_loss`` for a weight >= 0 of the entropy bonus, which the paper calls gamma:
    1 / (1 + weight). So 0 is cross-entropy, and the paper's beta of 0.7 is a weight of 0.43."""
    return 1 / (1 + weight)


def collision(logits: torch.Tensor) -> torch.Tensor:
    """1 - sum_v p_v^2 of each token: (R, V) -> (R,), float32, in [0, 1 - 1 / V].

    The Gini-Simpson index (Simpson 1949): the probability that two draws of the next token differ,
    so the expected distance of a pair for d = 1[a != b], with its exact gradient.
    """
    probabilities = logits.float().softmax(-1)
    # sum p (1 - p): no difference of nearly equal numbers where one token has it all.
    return (probabilities * (1 - probabilities)).sum(-1)
