"""Tiny language models made on the spot, and problems that one of them answers now and then."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TASKS = {"code": range(3), "math": range(2, 6)}
"""The digits that are right answers of each task."""


def qwen2(seed: int = 0, **values: Any) -> Any:
    """A Qwen2 with fresh weights, two layers and 64 tokens where ``values`` does not say
    otherwise."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            **{
                "vocab_size": 64,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                **values,
            }
        )
    )


def byte_tokenizer() -> Any:
    """One token per byte, and an end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(alphabet)} | {"<eos>": 256}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")


def make_model(folder: Path, tied: bool) -> None:
    """A two-layer Qwen2 that answers every prompt with one random digit: some answers are right,
    some are not."""
    import torch

    model = qwen2(
        vocab_size=257,
        hidden_size=64,
        intermediate_size=128,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        eos_token_id=256,
        bos_token_id=None,
    )
    encode = byte_tokenizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    draw = random.Random(0)
    for _ in range(40):
        rows = [
            encode(f"{draw.choice(list(TASKS))}:{draw.randrange(10, 100)}={draw.randrange(6)}")[
                "input_ids"
            ]
            + [256]
            for _ in range(32)
        ]
        logits = model(torch.tensor(rows)).logits[:, -3:-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), torch.tensor([row[-2:] for row in rows]).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    encode.save_pretrained(folder)


def make_data(folder: Path, sources: Mapping[str, str] | None = None) -> None:
    """Training and validation files of the tasks; ``sources`` gives the data source of those whose
    source is not the miniature one."""
    from engines.shared.data.problem_files import write_problems
    from engines.shared.data.problems import Problem
    from engines.shared.scoring.registry import score

    folder.mkdir()
    miniature = "math__miniature"
    for task, digits in TASKS.items():
        source = (sources or {}).get(task, miniature)
        for split, numbers in (("train", range(10, 22)), ("validation", range(50, 54))):
            problems = [
                Problem(
                    item_id=f"{task}{number}",
                    data_source=source,
                    domain="math",
                    prompt=({"role": "user", "content": f"{task}:{number}="},),
                    ability=task,
                    apply_chat_template=False,
                    ground_truth=str(digits[number % len(digits)]),
                    extra_info={},
                )
                for number in numbers
            ]
            if source == miniature:
                assert score(problems[0], problems[0].ground_truth).value == 1.0
            write_problems(folder / f"{task}.{split}.parquet", problems)
