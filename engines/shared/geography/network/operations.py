"""Norm, rotation and gate with backward passes of their own: the same numbers as torch's own
differentiation in half the passes over memory, which is what a small model spends its time on.

In and out: tensors of the network in model.py, which alone calls this.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import Function
from torch.nn import functional as F


class Norm(Function):  # type: ignore[misc]  # torch is not followed by mypy here
    """RMSNorm (Zhang & Sennrich 2019, equation 4) over the last axis of (S, N, d), with weights (S,
    1, d)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Normed states times weight."""
        size = x.shape[-1]
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = length.square().div_(size).add_(epsilon).rsqrt_()
        normed = x * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """With n = x * scale: dn = g * weight, dx = scale * (dn - n * mean(dn * n))."""
        normed, scale, weight = ctx.saved_tensors
        product = gradients[0] * normed
        of_weight = product.sum(1, keepdim=True)
        projected = product.mul_(weight).mean(-1, keepdim=True)
        of_x = (gradients[0] * weight).addcmul_(normed, projected, value=-1).mul_(scale)
        return of_x, of_weight, None


def rotated(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """The pairs (j, j + half) of the last axis turned."""
    found = torch.empty_like(x, memory_format=torch.contiguous_format)
    a, b = x.chunk(2, dim=-1)
    first, second = found.chunk(2, dim=-1)
    torch.mul(a, cosine, out=first).addcmul_(b, sine, value=-1)
    torch.mul(b, cosine, out=second).addcmul_(a, sine)
    return found


class Turn(Function):  # type: ignore[misc]
    """Rotary positions (Su et al. 2021, equation 34) of (..., N, heads, d / heads), with cosines
    and sines (N, 1, d / heads / 2)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor
    ) -> torch.Tensor:
        """Turned."""
        ctx.save_for_backward(cosine, sine)
        return rotated(x, cosine, sine)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Turned back."""
        cosine, sine = ctx.saved_tensors
        return rotated(gradients[0], cosine, -sine), None, None


class Gated(Function):  # type: ignore[misc]
    """SwiGLU (Shazeer 2020, equation 6): (S, N, 2 f), gate and rise side by side, -> (S, N, f)."""

    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        """silu(gate) * rise."""
        gate, rise = both.chunk(2, dim=-1)
        active = F.silu(gate)
        ctx.save_for_backward(both, active)
        return active * rise

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Both halves side by side."""
        both, active = ctx.saved_tensors
        gate, rise = both.chunk(2, dim=-1)
        found = torch.empty_like(both)
        of_gate, of_rise = found.chunk(2, dim=-1)
        torch.mul(gradients[0], active, out=of_rise)
        through = gradients[0] * rise
        torch.ops.aten.silu_backward.grad_input(through, gate, grad_input=of_gate)
        return found
