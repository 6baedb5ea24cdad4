"""What the diversity term costs per step, against its floor: generating the samples, and one
scoring pass over them.

    make bench-polychromic-term

8 prompts x 8 samples of up to 40 tokens, LoRA of rank 16 on all linear layers, one thread, CPU
seconds. The floor is the bare sampler and, over the tokens that it drew, one packed forward and
backward pass of the sum of their log-probabilities. What the term adds to it: texts, the checker,
distances, advantages, and the norms of the two gradients with their cosine. Beside it, so that the
floor is no invention of ours: transformers' ``generate`` with as many tokens and a padded pass.
They take turns; of each way its fastest turn at each step counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engines.polychromic.batches import Turn, rows_of_step
from engines.polychromic.config import Config, Diversity
from engines.polychromic.step import Gradient, Setting, Stepper, added, compared, token_terms
from engines.polychromic.training import prepare
from engines.shared.inference import sample_seed
from engines.shared.language_model.sampler import Sampling, sample
from tests.support.reply_folders import Size, write_base, write_rows

SIZES = {
    "small": ("2 x 64, 200 words", Size(200, 64, 2, 2, (5, 16), (4, 12))),
    "large": ("8 x 512, 32,000 words", Size(32_000, 512, 8, 8, (8, 80), (6, 60))),
}
PROMPTS, SAMPLES, NEW_TOKENS = 8, 8, 40
LEARNING_STEPS = 12


def learned_base(folder: Path, data: Path) -> Path:
    """A base that ends its replies and repeats frequent words, as trained models do: with fresh
    weights no two samples would share a bigram, and what has no advantage is not scored."""
    config = Config(
        model=str(folder),
        data=str(data),
        lora=None,
        steps=LEARNING_STEPS,
        learning_rate=3e-3,
        warmup_share=0.0,
    )
    setting, _, _ = prepare(config)
    stepper = Stepper(setting)
    for step in range(setting.steps):
        stepper.take(step)
    learned = folder.with_name("learned")
    setting.model.write(learned)
    return learned


def bare(stepper: Stepper, prompts: list[Turn], step: int) -> list[Turn]:
    """Generation and one scoring pass, nothing else; the samples."""
    model, config = stepper.setting.model, stepper.setting.config
    seeds = [sample_seed(config.seed, "train", step, place) for place in range(len(prompts))]
    sampling = Sampling(SAMPLES, NEW_TOKENS, (model.end_token,))
    found = sample(model.scorer, [prompt for prompt, _ in prompts], sampling, seeds)
    turns = [
        (prompt, one.token_ids)
        for (prompt, _), drawn in zip(prompts, found, strict=True)
        for one in drawn
    ]
    model.inner.eval()
    for batch in stepper.batches(turns):
        token_terms(model, batch, None, 0.0)[0].sum().backward()
    stepper.collected()
    return turns


def term(stepper: Stepper, rows: list[int], step: int, quality: Gradient) -> None:
    """All that a step does for the term."""
    gradient, seen = stepper.diversity(rows, step)
    assert seen["set_diversity"] < 1, "nothing was scored"
    compared(quality, gradient)
    added(quality, gradient, 1.0)


def usual(setting: Setting, prompts: list[Turn]) -> None:
    """The same work by ``generate`` and a padded pass with all logits."""
    model = setting.model
    inner, pad = model.inner, model.tokenizer.pad_token_id
    longest = max(len(prompt) for prompt, _ in prompts)
    ids = torch.tensor([[pad] * (longest - len(p)) + list(p) for p, _ in prompts])
    inner.eval()
    inner.set_attn_implementation("sdpa")
    drawn = inner.generate(
        input_ids=ids,
        attention_mask=(ids != pad).long(),
        do_sample=True,
        top_k=0,
        use_cache=True,
        num_return_sequences=SAMPLES,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=model.end_token,
        pad_token_id=pad,
    )
    mask = (drawn != pad).long()
    logits = inner(input_ids=drawn, attention_mask=mask).logits[:, longest - 1 : -1].float()
    targets = drawn[:, longest:]
    logprobs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    (logprobs * mask[:, longest:]).sum().backward()
    inner.zero_grad(set_to_none=True)
    inner.set_attn_implementation("packed")


def seconds_of(work: Callable[[], object]) -> float:
    """CPU seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compare(label: str, size: Size, steps: int, turns: int, folder: Path) -> None:
    """Print a row of the table for each way."""
    write_base(folder / "base", size)
    write_rows(folder / "data", size, 16 * max(steps, LEARNING_STEPS))
    config = Config(
        model=str(learned_base(folder / "base", folder / "data")),
        data=str(folder / "data"),
        steps=steps,
        diversity=Diversity(
            weight=1.0,
            gate="none",
            samples=SAMPLES,
            prompts_per_step=PROMPTS,
            max_new_tokens=NEW_TOKENS,
        ),
    )
    setting, _, _ = prepare(config)
    stepper = Stepper(setting)
    train = setting.train
    taken: dict[str, list[list[float]]] = {"floor": [], "term": [], "transformers": []}
    tokens = 0
    for _ in range(turns):
        for seconds in taken.values():
            seconds.append([])
        for step in range(steps):
            rows = rows_of_step(config, len(train.replies), step)[:PROMPTS]
            prompts = [train.sequences[row] for row in rows]
            quality = [torch.ones_like(one) for one in stepper.parameters]
            drawn: list[list[Turn]] = []
            taken["floor"][-1].append(
                seconds_of(lambda: drawn.append(bare(stepper, prompts, step)))  # noqa: B023
            )
            taken["term"][-1].append(
                seconds_of(lambda: term(stepper, rows, step, quality))  # noqa: B023
            )
            taken["transformers"][-1].append(seconds_of(lambda: usual(setting, prompts)))  # noqa: B023
            tokens += sum(len(reply) for _, reply in drawn[0])
    # The first step fetches memory and builds what is built once.
    means = {name: float(np.min(found, axis=0)[1:].mean()) for name, found in taken.items()}
    for name, seconds_each in means.items():
        print(
            f"| {label} | {name} | {1000 * seconds_each:,.1f} | {seconds_each / means['floor']:.2f} |"
        )
    samples = PROMPTS * SAMPLES
    print(f"{tokens / turns / steps / samples:.1f} tokens a sample", file=sys.stderr)


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=("small", "large"))
    torch.set_num_threads(1)
    given = parser.parse_args()
    print("| model | | CPU ms per step | of the floor |")
    print("| --- | --- | --- | --- |")
    for name, (label, size) in SIZES.items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                compare(label, size, given.steps, given.turns, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
