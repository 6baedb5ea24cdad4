"""A folder of replies, a tiny model that answers, and adapters on it, made on the spot."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engines.contract.files import write_text
from engines.shared.replies.description import SPLITS, GrammarChecker, Manifest, Template
from engines.shared.replies.rows import Reply, as_jsonl, split_file
from tests.support.models import byte_tokenizer, qwen2

ROWS = [
    Reply("p1", "my soup is so great today", "what a really great soup", topic="food"),
    Reply("p2", "just loved a great dog today", "nobody missed this dog today", topic="pets"),
    Reply("p2b", "just loved a great dog today", "we loved that great cat today", topic="pets"),
    Reply("p3", "who kept the great song again", "what a so loud song", topic="music"),
]
"""Two of them answer the same text."""
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_replies(folder: Path) -> None:
    """A data folder whose splits all hold the same rows."""
    (folder / "splits").mkdir(parents=True)
    content = as_jsonl(ROWS)
    for split in SPLITS:
        (folder / split_file(split)).write_bytes(content)
    manifest = Manifest(
        counts=dict.fromkeys(SPLITS, len(ROWS)),
        prompts=dict.fromkeys(SPLITS, 3),
        sha256={split_file(split): hashlib.sha256(content).hexdigest() for split in SPLITS},
        fields=None,
        quartile_bounds=None,
        quartiles={split: {"none": len(ROWS)} for split in SPLITS},
        near_copies={},
        template=Template(),
        checker=GrammarChecker(),
        seed=0,
        config={},
    )
    write_text(folder / "manifest.json", manifest.model_dump_json())


def replying_model(seed: int = 0) -> Any:
    """A Qwen2 over bytes whose next tokens are far from equally likely, in shapes that vLLM has on
    a CPU."""
    return qwen2(
        seed,
        vocab_size=257,
        hidden_size=64,
        intermediate_size=128,
        max_position_embeddings=128,
        num_key_value_heads=2,
        initializer_range=0.3,
        tie_word_embeddings=False,
        eos_token_id=256,
        bos_token_id=None,
    ).eval()


def make_base(folder: Path, seed: int = 0) -> None:
    """The model with its tokenizer, as a Hugging Face folder."""
    replying_model(seed).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def adapted(base: Path, seed: int, modules_to_save: list[str] | None = None, rank: int = 4) -> Any:
    """The model in a folder with adapters that change what it says."""
    import torch
    from transformers import AutoModelForCausalLM

    from engines.shared.language_model.lora import adapt
    from engines.shared.language_model.settings import LoraSettings

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    settings = LoraSettings(rank=rank, alpha=8.0, modules_to_save=modules_to_save or [])
    adapt(model, settings, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name or ".modules_to_save." in name:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def greedy(model: Any, token_ids: list[int], longest: int, end: int) -> list[int]:
    """What a transformers model answers, one pass per token."""
    import torch

    ids = list(token_ids)
    for _ in range(longest):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == end:
            break
    return ids[len(token_ids) :]
