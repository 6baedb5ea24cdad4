"""Sequences put together on the device: whole data set there, no copy and no wait per step.

Shapes: S models, B sequences, T tokens. Position t of ``inputs`` holds token t - 1 of the sequence
    (the first token stands twice), so a model's output at t predicts token t from what came before
    it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engines.shared.automata.data import Array, Samples
from engines.shared.automata.description import FIRST_ACTION, MAX_ACTIONS, PADDING


@dataclass(frozen=True)
class Batch:
    """Some sequences, padded to the longest of them."""

    inputs: torch.Tensor
    """(..., B, T), int64."""
    targets: torch.Tensor
    """(..., B, T), int64; next states where ``scored``."""
    scored: torch.Tensor
    """(..., B, T), True where the target is the next state of any transition."""
    query: torch.Tensor
    """(..., B, T), True where it is a next state of the query."""


class Store:
    """A split on a device."""

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self.segments = torch.from_numpy(samples.segments).to(device)
        self.lengths = torch.from_numpy(samples.lengths).to(device)
        self.host_lengths = samples.lengths
        self.device = device

    def longest(self, rows: Array, order: Array) -> int:
        """Tokens of the longest of these sequences; computed on the host, so that nothing waits for
        the device."""
        return int(np.take_along_axis(self.host_lengths[rows], order, axis=-1).sum(-1).max())

    def batch(self, rows: torch.Tensor, order: torch.Tensor, longest: int) -> Batch:
        """The sequences of samples ``rows`` (..., B) with segments in ``order`` (..., B,
        demonstrations + 1)."""
        lengths = self.lengths[rows].gather(-1, order)
        ends = lengths.cumsum(-1)
        position = torch.arange(longest, device=self.device).expand(*rows.shape, longest)
        # For every token of the output: the segment that it lies in (how many have ended before
        # it), and its place in that segment.
        which = (position.unsqueeze(-1) >= ends.unsqueeze(-2)).sum(-1)
        last = order.shape[-1] - 1
        inside, which = which <= last, which.clamp(max=last)
        offset = position - (ends - lengths).gather(-1, which)
        # Beyond the sequence's end an index must still be valid; these tokens become padding below.
        offset = offset.clamp(max=self.segments.shape[-1] - 1)
        tokens = self.segments[rows.unsqueeze(-1), order.gather(-1, which), offset].long()
        # Not torch.where: its number may be copied to the device, which no CUDA graph can record.
        tokens = tokens.masked_fill(~inside, PADDING)
        inputs = torch.cat([tokens[..., :1], tokens[..., :-1]], dim=-1)
        # What follows an action is a next state.
        scored = (inputs >= FIRST_ACTION) & (inputs < FIRST_ACTION + MAX_ACTIONS) & inside
        return Batch(inputs, tokens, scored, scored & (which == last))
