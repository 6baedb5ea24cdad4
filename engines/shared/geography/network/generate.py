"""Greedy generation by S models at once, with a cache of keys and values.

In: prompts as tokens. Out: the tokens that follow. Evaluations and the causal check call it.
Questions of one kind have few different lengths, so prompts of one length are run together and
nothing is padded. What all prompts of a batch begin with (``<bos>dist(c_``) is run once.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from engines.shared.geography.description import Shape
from engines.shared.geography.network.attention import causal
from engines.shared.geography.network.model import (
    Change,
    Parameters,
    block,
    embed,
    prepared,
    read_out,
    rotation,
    turned,
)
from engines.shared.geography.tasks import NEW_TOKENS
from engines.shared.geography.vocabulary import END, PADDING

AT_ONCE = 512
"""Prompts of a batch; bounds memory, does not change results."""


class Cache:
    """Keys and values of every layer for up to ``room`` positions of B prompts."""

    def __init__(self, shape: Shape, like: torch.Tensor, batch: int, room: int) -> None:
        self.shape, self.filled = shape, 0
        size = (len(like) * batch, shape.heads, room, shape.width // shape.heads)
        self.keys = [like.new_empty(size) for _ in range(shape.layers)]
        self.values = [like.new_empty(size) for _ in range(shape.layers)]

    def rotation(self, length: int, device: torch.device) -> torch.Tensor:
        """What turns the next ``length`` positions, (length, 1, d / heads / 2)."""
        return rotation(torch.arange(self.filled, self.filled + length, device=device), self.shape)


def run(
    parameters: Parameters,
    cache: Cache,
    tokens: torch.Tensor,
    change: Change | None = None,
) -> torch.Tensor:
    """The next tokens (S, B, T) of every prompt, by ``prepared`` parameters; fills the cache.
    Logits behind the last, (S, B, vocabulary)."""
    models, batch, length = tokens.shape
    turning = cache.rotation(length, tokens.device)
    start, stop = cache.filled, cache.filled + length

    def attend(layer: int, joined: torch.Tensor) -> torch.Tensor:
        # (S, B T, 3, heads, ...) -> (S B, T, 3, heads, ...), turned, -> (S B, heads, T, ...)
        joined = joined.unflatten(1, (batch, length)).flatten(0, 1)
        query, key, value = (part.transpose(1, 2) for part in turned(joined, turning))
        cache.keys[layer][:, :, start:stop] = key
        cache.values[layer][:, :, start:stop] = value
        # One new position sees everything.
        mask = None
        if start and length > 1:
            mask = causal(start, length, query.device, query.dtype)
        mixed = F.scaled_dot_product_attention(
            query,
            cache.keys[layer][:, :, :stop],
            cache.values[layer][:, :, :stop],
            attn_mask=mask,
            is_causal=start == 0 and length > 1,
        )
        return mixed.transpose(1, 2).reshape(models, batch * length, -1)

    x = embed(parameters, tokens.flatten(1))
    for layer in range(cache.shape.layers + 1):
        if layer:
            x = block(layer - 1, parameters, x, cache.shape.heads, attend)
        if change is not None:
            x = change(layer, x.view(models, batch, length, -1)).flatten(1, 2)
    cache.filled = stop
    return read_out(parameters, x.view(models, batch, length, -1)[:, :, -1])


def complete(
    parameters: Parameters,
    shape: Shape,
    prompts: torch.Tensor,
    new_tokens: int = NEW_TOKENS,
    change: Change | None = None,
) -> torch.Tensor:
    """Greedy continuations of prompts (B, T) of one length, the same for all models: (S, B,
    new_tokens), with padding behind ``<eos>``.

    ``change`` replaces states of the prompt as in ``hidden_states``; later tokens see its keys and
    values, and are not changed themselves. Stops when every text has ended.
    """
    models = len(parameters["embedding"])
    batch, length = prompts.shape
    parameters = prepared(parameters, shape)
    cache = Cache(shape, parameters["embedding"], batch, length + new_tokens - 1)
    found = prompts.new_full((models, batch, new_tokens), PADDING)
    given, changing = prompts.expand(models, batch, length), change
    if change is None:
        common = common_beginning(prompts)
        begin(parameters, cache, given[:, :1, :common], batch)
        given = given[:, :, common:]
    open_texts = torch.ones(models, batch, dtype=torch.bool, device=prompts.device)
    for place in range(new_tokens):
        with torch.no_grad():
            chosen = run(parameters, cache, given, changing).argmax(-1)
        chosen = chosen.masked_fill(~open_texts, PADDING)
        found[:, :, place] = chosen
        open_texts &= chosen != END
        if not bool(open_texts.any()):
            break
        given, changing = chosen.unsqueeze(-1), None
    return found


def common_beginning(prompts: torch.Tensor) -> int:
    """How many tokens all prompts (B, T) begin with; never the last one, behind which the logits
    are wanted."""
    same = (prompts[:, :-1] == prompts[:1, :-1]).all(0)
    return int(same.long().cumprod(0).sum())


def begin(parameters: Parameters, cache: Cache, tokens: torch.Tensor, batch: int) -> None:
    """Fill the cache of ``batch`` prompts with what they all begin with, tokens (S, 1, common)."""
    models, _, common = tokens.shape
    if common == 0:
        return
    once = Cache(cache.shape, parameters["embedding"], 1, common)
    with torch.no_grad():
        run(parameters, once, tokens)
    for layer in range(cache.shape.layers):
        for whole, part in ((cache.keys, once.keys), (cache.values, once.values)):
            # (S B, heads, room, ...) of every prompt from (S, heads, common, ...)
            rows = whole[layer].unflatten(0, (models, batch))
            rows[:, :, :, :common] = part[layer].unsqueeze(1)
    cache.filled = common


def greedy(
    parameters: Parameters,
    shape: Shape,
    prompts: torch.Tensor,
    lengths: torch.Tensor,
    new_tokens: int = NEW_TOKENS,
) -> torch.Tensor:
    """Greedy continuations of prompts (B, T), padded on the right, of ``lengths`` (B,) tokens each,
    the same for all models: (S, B, new_tokens), with padding behind ``<eos>``."""
    models = len(parameters["embedding"])
    found = prompts.new_full((models, len(prompts), new_tokens), PADDING)
    for length in lengths.unique().tolist():
        rows = (lengths == length).nonzero()[:, 0]
        for part in rows.split(AT_ONCE):
            found[:, part] = complete(parameters, shape, prompts[part, :length], new_tokens)
    return found
