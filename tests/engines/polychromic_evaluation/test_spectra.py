"""Spectra of adapters against the product that they stand for."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.polychromic_evaluation.models import Model
from engines.polychromic_evaluation.rows import spectrum_rows
from engines.polychromic_evaluation.spectra import spectra_of, spectrum


@given(st.integers(0, 10**6), st.integers(1, 6), st.floats(-3, 3).filter(lambda x: abs(x) > 0.01))
def test_spectrum_is_that_of_the_whole_product(seed, rank, scaling):
    source = np.random.default_rng(seed)
    down, up = source.normal(size=(rank, 9)), source.normal(size=(7, rank))
    found = spectrum("layer", down, up, scaling)
    values = np.linalg.svd(scaling * up @ down, compute_uv=False)[:rank]
    assert np.allclose(found.singular_values, values)
    assert np.isclose(found.frobenius_norm, np.linalg.norm(scaling * up @ down))
    assert np.isclose(found.spectral_norm, np.linalg.norm(scaling * up @ down, 2))
    shares = values / values.sum()
    assert np.isclose(found.effective_rank, np.exp(-(shares * np.log(shares)).sum()))
    assert np.isclose(found.norm_a, np.sqrt((down**2).sum()))
    assert np.isclose(found.norm_b, np.sqrt((up**2).sum()))


def test_effective_rank_counts_equal_directions_and_nothing_has_none():
    eye = np.eye(3)
    assert np.isclose(spectrum("layer", eye, 2 * eye, 1.0).effective_rank, 3)
    assert np.isclose(spectrum("layer", np.diag([1.0, 0, 0]), eye, 1.0).effective_rank, 1)
    nothing = spectrum("layer", eye, 0 * eye, 1.0)
    assert nothing.effective_rank is None
    assert nothing.frobenius_norm == 0
    adapter = Model("a", "a", {"seed": 0, "model": "trained"}, None, "", None)
    rows = {row.metric: row for row in spectrum_rows(adapter, [nothing])}
    assert rows["effective_rank"].value is None
    assert rows["effective_rank"].error == "the adapter adds nothing to this layer"
    assert rows["frobenius_norm"].axes == {"seed": 0, "model": "trained", "layer": "layer"}


def test_spectra_of_a_file_are_in_any_precision_and_scaled(tmp_path):
    import torch
    from safetensors.torch import save_file

    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 4}))
    name = "base_model.model.model.layers.0.mlp.up_proj"
    tensors = {
        f"{name}.lora_A.weight": torch.eye(2, dtype=torch.bfloat16),
        f"{name}.lora_B.weight": torch.eye(2, dtype=torch.bfloat16),
        # A module that was trained whole is no adapter.
        "base_model.model.lm_head.weight": torch.ones(2, 2),
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    (found,) = spectra_of(tmp_path)
    assert found.layer == "model.layers.0.mlp.up_proj"
    assert found.singular_values == [2, 2]
    del tensors[f"{name}.lora_B.weight"]
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ConfigError, match="an A without B"):
        spectra_of(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="cannot be read"):
        spectra_of(tmp_path)
