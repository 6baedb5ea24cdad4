"""AdamW on S models at once (Loshchilov & Hutter 2019), each with its own learning rate and its own
gradient clipping.

All parameters lie in one tensor (S, P), so that a step is a handful of elementwise operations
however many models there are. Written out because importing torch.optim loads the compiler: 1.3 s
per process, as long as torch itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

Parameters = dict[str, torch.Tensor]
"""By name, each with a leading axis of S models."""
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Pace:
    """What of an update changes from step to step, in tensors that stay where they are: a recorded
    step reads them anew."""

    rates: torch.Tensor
    """Learning rates, (S, 1)."""
    first: torch.Tensor
    """Correction of the first moment's bias, a scalar."""
    second: torch.Tensor
    """Of the second moment's square root, a scalar."""

    @classmethod
    def of(cls, models: int, device: torch.device) -> Pace:
        """Room for ``models`` models."""
        return cls(
            torch.zeros(models, 1, device=device),
            torch.ones((), device=device),
            torch.ones((), device=device),
        )

    def set(self, rates: torch.Tensor, factor: float, number: int) -> None:
        """For update ``number``, from 1, with ``factor`` times ``rates``. Numbers travel as
        arguments of kernels: no copy, no wait."""
        torch.mul(rates, factor, out=self.rates)
        self.first.fill_(1 - BETA1**number)
        self.second.fill_((1 - BETA2**number) ** 0.5)


@dataclass
class Flat:
    """The parameters of S models as one leaf tensor, and AdamW's moments."""

    values: torch.Tensor
    """(S, P)."""
    first: torch.Tensor
    second: torch.Tensor
    shapes: dict[str, tuple[int, ...]]
    """Shape of each parameter of one model, in order."""
    decayed: int
    """The first so many of the P numbers have weight decay."""

    @classmethod
    def of(cls, parameters: Parameters, device: torch.device, matrices_alone: bool = False) -> Flat:
        """Join parameters with leading S; moments zero.

        ``matrices_alone``: only matrices are decayed, as transformers' Trainer does it; vectors
        (norms and biases) have to come last then.
        """
        values = torch.cat([tensor.flatten(1) for tensor in parameters.values()], dim=1).to(device)
        shapes = {name: tuple(tensor.shape[1:]) for name, tensor in parameters.items()}
        is_matrix = [len(shape) > 1 for shape in shapes.values()]
        assert not matrices_alone or is_matrix == sorted(is_matrix, reverse=True)
        sizes = [torch.Size(shape).numel() for shape in shapes.values()]
        decayed = sum(
            size for size, yes in zip(sizes, is_matrix, strict=True) if yes or not matrices_alone
        )
        moments = torch.zeros_like(values), torch.zeros_like(values)
        return cls(values.requires_grad_(), *moments, shapes, decayed)

    def named(self, values: torch.Tensor | None = None) -> Parameters:
        """The parameters as views (S, ...), of ``values`` (S, P) in place of these if given. One
        split, whose gradient is one concatenation."""
        sizes = [torch.Size(shape).numel() for shape in self.shapes.values()]
        parts = (self.values if values is None else values).split(sizes, dim=1)
        return {
            name: part.unflatten(1, shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def step(self, gradient: torch.Tensor, pace: Pace, clip: float, weight_decay: float) -> None:
        """One update in place, of ``gradient`` (S, P).

        Each model's gradient is scaled to norm ``clip`` where it is longer, on its own: not the
        norm over the stack.
        """
        with torch.no_grad():
            # A product with a minimum instead of a question whether the norm is too large: nothing
            # waits for the device. 1e-6 is what torch's clip_grad_norm_ adds.
            gradient = gradient * (clip / (gradient.norm(dim=1, keepdim=True) + 1e-6)).clamp(
                max=1.0
            )
            # Decoupled: the decay does not pass through the moments.
            self.values[:, : self.decayed].mul_(1 - pace.rates * weight_decay)
            self.first.lerp_(gradient, 1 - BETA1)
            self.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            # Epsilon is added after the correction of the bias, as in torch.optim.AdamW.
            root = self.second.sqrt().div_(pace.second).add_(EPSILON)
            change = torch.div(self.first, root, out=root).mul_(pace.rates / pace.first)
            self.values.sub_(change)
