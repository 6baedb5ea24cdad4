"""Gradient surgery (PCGrad, Yu et al. 2020, arXiv 2001.06782) from inner products alone.

All that PCGrad does stays in the span of the task gradients g_1..g_T, so the T x T Gramian decides T weights, and the result is
sum_t w_t g_t = (sum_t g_t) + sum_t (w_t - 1) g_t. Without a conflict every weight is 1 and the sum is untouched, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch

Gradient = Sequence[torch.Tensor]
"""One tensor per parameter, in the order of the model's parameters."""

CHUNK = 1 << 22
"""Elements per inner product: bounds the fp64 copies to 32 MiB per task."""


def gramian(gradients: Sequence[Gradient]) -> torch.Tensor:
    """G[i, j] = <g_i, g_j> over all parameters, accumulated in fp64: (T, T) on the CPU."""
    tasks = len(gradients)
    total = torch.zeros(tasks, tasks, dtype=torch.float64)
    for tensors in zip(*gradients, strict=True):
        flat = [tensor.reshape(-1) for tensor in tensors]
        for start in range(0, flat[0].numel(), CHUNK):
            block = torch.stack([vector[start:start + CHUNK].double() for vector in flat])
            total += (block @ block.T).cpu()
    return total


def pcgrad_weights(products: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The weights w with PCGrad(g) = sum_t w_t g_t, from the Gramian ``products`` (T, T): fp64 (T,), every one >= 1.

    Algorithm 1: each task's gradient is projected off every other task's ORIGINAL gradient that it has a negative inner product
    with, in random order; the projected gradients are summed. ``generator`` (CPU) decides the orders.
    """
    products = products.double()
    tasks = len(products)
    weights = torch.zeros(tasks, dtype=torch.float64)
    for i in range(tasks):
        coefficients = torch.zeros(tasks, dtype=torch.float64)
        coefficients[i] = 1.0
        for j in torch.randperm(tasks, generator=generator).tolist():
            inner = products[j] @ coefficients
            if j != i and inner < 0:
                coefficients[j] -= inner / products[j, j]
        weights += coefficients
    return weights


def task_weights(method: Literal["sum", "pcgrad"], products: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Weights of the task gradients: all one for ``sum``."""
    if method == "sum":
        return torch.ones(len(products), dtype=torch.float64)
    return pcgrad_weights(products, generator)


def combine(total: Sequence[torch.Tensor], gradients: Sequence[Gradient], weights: torch.Tensor) -> None:
    """Turn ``total`` = sum_t g_t into sum_t w_t g_t, in place. Tasks of weight 1 are not touched."""
    for gradient, weight in zip(gradients, weights.tolist(), strict=True):
        if weight == 1.0:
            continue
        for tensor, part in zip(total, gradient, strict=True):
            tensor.add_(part.to(tensor), alpha=weight - 1.0)


def conflict_metrics(tasks: Sequence[str], products: torch.Tensor, weights: torch.Tensor) -> dict[str, float]:
    """What to log: conflict rate, cosines, norms, weights, and the length of the result relative to the plain sum.

    A task without a gradient (every group of samples got one reward) has cosine 0 with all others.
    """
    norms = products.diagonal().clamp(min=0).sqrt()
    scale = torch.outer(norms, norms)
    cosines = torch.where(scale > 0, products / scale.clamp(min=torch.finfo(torch.float64).tiny), torch.zeros_like(products))
    pairs = list(itertools.combinations(range(len(tasks)), 2))
    metrics = {f"cosine/{tasks[i]}|{tasks[j]}": float(cosines[i, j]) for i, j in pairs}
    metrics["conflict_rate"] = sum(bool(products[i, j] < 0) for i, j in pairs) / max(len(pairs), 1)
    metrics |= {f"gradient_norm/{task}": float(norm) for task, norm in zip(tasks, norms, strict=True)}
    metrics |= {f"weight/{task}": float(weight) for task, weight in zip(tasks, weights, strict=True)}
    plain = float(products.sum())
    metrics["norm_ratio"] = (max(float(weights @ products @ weights), 0.0) / plain) ** 0.5 if plain > 0 else 1.0
    return metrics
