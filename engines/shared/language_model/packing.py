"""Log-probabilities of response tokens by a causal language model, without ever holding all
logits and without padding.

In: a transformers model, and sequences of tokens that lie one after the other. Out: last hidden
states, or log-probabilities at the positions asked for. Called by ``ppo`` and by fine-tunings, and
by ``sampler.py``, which keeps the keys and values of such a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from engines.contract.config import ConfigError
from engines.shared.language_model.layout import Block, Branches, plain
from engines.shared.language_model.settings import LOGIT_ROWS as ROWS
from engines.shared.language_model.shared_prompts import can_share, shared

if TYPE_CHECKING:
    from engines.shared.language_model.key_value_cache import SharedPrefixCache


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    blocks: Sequence[Block | Branches] = (),
    cache: SharedPrefixCache | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each of the sequences that lie one after the other: (1, heads, T,
    width) -> (1, T, heads, width).

    ``blocks`` are neighbours of about one length, one call each: no work between sequences; those
    that are branches see a prompt that lies elsewhere too. With ``cache`` keys and values are kept;
    without ``blocks`` the T are the next tokens of the samples in it. ConfigError for a kind of
    attention that is more than softmax of scaled products.
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
    blocks: Sequence[Block | Branches],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Causal attention inside each of the sequences of ``blocks``; shapes as in
    ``packed_attention``."""
    found, start = [], 0
    table: torch.Tensor | None = None
    for block in blocks:
        stop = start + block.tokens
        if isinstance(block, Branches):
            if table is None:
                # A row for each token; one table for both.
                table = torch.cat([one[0].transpose(0, 1) for one in (key, value)], dim=1)
            found.append(attend_branches(block, query[0, :, start:stop], table, scaling))
        else:
            parts = [tensor[0, :, start:stop] for tensor in (query, key, value)]
            # (heads, tokens, width) -> (count, heads, length, width): each sequence is an entry of
            # the batch, so the causal kernel keeps them apart without a mask.
            one = torch.nn.functional.scaled_dot_product_attention(
                *block.padded(parts), is_causal=True, scale=scaling, enable_gqa=True
            )
            found.append(block.packed(one))
        start = stop
    return torch.cat(found)[None]


def attend_branches(
    branches: Branches, query: torch.Tensor, table: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Attention of ``query`` (heads, tokens, width) to prompts and branches, from the keys and
    values of all tokens (T, 2 key heads, width): (tokens, heads, width)."""
    (queries,) = branches.queries.padded([query])
    # As in `Block.padded`.
    rows = torch.nn.functional.embedding(branches.keys, table.flatten(1))
    keys, values = rows.unflatten(2, table.shape[1:]).transpose(1, 2).chunk(2, dim=1)
    found = torch.nn.functional.scaled_dot_product_attention(
        queries,
        keys,
        values,
        attn_mask=branches.bias(queries.dtype),
        scale=scaling,
        enable_gqa=True,
    )
    return branches.queries.packed(found)


class PackedModel(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy here
    """A transformers model on sequences that lie one after the other.

    A module of its own because FSDP2 gathers parameters around a forward pass: body and head must
    be one.
    """

    sharing = True
    """False: no prompt is shared. For comparisons alone."""

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
        ``lengths``; none sees another: (R, H). ``cache`` keeps their keys and values; without one,
        sequences that begin alike up to their first position compute that once, if they may."""
        sharing = cache is None and self.shares_prompts(input_ids.device, max(lengths))
        layout = (shared if sharing else plain)(input_ids, lengths, positions)
        states: torch.Tensor = self.model.base_model(
            input_ids=layout.input_ids[None],
            position_ids=layout.places[None],
            use_cache=False,
            blocks=layout.blocks,
            cache=cache,
        ).last_hidden_state
        return torch.nn.functional.embedding(layout.rows, states[0])

    def shares_prompts(self, device: torch.device, longest: int) -> bool:
        """Whether ``hidden`` computes a prompt once for all of its answers, now, on ``device`` and
        for sequences of up to ``longest`` tokens."""
        return self.sharing and can_share(self.model, device, longest)

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
