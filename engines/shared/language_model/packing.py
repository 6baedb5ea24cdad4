"""Log-probabilities of response tokens by a causal language model, without ever holding all
logits and without padding.

In: a transformers model, and sequences of tokens that lie one after the other. Out: last hidden
states, or log-probabilities at the positions asked for. Called by ``ppo`` and by fine-tunings, and
by ``sampler.py``, which keeps the keys and values of such a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.contract.config import ConfigError
from engines.shared.language_model.settings import LOGIT_ROWS as ROWS

if TYPE_CHECKING:
    from engines.shared.language_model.key_value_cache import SharedPrefixCache


SHORT = 256
"""Sequences up to this length may be padded to their neighbours': longer ones would pay for it in
attention, whose work grows with the square."""
PADDING = 0.25
"""Largest share of padding that a block has, of its tokens."""


@dataclass(frozen=True)
class Block:
    """Neighbouring sequences that attention takes as one rectangle.

    A call of the kernel and what surrounds it costs as much as the work on some hundred tokens of a
    small model, so sequences of nearly one length share a call. Padding is behind the tokens, where
    a causal kernel does not look, and is left out again.
    """

    count: int
    length: int
    """Of the longest."""
    tokens: int
    gather: torch.Tensor | None
    """(count, length): which of the ``tokens`` is at each place, any one where there is padding;
    None where all sequences are equally long."""
    places: torch.Tensor | None
    """(tokens,): the place of each of them in (count * length)."""

    @classmethod
    def of(cls, lengths: Sequence[int], device: torch.device) -> Block:
        """Sequences of ``lengths``, padded to the longest."""
        count, length, tokens = len(lengths), max(lengths), sum(lengths)
        if count * length == tokens:
            return cls(count, length, tokens, None, None)
        sizes = torch.tensor(lengths)
        inside = torch.arange(length) < sizes[:, None]
        gather = torch.zeros(count, length, dtype=torch.long)
        gather[inside] = torch.arange(tokens)
        places = inside.flatten().nonzero()[:, 0]
        return cls(count, length, tokens, gather.to(device), places.to(device))

    def padded(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """(heads, tokens, width) each -> (count, heads, length, width)."""
        if self.gather is None:
            return [part.unflatten(1, (self.count, self.length)).transpose(0, 1) for part in parts]
        # One table for all three: a row for each token.
        heads = [len(part) for part in parts]
        table = torch.cat([part.transpose(0, 1) for part in parts], dim=1)
        # As an embedding, whose gradient is the fastest sum over rows that torch has on a CPU.
        rows = torch.nn.functional.embedding(self.gather, table.flatten(1))
        whole = rows.unflatten(2, table.shape[1:]).transpose(1, 2)
        return list(whole.split(heads, dim=1))

    def packed(self, whole: torch.Tensor) -> torch.Tensor:
        """(count, heads, length, width) -> (tokens, heads, width)."""
        rows = whole.transpose(1, 2).flatten(0, 1)
        if self.places is None:
            return rows
        return torch.nn.functional.embedding(self.places, rows.flatten(1)).view(
            self.tokens, *rows.shape[1:]
        )


def blocks_of(lengths: Sequence[int], device: torch.device) -> list[Block]:
    """Neighbours of nearly one length together, none moved."""
    found, part = [], [lengths[0]]
    for length in lengths[1:]:
        longest = max(*part, length)
        room = longest * (len(part) + 1)
        padding = room - sum(part) - length
        if padding and (longest > SHORT or padding > PADDING * room):
            found.append(Block.of(part, device))
            part = []
        part.append(length)
    return [*found, Block.of(part, device)]


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    blocks: Sequence[Block] = (),
    cache: SharedPrefixCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each of the sequences that lie one after the other: (1, heads, T,
    width) -> (1, T, heads, width).

    ``blocks`` are neighbours of about one length, one call each: no work between sequences. With
    ``cache`` keys and values are kept; without ``blocks`` the T are the next tokens of the samples
    in it. ConfigError for a kind of attention that is more than softmax of scaled products.
    """
    # softcap: Gemma 2 bounds its attention scores. s_aux: gpt-oss has attention sinks.
    unknown = [name for name in ("softcap", "s_aux") if options.get(name) is not None]
    if unknown:
        raise ConfigError(
            f"model: its attention has {unknown[0]}, which training does not have; choose "
            "a model like Qwen2 or Llama"
        )
    scaling = options.get("scaling")
    if cache is not None and not blocks:
        return cache.attend(module.layer_idx, query, key, value, scaling), None
    if cache is not None:
        cache.keep_prompts(module.layer_idx, key, value)
    return attend_inside(blocks, query, key, value, scaling), None


def attend_inside(
    blocks: Sequence[Block],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Causal attention inside each of the sequences of ``blocks``; shapes as in
    ``packed_attention``."""
    found, start = [], 0
    for block in blocks:
        stop = start + block.tokens
        parts = [tensor[0, :, start:stop] for tensor in (query, key, value)]
        # (heads, tokens, width) -> (count, heads, length, width): each sequence is an entry of the
        # batch, so the causal kernel keeps them apart without a mask.
        one = torch.nn.functional.scaled_dot_product_attention(
            *block.padded(parts), is_causal=True, scale=scaling, enable_gqa=True
        )
        found.append(block.packed(one))
        start = stop
    return torch.cat(found)[None]


class PackedModel(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy here
    """A transformers model on sequences that lie one after the other.

    A module of its own because FSDP2 gathers parameters around a forward pass: body and head must
    be one.
    """

    def __init__(self, model: Any) -> None:
        from transformers import AttentionInterface

        super().__init__()
        # transformers has no mask function under this name, so it builds no mask.
        AttentionInterface.register("packed", packed_attention)
        model.set_attn_implementation("packed")
        self.model = model

    def hidden(
        self,
        input_ids: torch.Tensor,
        lengths: Sequence[int],
        positions: torch.Tensor,
        cache: SharedPrefixCache | None = None,
    ) -> torch.Tensor:
        """Last hidden states at ``positions`` (R,) of ``input_ids`` (T,), which are sequences of
        ``lengths``; none sees another: (R, H). ``cache`` keeps their keys and values."""
        # Rotary positions begin at 0 again with each sequence.
        places = torch.cat([torch.arange(length, device=input_ids.device) for length in lengths])
        states: torch.Tensor = self.model.base_model(
            input_ids=input_ids[None],
            position_ids=places[None],
            use_cache=False,
            blocks=blocks_of(lengths, input_ids.device),
            cache=cache,
        ).last_hidden_state
        return states[0, positions]

    def next_hidden(
        self, input_ids: torch.Tensor, places: torch.Tensor, cache: SharedPrefixCache
    ) -> torch.Tensor:
        """Last hidden states of the next token ``input_ids`` (B,) of each sample in ``cache``, at
        ``places`` (B,) in its sequence: (B, H)."""
        states: torch.Tensor = self.model.base_model(
            input_ids=input_ids[None], position_ids=places[None], use_cache=False, cache=cache
        ).last_hidden_state
        return states[0]

    @property
    def layers(self) -> list[torch.nn.Module]:
        """The decoder layers: what transformers itself says must not be split over devices."""
        kinds = set(self.model._no_split_modules or ())
        return [module for module in self.model.modules() if type(module).__name__ in kinds]


class Scorer(PackedModel):
    """A causal language model, its head applied to response positions only, in chunks."""

    def forward(
        self,
        input_ids: torch.Tensor,
        lengths: Sequence[int],
        positions: torch.Tensor,
        targets: torch.Tensor,
        temperature: float,
    ) -> torch.Tensor:
        """Log-probability of each of ``targets`` (R,), predicted at ``positions`` (R,) of
        ``input_ids`` (T,): (R,), float32."""
        return self.logprobs(self.hidden(input_ids, lengths, positions), targets, temperature)

    def logprobs(
        self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """``head`` of any number of hidden states (N, H), a chunk at a time: (N,)."""
        if len(hidden) <= ROWS:
            # Its backward pass begins at once, so there is nothing to gain by computing it twice.
            return self.head(hidden, targets, temperature)
        # Checkpointed: the float32 logits of a chunk, (ROWS, vocabulary), are computed again in the
        # backward pass, so that only one chunk is in memory at a time.
        pieces = [
            checkpoint(
                self.head,
                hidden[i : i + ROWS],
                targets[i : i + ROWS],
                temperature,
                use_reentrant=False,
            )
            for i in range(0, len(hidden), ROWS)
        ]
        return torch.cat(pieces)

    def head(self, hidden: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
        """Log-probabilities of ``targets`` (N,) from the last hidden states (N, H)."""
        # The distribution that vLLM has sampled from and whose log-probabilities it reports.
        logits = self.model.get_output_embeddings()(hidden).float()
        if temperature != 1.0:
            logits = logits / temperature
        # log softmax at the target alone: the other columns are never needed.
        return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
