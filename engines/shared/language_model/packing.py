"""Log-probabilities of response tokens by a causal language model, without ever holding all
logits and without padding.

In: a transformers model, and sequences of tokens that lie one after the other. Out: last hidden
states, or log-probabilities at the positions asked for. Called by ``ppo`` and by fine-tunings, and
by ``sampler.py``, which keeps the keys and values of such a pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.contract.config import ConfigError
from engines.shared.language_model.settings import LOGIT_ROWS as ROWS

if TYPE_CHECKING:
    from engines.shared.language_model.key_value_cache import SharedPrefixCache


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    runs: Sequence[tuple[int, int]] = (),
    cache: SharedPrefixCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each of the sequences that lie one after the other: (1, heads, T,
    width) -> (1, T, heads, width).

    ``runs`` are (count, length) of neighbours of one length, one call each: no padding, and no work
    between sequences. With ``cache`` keys and values are kept; without ``runs`` the T are the next
    tokens of the samples in it. ConfigError for a kind of attention that is more than softmax of
    scaled products.
    """
    # softcap: Gemma 2 bounds its attention scores. s_aux: gpt-oss has attention sinks.
    unknown = [name for name in ("softcap", "s_aux") if options.get(name) is not None]
    if unknown:
        raise ConfigError(
            f"model: its attention has {unknown[0]}, which training does not have; choose "
            "a model like Qwen2 or Llama"
        )
    scaling = options.get("scaling")
    if cache is not None and not runs:
        return cache.attend(module.layer_idx, query, key, value, scaling), None
    if cache is not None:
        cache.keep_prompts(module.layer_idx, key, value)
    found, start = [], 0
    for count, length in runs:
        stop = start + count * length
        # (1, heads, T, width) -> (count, heads, length, width): each sequence is an entry of the
        # batch, so the causal kernel keeps them apart without a mask.
        parts = [
            tensor[0, :, start:stop].unflatten(1, (count, length)).transpose(0, 1)
            for tensor in (query, key, value)
        ]
        one = torch.nn.functional.scaled_dot_product_attention(
            *parts, is_causal=True, scale=scaling, enable_gqa=True
        )
        # (count, heads, length, width) -> (count * length, heads, width).
        found.append(one.transpose(1, 2).flatten(0, 1))
        start = stop
    return torch.cat(found)[None], None


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
        runs = [(len(list(run)), length) for length, run in itertools.groupby(lengths)]
        states: torch.Tensor = self.model.base_model(
            input_ids=input_ids[None],
            position_ids=places[None],
            use_cache=False,
            runs=runs,
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
        hidden = self.hidden(input_ids, lengths, positions)
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
        logits = self.model.get_output_embeddings()(hidden).float() / temperature
        # log softmax at the target alone: the other columns are never needed.
        return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)
