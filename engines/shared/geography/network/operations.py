"""Norm and gate with backward passes of their own: the same numbers as torch's own
differentiation in half the passes over memory, which is what a small model spends its time on.

In and out: tensors of the network in model.py, which alone calls this.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function
from torch.nn import functional as F


class Norm(Function):  # type: ignore[misc]  # torch is not followed by mypy here
    """RMSNorm (Zhang & Sennrich 2019, equation 4) over the last axis of (S, N, d), without its
    weights, which are in the next matrix."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Normed states."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = length.square().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        normed = x * scale
        ctx.save_for_backward(normed, scale)
        return normed

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """With n = x * scale: dx = scale * (dn - n * mean(dn * n))."""
        normed, scale = ctx.saved_tensors
        projected = (gradients[0] * normed).mean(-1, keepdim=True)
        return torch.addcmul(gradients[0], normed, projected, value=-1).mul_(scale), None


def rows_apart(like: torch.Tensor, width: int) -> torch.Tensor:
    """Room for (..., width) with a gap behind each row. Rows a power of two apart fall onto the
    same few lines of the cache: products that sum over rows take half as long again."""
    return like.new_empty(*like.shape[:-1], width + 16)[..., :width]


class Gated(Function):  # type: ignore[misc]
    """SwiGLU (Shazeer 2020, equation 6): (S, N, 2 f), gate and rise side by side, -> (S, N, f)."""

    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        """silu(gate) * rise."""
        gate, rise = both.chunk(2, dim=-1)
        active = F.silu(gate)
        ctx.save_for_backward(both, active)
        return torch.mul(active, rise, out=rows_apart(active, active.shape[-1]))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Both halves side by side."""
        both, active = ctx.saved_tensors
        gate, rise = both.chunk(2, dim=-1)
        found = rows_apart(both, both.shape[-1])
        of_gate, of_rise = found.chunk(2, dim=-1)
        torch.mul(gradients[0], active, out=of_rise)
        through = gradients[0] * rise
        torch.ops.aten.silu_backward.grad_input(through, gate, grad_input=of_gate)
        return found
