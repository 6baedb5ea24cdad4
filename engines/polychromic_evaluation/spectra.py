"""What an adapter adds to each layer: norms of A, B and BA, and how many directions it uses.

In: PEFT's adapter folder. Out: ``spectra.json`` beside a model's samples, one entry per adapted
layer, and means over layers as rows. Nothing of the base is read.

The singular values of s B A come from two QR decompositions and one r x r matrix, so that no
d x d matrix is made (Golub and Van Loan 2013, section 5.4.1, for the product of thin factors).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.polychromic_evaluation.models import read_description
from engines.shared.diversity.vendi import entropy

WEIGHTS = "adapter_model.safetensors"
SHOWN = 8
"""Singular values that are kept of each layer, the largest."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Spectrum:
    """Of one layer: what it adds is ``scaling`` B A."""

    layer: str
    rank: int
    norm_a: float
    """Frobenius norm."""
    norm_b: float
    """Frobenius norm."""
    frobenius_norm: float
    """Of what it adds."""
    spectral_norm: float
    """Largest singular value of what it adds."""
    effective_rank: float | None
    """exp of the entropy of the singular values over their sum (Roy and Vetterli 2007), 1 to the
    rank; None for an adapter that adds nothing."""
    singular_values: list[float]
    """The largest ones."""


def spectra_of(folder: Path) -> list[Spectrum]:
    """Every layer of an adapter. ConfigError for a file that cannot be read, or an A without
    B."""
    tensors = read_tensors(folder / WEIGHTS)
    described = read_description(folder)
    found = []
    for name, down in sorted(tensors.items()):
        layer, mark, _ = name.rpartition(".lora_A.weight")
        if not mark:
            continue
        up = tensors.get(f"{layer}.lora_B.weight")
        if up is None:
            raise ConfigError(f"{folder / WEIGHTS}: {layer} has an A without B; make it again")
        scaling = float(described["lora_alpha"]) / int(described["r"])
        found.append(spectrum(layer.removeprefix("base_model.model."), down, up, scaling))
    return found


def read_tensors(path: Path) -> dict[str, Array]:
    """The tensors of a file, float64."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        # Not as numpy arrays, which have no bfloat16.
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make the checkpoint again") from error
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def spectrum(layer: str, down: Array, up: Array, scaling: float) -> Spectrum:
    """Of ``scaling`` B A with A = ``down`` (r, in) and B = ``up`` (out, r)."""
    _, right = np.linalg.qr(down.T)
    _, left = np.linalg.qr(up)
    # B A = Q_b (R_b R_a^T) Q_a^T: what is between has the same singular values.
    values = np.linalg.svd(left @ right.T, compute_uv=False) * abs(scaling)
    return Spectrum(
        layer=layer,
        rank=len(down),
        norm_a=float(np.linalg.norm(down)),
        norm_b=float(np.linalg.norm(up)),
        frobenius_norm=float(np.linalg.norm(values)),
        spectral_norm=float(values.max()),
        effective_rank=math.exp(entropy(values)) if values.sum() > 0 else None,
        singular_values=[float(value) for value in values[:SHOWN]],
    )


def as_json(spectra: list[Spectrum]) -> list[dict[str, Any]]:
    """What ``spectra.json`` holds."""
    return [asdict(one) for one in spectra]
