"""A tiny Qwen2 with fresh weights.

In: its shape and a tokenizer. Out: a transformers model that saves and loads like any other. The
engines that make a model for tests and smoke runs call it.
"""

from __future__ import annotations

from typing import Any, Protocol

MAX_POSITIONS = 256


class Shape(Protocol):
    """Size of a model; configs of engines have these keys."""

    @property
    def hidden_size(self) -> int:
        """Width, a multiple of 32 for each head: vLLM's CPU kernels ask for it."""

    @property
    def layers(self) -> int:
        """Depth."""

    @property
    def heads(self) -> int:
        """Attention heads."""

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether input and output embeddings are one matrix."""


def make_model(shape: Shape, tokenizer: Any) -> Any:
    """A Qwen2 with fresh weights from the torch seed, float32."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden_size,
            intermediate_size=4 * shape.hidden_size,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            # No grouped queries: the cache of so small a model needs no saving.
            num_key_value_heads=shape.heads,
            max_position_embeddings=MAX_POSITIONS,
            tie_word_embeddings=shape.tie_word_embeddings,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
