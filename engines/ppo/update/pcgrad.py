"""Gradient surgery (PCGrad, Yu et al. 2020, arXiv 2001.06782) from inner products alone.

All that PCGrad does stays in the span of the task gradients g_1..g_T, so the T x T Gramian decides
T weights, and the result is sum_t w_t g_t = (sum_t g_t) + sum_t (w_t - 1) g_t. Without a conflict
every weight is 1 and the sum is untouched, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

Grouping = Literal["global", "layer", "module"]

WRAPPERS = {
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
    "_orig_mod",
    "_forward_module",
    "module",
}
"""What FSDP, checkpointing of activations, torch.compile, Lightning and DDP put into the names of
parameters, in front of a layer or behind it."""

Gradient = Sequence[torch.Tensor]
"""One tensor per parameter, in the order of the model's parameters."""

CHUNK = 1 << 16
"""Elements per inner product: the fp64 copies of a few tasks stay in the processor's cache."""


def gramians(gradients: Sequence[Gradient], groups: Sequence[str]) -> dict[str, torch.Tensor]:
    """G[i, j] = <g_i, g_j> over the parameters of each group, accumulated in fp64: {group: (T, T)}
    on the CPU.

    ``groups`` names the group of each parameter. The global Gramian is the sum over groups.
    """
    tasks = len(gradients)
    found = {group: torch.zeros(tasks, tasks, dtype=torch.float64) for group in groups}
    for group, *tensors in zip(groups, *gradients, strict=True):
        flat = [tensor.reshape(-1) for tensor in tensors]
        for start in range(0, flat[0].numel(), CHUNK):
            # (T, at most CHUNK), in fp64: where a cosine is near 0, rounding would decide its sign.
            block = torch.stack([vector[start : start + CHUNK].double() for vector in flat])
            found[group] += (block @ block.T).cpu()
    return found


def gramian(gradients: Sequence[Gradient]) -> torch.Tensor:
    """G[i, j] = <g_i, g_j> over all parameters: (T, T) in fp64 on the CPU."""
    return gramians(gradients, ["all"] * len(gradients[0]))["all"]


def group_names(names: Sequence[str], group: Grouping) -> list[str]:
    """The group of each parameter by its name: one for all, one per layer, or one per attention and
    feed-forward block.

    Projecting per module instead of globally: arXiv 2602.02301. What lies outside the layers
    (embeddings, head, last norm) is one each.
    """
    found = []
    for name in names:
        place = in_layer(name)
        if group == "global":
            found.append("all")
        elif place is None:
            found.append(name)
        else:
            layer, block = place
            found.append(layer if group == "layer" else f"{layer}.{block}")
    return found


def in_layer(name: str) -> tuple[str, str] | None:
    """The layer that a parameter belongs to, and its block in there; None outside the layers.

    ``transformer.h.0.attn.c_attn.weight``: (``transformer.h.0``, ``attn``).
    """
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    for place, part in enumerate(parts[:-1]):
        # Whatever an architecture calls its layers (model.layers, transformer.h, encoder.block),
        # they are numbered. Numbers further inside are experts of a layer, or blocks.
        if part.isdigit():
            inside = parts[place + 1 :]
            # T5 numbers its blocks too: encoder.block.0.layer.1.
            numbered = len(inside) > 2 and inside[1].isdigit()
            block = ".".join(inside[:2]) if numbered else inside[0]
            return ".".join(parts[: place + 1]), block
    return None


def remark_on_groups(names: Sequence[str], group: Grouping) -> str:
    """That no parameter is in a layer, where groups follow the layers; "" if all is well."""
    if group == "global" or any(in_layer(name) is not None for name in names):
        return ""
    return (
        f"mtl.group: {group}: no layers were found in the names of the parameters (such as "
        f"{names[0]}): each of the {len(names)} parameters is a group of its own"
    )


def pcgrad_weights(products: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The weights w with PCGrad(g) = sum_t w_t g_t, from the Gramian ``products`` (T, T): fp64
    (T,), every one >= 1.

    Algorithm 1: each task's gradient is projected off every other task's ORIGINAL gradient that it
    has a negative inner product with, in random order; the projected gradients are summed.
    ``generator`` (CPU) decides the orders.
    """
    products = products.double()
    tasks = len(products)
    weights = torch.zeros(tasks, dtype=torch.float64)
    for i in range(tasks):
        coefficients = torch.zeros(tasks, dtype=torch.float64)
        # The projected gradient is p = sum_k c_k g_k, so <p, g_j> is row j of the Gramian times c.
        coefficients[i] = 1.0
        for j in torch.randperm(tasks, generator=generator).tolist():
            inner = products[j] @ coefficients
            if j != i and inner < 0:
                # p -= <p, g_j> / |g_j|^2 g_j. A zero gradient has inner product 0 and is never
                # divided by.
                coefficients[j] -= inner / products[j, j]
        weights += coefficients
    return weights


TORCHJD = {
    "upgrad": "UPGradWeighting",
    "mgda": "MGDAWeighting",
    "cagrad": "CAGradWeighting",
    "imtl_g": "IMTLGWeighting",
    "aligned_mtl": "AlignedMTLWeighting",
    "dualproj": "DualProjWeighting",
}
"""Methods that TorchJD computes from the Gramian, and the names of its classes."""

TORCHJD_ARGUMENTS = {"cagrad": {"c": 0.5}}
"""The value of CAGrad's paper (Liu et al. 2021)."""


def task_weights(method: str, products: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Weights of the task gradients: all one for ``sum`` and ``equal``, else from the Gramian
    ``products``: fp64 (T,)."""
    if method == "pcgrad":
        return pcgrad_weights(products, generator)
    if method in TORCHJD:
        import torchjd.aggregation

        weighting = getattr(torchjd.aggregation, TORCHJD[method])(
            **TORCHJD_ARGUMENTS.get(method, {})
        )
        # These weights form a mean of gradients; the loss here is a sum over tasks.
        weights: torch.Tensor = weighting(products.double()) * len(products)
        return weights.double()
    return torch.ones(len(products), dtype=torch.float64)


def combine(
    total: Sequence[torch.Tensor], gradients: Sequence[Gradient], weights: Sequence[torch.Tensor]
) -> None:
    """Turn ``total`` = sum_t g_t into sum_t w_t g_t, in place; ``weights`` (T,) per parameter.
    Tasks of weight 1 are not touched."""
    for whole, parts, shares in zip(total, zip(*gradients, strict=True), weights, strict=True):
        for part, share in zip(parts, shares.tolist(), strict=True):
            if share != 1.0:
                # `total` holds each task once already.
                whole.add_(part.to(whole), alpha=share - 1.0)


def conflict_metrics(
    tasks: Sequence[str], products: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """What to log: conflict rate, cosines, norms, weights, and the length of the result relative to
    the plain sum.

    ``products`` and ``weights`` go by group of parameters; a task's weight is the mean over groups,
    each counted by the square of its gradient there. A task without a gradient (every group of
    samples got one reward) has cosine 0 with all others.
    """
    whole = torch.stack(list(products.values())).sum(0)
    # Every length and angle follows from the Gramian; no pass over the parameters is made for them.
    norms = whole.diagonal().clamp(min=0).sqrt()
    scale = torch.outer(norms, norms)
    tiny = torch.finfo(torch.float64).tiny
    cosines = torch.where(scale > 0, whole / scale.clamp(min=tiny), torch.zeros_like(whole))
    pairs = list(itertools.combinations(range(len(tasks)), 2))
    metrics = {f"cosine/{tasks[i]}|{tasks[j]}": float(cosines[i, j]) for i, j in pairs}
    metrics["conflict_rate"] = sum(bool(whole[i, j] < 0) for i, j in pairs) / max(len(pairs), 1)
    metrics |= {
        f"gradient_norm/{task}": float(norm) for task, norm in zip(tasks, norms, strict=True)
    }
    share = (
        sum((weights[group] - 1) * products[group].diagonal() for group in products)
        / whole.diagonal().clamp(min=tiny)
        + 1
    )
    metrics |= {f"weight/{task}": float(weight) for task, weight in zip(tasks, share, strict=True)}
    plain = float(whole.sum())
    # |sum_t w_t g_t|^2 = w' G w, and |sum_t g_t|^2 is the sum of all entries of G.
    length = sum(float(weights[group] @ products[group] @ weights[group]) for group in products)
    metrics["norm_ratio"] = (max(length, 0.0) / plain) ** 0.5 if plain > 0 else 1.0
    return metrics
