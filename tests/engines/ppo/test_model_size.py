"""How big a model is, from its files."""

import json
from pathlib import Path
from typing import Any

import pytest

from engines.ppo.config import Config
from engines.ppo.estimates import disk_gb
from engines.ppo.model_size import counted, from_shapes, model_size

QWEN_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}


def test_the_published_size_of_qwen_7b_follows_from_its_shapes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN_7B))
    size = model_size(tmp_path)
    assert size is not None
    assert size.parameters == 7_615_616_512
    assert size.cache_bytes_per_token == 57_344


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("Qwen2", {}),
        ("Qwen2", {"tie_word_embeddings": True}),
        ("Llama", {}),
        ("Llama", {"attention_bias": True}),
        ("Mistral", {}),
        ("Qwen3", {"head_dim": 16}),
    ],
)
def test_shapes_give_what_torch_counts(tmp_path: Path, kind: str, extra: dict[str, Any]) -> None:
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=101,
        **{"tie_word_embeddings": False, **extra},
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    wanted = sum(parameter.numel() for parameter in model.parameters())
    assert from_shapes(config.to_dict()) == wanted
    model.save_pretrained(tmp_path)
    assert counted(tmp_path) == wanted


def test_an_unknown_kind_has_no_size_rather_than_a_guess(tmp_path: Path) -> None:
    assert model_size(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({**QWEN_7B, "model_type": "something_new"}))
    assert model_size(tmp_path) is None


def test_the_disk_that_a_training_asks_for_is_what_its_checkpoints_take(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN_7B))
    config = Config(
        model=str(tmp_path),
        data="d",
        validation_data="d",
        epochs=100,
        checkpoint_every_epochs=5,
        keep_checkpoints=10,
    )
    # Ten, one being written, a state to continue from; two of the kept ones with their optimizer's
    # state.
    assert disk_gb(config) == pytest.approx((12 * 4 + 4 * 8) * 7.615616512)
    short = config.model_copy(update={"epochs": 6})
    assert disk_gb(short) == pytest.approx(
        (3 * 4 + 3 * 8) * 7.615616512
    )  # a run makes no more than it has time for
    assert disk_gb(Config(model="nobody/knows-it", data="d", validation_data="d")) is None
