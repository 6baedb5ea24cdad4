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
from functools import lru_cache
from typing import NamedTuple

import torch
from torch.nn import functional as F

from engines.shared.geography.description import Shape
from engines.shared.geography.network.operations import Gated, Norm, Turn
from engines.shared.geography.vocabulary import SIZE

Parameters = dict[str, torch.Tensor]


class Group(NamedTuple):
    """Neighbouring sequences that begin with the same tokens, which are there once: N has the
    common beginning, then what follows of each sequence."""

    common: int
    """Tokens of the common beginning; 0: none."""
    runs: tuple[tuple[int, int], ...]
    """(count, length): so many neighbours with so many tokens behind the common beginning."""


Layout = Sequence[Group]
"""How N tokens are sequences, in order."""
Change = Callable[[int, torch.Tensor], torch.Tensor]
"""From a layer (0: the embedding) and its states (S, B, T, d) the states that go on from there."""
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""From the layer's number and queries, keys and values (S, N, heads, d / heads), not yet turned by
their positions, the mixed values (S, N, d)."""
Rotary = tuple[torch.Tensor, torch.Tensor]

ROTARY_BASE = 10_000.0
NORM_EPSILON = 1e-6


def shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter of one model: the matrices, then the vectors (norms and
    biases), which are not decayed in training."""
    d, layers = shape.width, range(shape.layers)
    found: dict[str, tuple[int, ...]] = {"embedding": (SIZE, d), "head": (SIZE, d)}
    for n in layers:
        found |= {
            f"{n}.qkv": (3 * d, d),
            f"{n}.out": (d, d),
            f"{n}.gate_up": (2 * shape.feed_forward, d),
            f"{n}.down": (d, shape.feed_forward),
        }
    for n in layers:
        found |= {f"{n}.qkv_bias": (3 * d,), f"{n}.norm1": (d,), f"{n}.norm2": (d,)}
    return {**found, "norm": (d,)}


def count(shape: Shape) -> int:
    """Parameters of one model."""
    return sum(torch.Size(one).numel() for one in shapes(shape).values())


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


def rotary_angles(places: torch.Tensor, shape: Shape) -> Rotary:
    """Cosines and sines (N, 1, d / heads / 2) of the positions ``places`` (N,), from 0."""
    half = shape.width // shape.heads // 2
    frequency = ROTARY_BASE ** (-torch.arange(half, device=places.device) / half)
    angle = torch.outer(places.float(), frequency).unsqueeze(1)
    return angle.cos(), angle.sin()


def turn(x: torch.Tensor, rotary: Rotary) -> torch.Tensor:
    """Rotate the pairs (j, j + half) of (..., N, heads, d / heads) by their position's angle."""
    # In float32 where products are in lower precision, as the angles are.
    precise = torch.promote_types(x.dtype, torch.float32)
    turned: torch.Tensor = Turn.apply(x.to(precise), *(part.to(precise) for part in rotary))
    return turned.to(x.dtype)


def norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """RMSNorm over the last axis of (S, N, d) with each model's own weight (S, d), in the
    precision of the weight."""
    normed: torch.Tensor = Norm.apply(x, weight.unsqueeze(1).to(x.dtype), NORM_EPSILON)
    return normed.to(weight.dtype)


def added(x: torch.Tensor, change: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``x`` (S, N, out) plus ``change`` (S, N, in) times ``weight`` (S, out, in). States stay in
    float32 where products are in lower precision."""
    if x.dtype == weight.dtype:
        return torch.baddbmm(x, change, weight.mT)
    return x + torch.bmm(change, weight.mT)


def block(
    layer: int, parameters: Parameters, x: torch.Tensor, heads: int, attend: Attend
) -> torch.Tensor:
    """One layer: (S, N, d) -> (S, N, d)."""

    def own(name: str) -> torch.Tensor:
        return parameters[f"{layer}.{name}"]

    joined = torch.baddbmm(
        own("qkv_bias").unsqueeze(1), norm(x, own("norm1")), own("qkv").mT
    ).unflatten(-1, (3, heads, -1))
    mixed = attend(layer, *joined.unbind(2))
    x = added(x, mixed, own("out"))
    both = torch.bmm(norm(x, own("norm2")), own("gate_up").mT)
    return added(x, Gated.apply(both), own("down"))


@lru_cache(maxsize=256)
def causal(common: int, length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores (length, common + length) of the last ``length`` places: 0, and
    minus infinity for what lies behind."""
    seen = torch.ones(length, common + length, dtype=torch.bool, device=device).tril(common)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, -torch.inf)


def attend_within(rotary: Rotary, layout: Layout) -> Attend:
    """Causal attention inside each sequence.

    One call per run of neighbours of one length, and one per common beginning: no padding, and no
    work between sequences.
    """
    sizes = []
    for group in layout:
        sizes += [group.common, *(number * length for number, length in group.runs)]

    def attend(
        _layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        # One split each: the gradient of single slices would be zeros of the whole size, each time.
        pieces = zip(
            turn(query, rotary).split(sizes, dim=1),
            turn(key, rotary).split(sizes, dim=1),
            value.split(sizes, dim=1),
            strict=True,
        )
        found = []
        for group in layout:
            start = next(pieces)
            if group.common:
                found.append(mix(*start, (1, group.common), None))
            for run in group.runs:
                found.append(mix(*next(pieces), run, start if group.common else None))
        return torch.cat(found, dim=1) if len(found) > 1 else found[0]

    return attend


def mix(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    run: tuple[int, int],
    start: tuple[torch.Tensor, ...] | None,
) -> torch.Tensor:
    """Mixed values (S, N, d) of one run, which sees the common beginning ``start`` too."""
    number, length = run
    models, folded = len(query), []
    for tensor in (query, key, value):
        folded.append(tensor.unflatten(1, (number, length)))
    common = 0
    if start is not None:
        common = start[1].shape[1]
        for place in (1, 2):
            before = start[place].unsqueeze(1).expand(-1, number, -1, -1, -1)
            folded[place] = torch.cat([before, folded[place]], dim=2)
    # (S, number, length, heads, ...) -> (S * number, heads, length, ...)
    parts = [tensor.flatten(0, 1).transpose(1, 2) for tensor in folded]
    mask = causal(common, length, query.device, query.dtype) if common else None
    mixed = F.scaled_dot_product_attention(
        parts[0], parts[1], parts[2], attn_mask=mask, is_causal=mask is None
    )
    return mixed.transpose(1, 2).reshape(models, number * length, -1)


def embed(parameters: Parameters, tokens: torch.Tensor) -> torch.Tensor:
    """(S, N) -> (S, N, d), float32 or better."""
    tables = parameters["embedding"]
    # One look-up per model, as F.embedding takes a single table.
    rows = [F.embedding(one, table) for one, table in zip(tokens, tables, strict=True)]
    return torch.stack(rows).to(torch.promote_types(tables.dtype, torch.float32))


def read_out(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Logits from the last layer's output: (S, N, d) -> (S, N, vocabulary)."""
    return torch.bmm(norm(x, parameters["norm"]), parameters["head"].mT)


def places_of(layout: Layout, device: torch.device) -> torch.Tensor:
    """The position of each of the N tokens in its sequence."""
    found = []
    for common, runs in layout:
        found.append(torch.arange(common, device=device))
        for number, length in runs:
            own = torch.arange(common, common + length, device=device)
            found.append(own.repeat(number))
    return torch.cat(found)


def packed_states(
    parameters: Parameters, shape: Shape, tokens: torch.Tensor, layout: Layout
) -> torch.Tensor:
    """The raw last layer for sequences that lie one after the other: (S, N) -> (S, N, d)."""
    attend = attend_within(rotary_angles(places_of(layout, tokens.device), shape), layout)
    x = embed(parameters, tokens)
    for layer in range(shape.layers):
        x = block(layer, parameters, x, shape.heads, attend)
    return x


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
    layout = [Group(0, ((number, length),))]
    attend = attend_within(rotary_angles(places_of(layout, tokens.device), shape), layout)
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
    return read_out(parameters, last.flatten(1, 2)).view(*tokens.shape, -1)
