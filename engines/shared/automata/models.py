"""LSTM, vanilla RNN and transformer as functions of their parameters; every parameter has a leading
axis of S models.

One set of tensors serves both ways of computing: ``fused`` runs torch's own recurrent kernels
(oneDNN, cuDNN) model by model, ``stacked`` one batched product per time step for all models. Which
is faster depends on the device; the results are the same to rounding. The transformer has one way:
all its operations are batched over the models.

Shapes: S models, B sequences, T tokens, d width. LSTM: Hochreiter & Schmidhuber 1997 in torch's
    gate order i, f, g, o. Transformer: pre-norm (Xiong et al. 2020), rotary positions (Su et al.
    2021), tanh-approximated GELU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F
from torch.nn import init

from engines.shared.automata.description import VOCABULARY, Architecture

Parameters = dict[str, torch.Tensor]
ROTARY_BASE = 10_000.0


def shapes(architecture: Architecture, states: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter of one model, in the order of use. The vanilla RNN has one
    bias per layer, the LSTM two."""
    d, ff = architecture.width, architecture.feed_forward
    found: dict[str, tuple[int, ...]] = {"embedding": (VOCABULARY, d)}
    for n in range(architecture.layers):
        if architecture.kind == "transformer":
            found |= {
                f"{n}.norm1.weight": (d,),
                f"{n}.norm1.bias": (d,),
                f"{n}.qkv.weight": (3 * d, d),
                f"{n}.qkv.bias": (3 * d,),
                f"{n}.out.weight": (d, d),
                f"{n}.out.bias": (d,),
                f"{n}.norm2.weight": (d,),
                f"{n}.norm2.bias": (d,),
                f"{n}.up.weight": (ff, d),
                f"{n}.up.bias": (ff,),
                f"{n}.down.weight": (d, ff),
                f"{n}.down.bias": (d,),
            }
            continue
        gates = 4 * d if architecture.kind == "lstm" else d
        found |= {
            f"{n}.weight_ih": (gates, d),
            f"{n}.weight_hh": (gates, d),
            f"{n}.bias_ih": (gates,),
        }
        if architecture.kind == "lstm":
            found[f"{n}.bias_hh"] = (gates,)
    if architecture.kind == "transformer":
        found |= {"norm.weight": (d,), "norm.bias": (d,)}
    found["head"] = (architecture.outputs(states), d)
    return found


def count(architecture: Architecture, states: int) -> int:
    """Parameters of one model."""
    return sum(torch.Size(shape).numel() for shape in shapes(architecture, states).values())


def initial(
    architecture: Architecture, states: int, seeds: Sequence[int], embedding_scale: float
) -> Parameters:
    """Fresh parameters, each model from its own seed: embedding N(0, embedding_scale^2), recurrent
    weights orthogonal, others Xavier uniform (Glorot & Bengio 2010), biases 0, norms 1."""
    models = []
    for seed in seeds:
        random = torch.Generator().manual_seed(seed)
        made = {}
        for name, shape in shapes(architecture, states).items():
            tensor = torch.zeros(shape)
            if name == "embedding":
                tensor.normal_(0.0, embedding_scale, generator=random)
            # The gates' matrices lie on top of each other: orthonormal columns over all four
            # together.
            elif name.endswith("weight_hh"):
                init.orthogonal_(tensor, generator=random)
            elif len(shape) == 2:
                init.xavier_uniform_(tensor, generator=random)
            elif "norm" in name and name.endswith("weight"):
                tensor.fill_(1.0)
            made[name] = tensor
        models.append(made)
    return {name: torch.stack([made[name] for made in models]) for name in models[0]}


class Model:
    """How parameters become logits.

    ``layers(...)`` returns what each layer puts out, embedding first: (S, B, T, d) each; ``logits``
    (S, B, T, outputs). ``masks``, if given, are the scaled dropout masks of ``dropout_masks``.
    """

    def __init__(self, architecture: Architecture, stacked: bool) -> None:
        self.architecture = architecture
        self.stacked = stacked or architecture.kind == "transformer"

    def layers(
        self, parameters: Parameters, inputs: torch.Tensor, masks: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Embedding and the output of every layer for ``inputs`` (S, B, T)."""
        # One look-up per model, as F.embedding takes a single table.
        x = torch.stack(
            [
                F.embedding(one, table)
                for one, table in zip(inputs, parameters["embedding"], strict=True)
            ]
        )
        found = [_masked(x, masks, 0)]
        rotary = (
            _rotary(inputs.shape[-1], self.architecture, x.device)
            if self.architecture.kind == "transformer"
            else None
        )
        for n in range(self.architecture.layers):
            own = {
                name.removeprefix(f"{n}."): value
                for name, value in parameters.items()
                if name.startswith(f"{n}.")
            }
            if rotary is not None:
                x = _block(own, found[-1], rotary, self.architecture.heads)
            elif self.stacked:
                x = _stacked_layer(own, found[-1])
            else:
                x = _fused_layer(own, found[-1])
            found.append(_masked(x, masks, n + 1))
        return found

    def read_out(self, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
        """Logits from the last layer's output."""
        if self.architecture.kind == "transformer":
            x = _norm(x, parameters["norm.weight"], parameters["norm.bias"])
        return _linear(x, parameters["head"], None)

    def logits(
        self, parameters: Parameters, inputs: torch.Tensor, masks: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(S, B, T) -> (S, B, T, outputs)."""
        return self.read_out(parameters, self.layers(parameters, inputs, masks)[-1])


def dropout_masks(
    architecture: Architecture,
    seeds: Sequence[int],
    batch: int,
    longest: int,
    share: float,
    device: torch.device,
) -> torch.Tensor:
    """(layers + 1, S, B, longest, d): 0 with probability ``share``, else 1 / (1 - share); model s's
    masks hang on ``seeds[s]`` alone."""
    made = []
    for seed in seeds:
        # A generator on the device: no mask is copied there. CPU and GPU draw different masks.
        random = torch.Generator(device=device).manual_seed(seed)
        made.append(
            torch.rand(
                (architecture.layers + 1, batch, longest, architecture.width),
                generator=random,
                device=device,
            )
            >= share
        )
    return torch.stack(made, dim=1).float().div_(1 - share)


def _masked(x: torch.Tensor, masks: torch.Tensor | None, layer: int) -> torch.Tensor:
    return x if masks is None else x * masks[layer, :, :, : x.shape[2]]


def _linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """(S, B, T, in) with (S, out, in) -> (S, B, T, out)."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    product = (
        torch.bmm(flat, weight.mT)
        if bias is None
        else torch.baddbmm(bias.unsqueeze(1), flat, weight.mT)
    )
    return product.view(*x.shape[:-1], -1)


def _fused_layer(own: Parameters, x: torch.Tensor) -> torch.Tensor:
    """One recurrent layer by torch's kernels, model after model."""
    outputs = []
    is_lstm = "bias_hh" in own
    for s, one in enumerate(x.unbind(0)):
        start = torch.zeros(1, one.shape[0], one.shape[-1], device=x.device, dtype=x.dtype)
        bias = own["bias_ih"][s]
        weights = [
            own["weight_ih"][s],
            own["weight_hh"][s],
            bias,
            # torch's kernel wants two biases of a vanilla RNN; only their sum has any effect.
            own["bias_hh"][s] if is_lstm else torch.zeros_like(bias),
        ]
        if is_lstm:
            # has_biases, num_layers, dropout, train, bidirectional, batch_first. Dropout is ours:
            # the same masks for both ways of computing.
            output, _, _ = torch.lstm(one, [start, start], weights, True, 1, 0.0, True, False, True)
        else:
            output, _ = torch.rnn_tanh(one, start, weights, True, 1, 0.0, True, False, True)
        outputs.append(output)
    return torch.stack(outputs)


def _stacked_layer(own: Parameters, x: torch.Tensor) -> torch.Tensor:
    """One recurrent layer of all models: the input's part in one product, then one batched product
    per time step."""
    bias = own["bias_ih"] + own["bias_hh"] if "bias_hh" in own else own["bias_ih"]
    step = _lstm_step if "bias_hh" in own else _rnn_step
    hidden = torch.zeros(x.shape[0], x.shape[1], x.shape[3], device=x.device, dtype=x.dtype)
    cell, recurrent, outputs = hidden, own["weight_hh"].mT, []
    # unbind, not indexing: the gradient of x[:, t] is a tensor of zeros as large as x, for every t.
    for projected in _linear(x, own["weight_ih"], bias).unbind(2):
        hidden, cell = step(torch.baddbmm(projected, hidden, recurrent), cell)
        outputs.append(hidden)
    return torch.stack(outputs, dim=2)


def _lstm_step(gates: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    i, f, g, o = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _rnn_step(gates: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tanh(gates), cell


def _norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Layer norm over d with each model's own weight and bias (S, d)."""
    return F.layer_norm(x, x.shape[-1:]) * weight[:, None, None] + bias[:, None, None]


def _rotary(
    longest: int, architecture: Architecture, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines (T, head width / 2)."""
    half = architecture.width // architecture.heads // 2
    frequency = ROTARY_BASE ** (-torch.arange(half, device=device) / half)
    angle = torch.outer(torch.arange(longest, device=device).float(), frequency)
    return angle.cos(), angle.sin()


def _turn(x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotate the pairs (j, j + half) of (..., T, head width) by their position's angle."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * rotary[0] - b * rotary[1], a * rotary[1] + b * rotary[0]], dim=-1)


def _block(
    own: Parameters, x: torch.Tensor, rotary: tuple[torch.Tensor, torch.Tensor], heads: int
) -> torch.Tensor:
    """One transformer layer; attention folds the models into the batch."""
    models, batch, longest, width = x.shape
    qkv = _linear(
        _norm(x, own["norm1.weight"], own["norm1.bias"]), own["qkv.weight"], own["qkv.bias"]
    )
    # (S B, T, 3, heads, width of a head) -> (3, S B, heads, T, width of a head).
    parts = qkv.view(models * batch, longest, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(
        _turn(parts[0], rotary), _turn(parts[1], rotary), parts[2], is_causal=True
    )
    mixed = mixed.transpose(1, 2).reshape(models, batch, longest, width)
    x = x + _linear(mixed, own["out.weight"], own["out.bias"])
    up = _linear(_norm(x, own["norm2.weight"], own["norm2.bias"]), own["up.weight"], own["up.bias"])
    return x + _linear(F.gelu(up, approximate="tanh"), own["down.weight"], own["down.bias"])
