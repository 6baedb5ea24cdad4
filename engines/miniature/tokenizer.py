"""A byte-level tokenizer, made without a download.

In: nothing. Out: a transformers tokenizer that saves and loads like any other. ``__main__.py``
calls it.
"""

from __future__ import annotations

from typing import Any

from engines.shared.tiny_models.model import MAX_POSITIONS

EOS, PAD = "<eos>", "<pad>"


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
