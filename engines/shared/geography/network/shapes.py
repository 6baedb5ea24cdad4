"""Names and shapes of a model's parameters.

In: the sizes of a model. Out: its parameters by name, and how many numbers they are. The model and
its files are made of them, estimates count with them. Light on purpose (no torch): the login node
imports it.
"""

from __future__ import annotations

import math

from engines.shared.geography.description import Shape
from engines.shared.geography.vocabulary import SIZE


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
    return sum(math.prod(one) for one in shapes(shape).values())
