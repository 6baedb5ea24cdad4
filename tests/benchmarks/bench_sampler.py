"""Samples of the model that is trained: our loop against transformers' ``generate``, with the same
number of tokens.

``python -m tests.benchmarks.bench_sampler``. Fresh weights; no token ends a sample, so both draw
exactly as many. ``generate`` pads on the left and repeats each prompt's keys for every sample; it
gives no log-probabilities, ours does. The rounds run in turns; the figures are the best round's
processor seconds of one thread, as on a shared machine only those say something.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from engines.shared.language_model.lora import adapt
from engines.shared.language_model.packing import Scorer
from engines.shared.language_model.sampler import Sampling, sample
from engines.shared.language_model.settings import LoraSettings
from tests.support.models import qwen2

ROUNDS = 3
PROMPTS = SAMPLES = 8


@dataclass(frozen=True)
class Case:
    """A size of model, lengths of prompts, tokens per sample."""

    name: str
    model: dict[str, int]
    lengths: range
    tokens: int


TINY = {"vocab_size": 160, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4}
SMALL = {
    "vocab_size": 4000,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}
CASES = (
    Case("2 layers of 64, prompts of about 10", TINY, range(8, 13), 20),
    Case("4 layers of 256, prompts of about 60", SMALL, range(50, 71), 60),
    Case("4 layers of 256, prompts of about 300", SMALL, range(280, 321), 60),
)


def theirs(model: Any, prompts: list[list[int]], tokens: int) -> Callable[[], None]:
    """transformers' own loop."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    def one_round() -> None:
        found = model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            top_k=0,
            num_return_sequences=SAMPLES,
            max_new_tokens=tokens,
        )
        assert found.shape == (PROMPTS * SAMPLES, longest + tokens)

    return one_round


def ours(model: Any, prompts: list[list[int]], tokens: int) -> Callable[[], None]:
    """The sampler of trainings."""
    scorer = Scorer(model)

    def one_round() -> None:
        found = sample(scorer, prompts, Sampling(SAMPLES, tokens, end_tokens=(-1,)), range(PROMPTS))
        assert sum(len(one.token_ids) for row in found for one in row) == PROMPTS * SAMPLES * tokens

    return one_round


def measure(case: Case, adapted: bool) -> None:
    """Rounds in turns, one line."""
    draw = torch.Generator().manual_seed(0)
    sizes = [case.lengths[len(case.lengths) * i // PROMPTS] for i in range(PROMPTS)]
    prompts = [
        torch.randint(1, case.model["vocab_size"], (size,), generator=draw).tolist()
        for size in sizes
    ]
    rounds: list[Callable[[], None]] = []
    # Two models of the same weights: a packed one does not generate.
    for make in (theirs, ours):
        model = qwen2(num_key_value_heads=2, **case.model).eval()
        if adapted:
            adapt(model, LoraSettings(), 0)
        rounds.append(make(model, prompts, case.tokens))
    best = [float("inf")] * 2
    for number in range(ROUNDS + 1):
        for i, one_round in enumerate(rounds):
            started = time.process_time()
            one_round()
            # The first round of each warms up.
            if number:
                best[i] = min(best[i], time.process_time() - started)
    print(
        f"{case.name}, {case.tokens} tokens{', adapted' if adapted else ''}: generate "
        f"{best[0]:.3f} s, ours {best[1]:.3f} s, {best[0] / best[1]:.2f} times as fast",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    for case in CASES:
        for adapted in (False, True):
            measure(case, adapted)


if __name__ == "__main__":
    main()
