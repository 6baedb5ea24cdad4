"""A decoder of Qwen2's architecture as functions of its parameters; every parameter has a leading
axis of S models.

In: parameters, a ``Shape`` and tokens. Out: logits, or the states after every layer. Training,
generation, evaluation and probes call it; the same weights in transformers' Qwen2ForCausalLM give
the same logits. Own code because importing that class takes four seconds and its step twice as
long.

Shapes: S models, B sequences, T tokens of each, N tokens of all sequences one after the other, d
    width. Architecture: Qwen2 (Yang et al. 2024, arXiv 2407.10671) as transformers has it: RMSNorm
    (Zhang & Sennrich 2019), rotary positions (Su et al. 2021), SwiGLU (Shazeer 2020), biases on
    queries, keys and values alone, an untied head. One matrix holds queries, keys and values, one
    the gate and the rise of the feed-forward layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from engines.shared.geography.description import Shape
from engines.shared.geography.network.attention import (
    Layout,
    Sequences,
    Within,
    as_complex,
    planned,
)
from engines.shared.geography.network.operations import Gated, Norm
from engines.shared.geography.network.shapes import shapes

Parameters = dict[str, torch.Tensor]
Change = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer (0: the embedding) and its states (S, B, T, d) the states that go on from there."""
Attend = Callable[[int, torch.Tensor], torch.Tensor]
"""From the layer's number and queries, keys and values (S, N, 3, heads, d / heads), not yet turned
by their positions, the mixed values (S, N, d)."""

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-6


def initial(shape: Shape, seeds: Sequence[int], deviation: float) -> Parameters:
    """Fresh parameters, each model from its own seed: matrices N(0, deviation^2), biases 0, norms
    1, as transformers initialises Qwen2."""
    models = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        made = {}
        for name, size in shapes(shape).items():
            if len(size) == 2:
                made[name] = torch.empty(size).normal_(0.0, deviation, generator=random)
            elif name.endswith("bias"):
                made[name] = torch.zeros(size)
            else:
                made[name] = torch.ones(size)
        models.append(made)
    return {name: torch.stack([made[name] for made in models]) for name in models[0]}


def prepared(parameters: Parameters, shape: Shape) -> Parameters:
    """The parameters as ``block`` and ``read_out`` take them.

    A norm's weights are in the columns of the matrix behind it, which saves passes over the states.
    The two numbers of a query or key that a position turns, (j, j + half), are neighbours, so that
    they are one complex number; scores do not hang on the order.
    """

    def in_pairs(rows: torch.Tensor) -> torch.Tensor:
        """Of (S, 3 d, ...), queries and keys."""
        turned = rows[:, : 2 * shape.width].unflatten(1, (2 * shape.heads, 2, -1))
        return torch.cat([turned.transpose(2, 3).flatten(1, 3), rows[:, 2 * shape.width :]], 1)

    found = dict(parameters)
    for n in range(shape.layers):
        norm1, norm2 = (parameters[f"{n}.{name}"].unsqueeze(1) for name in ("norm1", "norm2"))
        found[f"{n}.qkv"] = in_pairs(parameters[f"{n}.qkv"] * norm1)
        found[f"{n}.qkv_bias"] = in_pairs(parameters[f"{n}.qkv_bias"])
        found[f"{n}.gate_up"] = parameters[f"{n}.gate_up"] * norm2
    found["head"] = parameters["head"] * parameters["norm"].unsqueeze(1)
    return found


def rotation(places: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Unit complex numbers (N, 1, d / heads / 2) that turn the positions ``places`` (N,), from 0
    (Su et al. 2021, equation 34)."""
    half = shape.width // shape.heads // 2
    frequency = ROTARY_BASE ** (-torch.arange(half, device=places.device) / half)
    angle = torch.outer(places.float(), frequency).unsqueeze(1)
    return torch.polar(torch.ones_like(angle), angle)


def turned(joined: torch.Tensor, rotation: torch.Tensor) -> list[torch.Tensor]:
    """Queries and keys turned by their positions, and values, (S, N, heads, d / heads) each."""
    query, key, value = joined.unbind(2)
    # In float32 where products are in lower precision, as the angles are.
    precise = torch.promote_types(joined.dtype, torch.float32)
    found = [value]
    for part in (key, query):
        complex_ = as_complex(part.to(precise)) * rotation
        found.insert(0, torch.view_as_real(complex_).flatten(-2).to(joined.dtype))
    return found


def norm(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """RMSNorm over the last axis of (S, N, d), without weights."""
    normed: torch.Tensor = Norm.apply(x, NORM_EPSILON)
    return normed.to(dtype)


def added(x: torch.Tensor, change: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``x`` (S, N, out) plus ``change`` (S, N, in) times ``weight`` (S, out, in). States stay in
    float32 where products are in lower precision."""
    if x.dtype == weight.dtype:
        return torch.baddbmm(x, change, weight.mT)
    return x + torch.bmm(change, weight.mT)


def block(
    layer: int, parameters: Parameters, x: torch.Tensor, heads: int, attend: Attend
) -> torch.Tensor:
    """One layer, by ``prepared`` parameters: (S, N, d) -> (S, N, d)."""

    def own(name: str) -> torch.Tensor:
        return parameters[f"{layer}.{name}"]

    products = own("qkv").dtype
    joined = torch.baddbmm(own("qkv_bias").unsqueeze(1), norm(x, products), own("qkv").mT)
    x = added(x, attend(layer, joined.unflatten(-1, (3, heads, -1))), own("out"))
    both = torch.bmm(norm(x, products), own("gate_up").mT)
    return added(x, Gated.apply(both), own("down"))


def attend_within(shape: Shape, layout: Layout, device: torch.device) -> Attend:
    """Causal attention inside each sequence, without padding and without work between sequences."""
    if isinstance(layout, Sequences):
        plan = planned(layout, device)
        turning = rotation(torch.arange(int(layout.lengths.max()), device=device), shape)
        return lambda _, joined: Within.apply(joined, turning, plan).flatten(2)
    number, length = layout
    rotary = rotation(torch.arange(length, device=device).repeat(number), shape)

    def attend(_layer: int, joined: torch.Tensor) -> torch.Tensor:
        parts = turned(joined, rotary)
        # (S, B T, heads, ...) -> (S B, heads, T, ...)
        query, key, value = (
            part.unflatten(1, (number, length)).flatten(0, 1).transpose(1, 2) for part in parts
        )
        found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return found.transpose(1, 2).reshape(len(joined), number * length, -1)

    return attend


def embed(parameters: Parameters, tokens: torch.Tensor) -> torch.Tensor:
    """(S, N) -> (S, N, d), float32 or better."""
    tables = parameters["embedding"]
    # One look-up per model, as F.embedding takes a single table.
    rows = [F.embedding(one, table) for one, table in zip(tokens, tables, strict=True)]
    return torch.stack(rows).to(torch.promote_types(tables.dtype, torch.float32))


def read_out(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Logits from the last layer's output, by ``prepared`` parameters: (S, N, d) -> (S, N,
    vocabulary)."""
    return torch.bmm(norm(x, parameters["head"].dtype), parameters["head"].mT)


def packed_logits(
    parameters: Parameters, shape: Shape, tokens: torch.Tensor, layout: Layout
) -> torch.Tensor:
    """Of sequences that lie one after the other: (S, N) -> (S, N, vocabulary)."""
    parameters = prepared(parameters, shape)
    attend = attend_within(shape, layout, tokens.device)
    x = embed(parameters, tokens)
    for layer in range(shape.layers):
        x = block(layer, parameters, x, shape.heads, attend)
    return read_out(parameters, x)


def hidden_states(
    parameters: Parameters, shape: Shape, tokens: torch.Tensor, change: Change | None = None
) -> list[torch.Tensor]:
    """The embedding and the output of every layer for ``tokens`` (S, B, T): layers + 1 tensors (S,
    B, T, d).

    The last one is the raw output of the last layer, before the final norm (transformers'
    ``hidden_states[-1]`` is behind it). ``tokens`` may be padded on the right: nothing on the left
    sees the padding. ``change`` replaces the states of a layer, which are then also those returned.
    """
    models, number, length = tokens.shape
    parameters = prepared(parameters, shape)
    attend = attend_within(shape, (number, length), tokens.device)
    x = embed(parameters, tokens.flatten(1))
    found = []
    for layer in range(shape.layers + 1):
        if layer:
            x = block(layer - 1, parameters, x, shape.heads, attend)
        if change is not None:
            x = change(layer, x.view(models, number, length, -1)).flatten(1, 2)
        found.append(x.view(models, number, length, -1))
    return found


def logits(
    parameters: Parameters, shape: Shape, tokens: torch.Tensor, change: Change | None = None
) -> torch.Tensor:
    """(S, B, T) -> (S, B, T, vocabulary); padding and ``change`` as of ``hidden_states``."""
    last = hidden_states(parameters, shape, tokens, change)[-1]
    return read_out(prepared(parameters, shape), last.flatten(1, 2)).view(*tokens.shape, -1)
