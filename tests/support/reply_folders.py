"""Folders of made-up replies with a base model of any size, to train on and to time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|start|> ' + message['role'] + ' ' + message['content'] + ' <|end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ ' <|start|> assistant ' }}{%- endif -%}
"""


@dataclass(frozen=True)
class Size:
    """Of a base model and of the texts; lengths are in words, one token each."""

    words: int
    hidden_size: int
    layers: int
    heads: int
    prompt_words: tuple[int, int]
    """Shortest and longest."""
    reply_words: tuple[int, int]


def tokenizer_of_words(words: int) -> Any:
    """One token for each of w0, w1, ..., with a chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    symbols = ["<|pad|>", "<|unknown|>", "<|start|>", "<|end|>", "user", "assistant"]
    symbols += [f"w{number}" for number in range(words)]
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|end|>",
        pad_token="<|pad|>",
        unk_token="<|unknown|>",
        additional_special_tokens=["<|start|>"],
    )
    made.chat_template = CHAT_TEMPLATE
    return made


def write_base(folder: Path, size: Size) -> None:
    """A Qwen3 with fresh weights and its tokenizer; keys and values for half of the heads, as the
    larger models have fewer too."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = tokenizer_of_words(size.words)
    torch.manual_seed(0)
    # Not Qwen2: AutoTokenizer puts Qwen2's own way of cutting texts in the place of ours.
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=size.hidden_size,
            intermediate_size=3 * size.hidden_size,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads // 2,
            head_dim=size.hidden_size // size.heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_rows(folder: Path, size: Size, rows: int) -> None:
    """Splits of random words, lengths uniform in the logarithm: many short texts, some long."""
    from engines.shared.replies.description import Manifest, RepliesChecker, Split, Template
    from engines.shared.replies.rows import MANIFEST, Reply, as_jsonl, split_file

    random = np.random.default_rng(0)

    def text(bounds: tuple[int, int]) -> str:
        length = round(float(np.exp(random.uniform(*np.log(bounds)))))
        # Zipf's law, as words have it.
        ranks = np.minimum(random.zipf(1.3, length) - 1, size.words - 1)
        return " ".join(f"w{rank}" for rank in ranks)

    counts: dict[Split, int] = {"train": rows, "validation": 4, "test": 4}
    sums = {}
    for split, count in counts.items():
        content = as_jsonl(
            [
                Reply(f"{split}-{number}", text(size.prompt_words), text(size.reply_words))
                for number in range(count)
            ]
        )
        path = folder / split_file(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        sums[split_file(split)] = hashlib.sha256(content).hexdigest()
    manifest = Manifest(
        counts=counts,
        prompts=counts,
        sha256=sums,
        fields=None,
        quartile_bounds=None,
        quartiles={split: {"none": count} for split, count in counts.items()},
        near_copies={},
        template=Template(),
        checker=RepliesChecker(),
        seed=0,
        config={},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
