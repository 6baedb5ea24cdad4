"""A recorder of training steps that needs no GPU: torch's tracer of tensor operations. Like a CUDA
graph it keeps operations and buffers and nothing of Python."""

from __future__ import annotations

from typing import Protocol

import torch
from torch.fx.experimental.proxy_tensor import make_fx

from engines.shared.training.cuda_graphs import Work
from engines.shared.training.optimizer import Flat

TOLERANCE = 1000 * 2.0**-23
"""In float32, relative to the norm: some tens of operations per time step and layer, on sums of
tens of terms."""
WAITS = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select")
"""Operations that wait for the device, or copy to it what Python holds."""


class Trained(Protocol):
    """Where a training stands."""

    flat: Flat
    losses: torch.Tensor


class Tracer:
    """Records what a step does to tensors. Tracing runs the step, unlike a CUDA graph's recording,
    so what it changed is put back."""

    def __init__(self, point: Trained) -> None:
        self.point, self.operations, self.replays = point, set[str](), 0

    def __call__(self, work: Work) -> Work:
        """The traced step, to be run again."""
        flat = self.point.flat
        changed = [flat.values.detach(), flat.first, flat.second, self.point.losses]
        before = [tensor.clone() for tensor in changed]

        def traced(nothing: torch.Tensor) -> torch.Tensor:
            work()
            return nothing + 1

        graph = make_fx(traced)(torch.zeros(()))
        self.operations = {
            str(node.target) for node in graph.graph.nodes if node.op == "call_function"
        }
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(old)

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                graph(torch.zeros(()))

        return replay

    @property
    def waits(self) -> list[str]:
        """Operations of the step that wait for the device."""
        return [name for name in self.operations if any(part in name for part in WAITS)]


def assert_same(ours: Trained, theirs: Trained) -> None:
    """Equal to rounding: padding adds zeros to the sums of the gradient, and sums of other lengths
    are added up in another order."""
    for found, expected in (
        (ours.flat.values, theirs.flat.values),
        (ours.flat.first, theirs.flat.first),
        (ours.flat.second.sqrt(), theirs.flat.second.sqrt()),
        (ours.losses, theirs.losses),
    ):
        difference = (found - expected).detach().norm()
        assert difference <= TOLERANCE * expected.detach().norm()
