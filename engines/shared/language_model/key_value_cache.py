"""Keys and values of several samples per prompt; those of a prompt are held once for all of its
samples.

Filled and read by the attention of ``packing.py`` while ``sampler.py`` generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass
class Layer:
    """Keys and values of one decoder layer; P prompts of up to L tokens, n samples each, K key
    heads of width d, room for T tokens per sample."""

    prompt_keys: torch.Tensor
    """(P K, d, L)."""
    prompt_values: torch.Tensor
    """(P K, L, d)."""
    keys: torch.Tensor
    """(P K n, T, d)."""
    values: torch.Tensor
    """(P K n, T, d)."""


class SharedPrefixCache:
    """Prompts of ``lengths`` (P,) tokens with ``samples`` n continuations each of up to ``tokens``
    T tokens; rows are ordered by prompt, then by sample."""

    def __init__(
        self, lengths: Sequence[int], samples: int, tokens: int, device: torch.device
    ) -> None:
        self.prompts, self.samples, self.tokens = len(lengths), samples, tokens
        self.longest = max(lengths)
        self.layers: dict[int, Layer] = {}
        self.used = 0
        """Tokens per sample that are in the cache."""
        sizes = torch.tensor(lengths, device=device)
        places = torch.arange(self.longest, device=device)
        self.inside = places < sizes[:, None]
        """(P, L): whether there is a token of the prompt at a place."""
        self.bias: torch.Tensor | None = None
        """(P K, 1, L): 0, and minus infinity behind a prompt's end; None where all are equally
        long."""

    def keep_prompts(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Keep what a packed pass over the prompts has computed: (1, K, tokens of all, d) each."""
        heads, width = key.shape[1], key.shape[3]
        padded = []
        for tensor in (key, value):
            room = tensor.new_zeros(self.prompts, self.longest, heads, width)
            room[self.inside] = tensor[0].transpose(0, 1)
            padded.append(room)
        keys, values = padded
        room = key.new_empty(2, self.prompts * heads * self.samples, self.tokens, width)
        self.layers[layer] = Layer(
            # Copies in the order that the products below read.
            keys.permute(0, 2, 3, 1).flatten(0, 1).contiguous(),
            values.transpose(1, 2).flatten(0, 1).contiguous(),
            room[0],
            room[1],
        )
        if self.bias is None and not bool(self.inside.all()):
            bias = torch.zeros(self.inside.shape, dtype=key.dtype, device=key.device)
            bias.masked_fill_(~self.inside, -torch.inf)
            self.bias = bias.repeat_interleave(heads, dim=0)[:, None]

    def keep(self, prompts: torch.Tensor, samples: torch.Tensor) -> None:
        """Go on with ``prompts`` (P',) of the P alone, and of each with ``samples`` (P', n') of
        its n."""
        for own in self.layers.values():
            heads = len(own.prompt_keys) // self.prompts
            for name in ("prompt_keys", "prompt_values"):
                tensor = getattr(own, name).unflatten(0, (self.prompts, heads))
                setattr(own, name, tensor[prompts].flatten(0, 1))
            for name in ("keys", "values"):
                tensor = getattr(own, name).unflatten(0, (self.prompts, heads, self.samples))
                # The two indices come first in what is found: (P', n', K, T, d).
                kept = tensor[prompts[:, None], :, samples].transpose(1, 2)
                setattr(own, name, kept.flatten(0, 2))
        if self.bias is not None:
            heads = len(self.bias) // self.prompts
            self.bias = self.bias.unflatten(0, (self.prompts, heads))[prompts].flatten(0, 1)
        self.prompts, self.samples = samples.shape

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scaling: float | None,
    ) -> torch.Tensor:
        """Attention of the next token of each of the P n samples to its prompt and to the sample so
        far: (1, heads, P n, d) -> (1, P n, heads, d). Its key and value are kept."""
        own = self.layers[layer]
        prompts, samples, width = self.prompts, self.samples, query.shape[3]
        key_heads = key.shape[1]
        shared = query.shape[1] // key_heads
        after = self.used + 1
        for room, tensor in ((own.keys, key), (own.values, value)):
            room.view(prompts, key_heads, samples, self.tokens, width)[:, :, :, self.used] = (
                tensor[0].view(key_heads, prompts, samples, width).transpose(0, 1)
            )
        # (heads, P n, d) -> (P, K, n, heads per key head, d).
        grouped = query[0].view(key_heads, shared, prompts, samples, width).permute(2, 0, 3, 1, 4)
        scaled = grouped * (width**-0.5 if scaling is None else scaling)
        by_sample = scaled.reshape(prompts * key_heads * samples, shared, width)
        # The prompt's keys and values are read once for all of its samples.
        by_prompt = by_sample.view(prompts * key_heads, samples * shared, width)
        before = self.prompt_scores(by_prompt, own).view(len(by_sample), shared, self.longest)
        own_scores = torch.bmm(by_sample, own.keys[:, :after].transpose(1, 2))
        weights = torch.cat([before, own_scores], dim=-1).softmax(-1)
        found = torch.baddbmm(
            torch.bmm(weights[..., self.longest :], own.values[:, :after]).view(by_prompt.shape),
            weights[..., : self.longest].reshape(*by_prompt.shape[:2], self.longest),
            own.prompt_values,
        )
        # (P K, n heads-per-key-head, d) -> (P n, heads, d).
        by_row = found.view(prompts, key_heads, samples, shared, width).transpose(1, 2)
        return by_row.reshape(1, prompts * samples, key_heads * shared, width)

    def prompt_scores(self, query: torch.Tensor, own: Layer) -> torch.Tensor:
        """Scores of queries (P K, m, d) on the prompts: (P K, m, L)."""
        if self.bias is None:
            return torch.bmm(query, own.prompt_keys)
        return torch.baddbmm(self.bias, query, own.prompt_keys)
