"""A byte-level tokenizer and a tiny Qwen2 with fresh weights, both made without a download.

In: the config. Out: transformers objects that save and load like any others. ``__main__.py`` calls
it.
"""

from __future__ import annotations

from typing import Any

from engines.miniature.config import Config

EOS, PAD = "<eos>", "<pad>"
MAX_POSITIONS = 256


def make_tokenizer() -> Any:
    """One token per byte, an end and a padding token; a transformers tokenizer that saves and loads
    like any other."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    # The alphabet has a printable symbol for each of
    # the 256 bytes; sorted, so that ids never change.
    symbols = [EOS, PAD, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    # Byte-pair encoding without merges: every byte stays a token of its own.
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    # Cutting a text into words (the regex) only says where merges may happen, and there are none.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD, model_max_length=MAX_POSITIONS
    )


def make_model(config: Config, tokenizer: Any) -> Any:
    """A Qwen2 with fresh weights from the torch seed, float32."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=4 * config.hidden_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            # No grouped queries: the cache of so small a model needs no saving.
            num_key_value_heads=config.heads,
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=config.tie_word_embeddings,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
