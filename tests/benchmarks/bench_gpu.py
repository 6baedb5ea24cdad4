"""What only a GPU can say: stacked small models under CUDA graphs, PCGrad in bfloat16, the memory of
log-probabilities.

    make bench-gpu            one card, under 8 minutes; needs torch and transformers, no vLLM, no Ray
    python -m tests.benchmarks.bench_gpu --tiny    the same path on a CPU, with sizes that say nothing

Seconds are wall time between two synchronisations of the device, ways in turns, the median of the
turns; memory is torch's peak of allocated bytes.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from engines.shared.automata.description import VOCABULARY
from engines.shared.automata.models import Model, initial
from engines.shared.training.cuda_graphs import RepeatedStep, own_stream, record
from engines.shared.training.optimizer import Flat, Pace
from tests.benchmarks.bench_fsm import MODELS
from tests.benchmarks.bench_pcgrad import engine_step, make_policy, make_tasks

TURNS = 5
SEEDS = 5
TASKS = 6
HALF_BILLION = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
"""The shape of Qwen2.5-0.5B."""


@dataclass(frozen=True)
class Sizes:
    """How much is computed."""

    device: torch.device
    shape: Mapping[str, Any]
    """Of the language model."""
    batch: int
    longest: int
    """Sequences of a small model's step, and their tokens."""
    steps: int
    """Steps of a small model that are measured together."""
    scored_tokens: int
    """Positions whose log-probabilities are computed at once."""

    @classmethod
    def of(cls, tiny: bool) -> Sizes:
        """Those of a card, or such that a CPU ends in seconds."""
        if tiny:
            return cls(torch.device("cpu"), {"vocab_size": 4096}, 2, 20, 2, 600)
        return cls(torch.device("cuda"), HALF_BILLION, 8, 650, 50, 8192)


def seconds(device: torch.device, work: Callable[[], None]) -> float:
    """Wall time of ``work``, until the device has done all of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def in_turns(device: torch.device, ways: Mapping[str, Callable[[], None]]) -> dict[str, float]:
    """Median seconds of each way, after one turn that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, work in ways.items():
            found = seconds(device, work)
            taken[name] += [found] if turn else []
    return {name: statistics.median(values) for name, values in taken.items()}


def peak_gib(device: torch.device, work: Callable[[], None]) -> float:
    """Most memory allocated while ``work`` ran; NaN on a CPU, where torch does not count it."""
    if device.type != "cuda":
        work()
        return float("nan")
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return float(torch.cuda.max_memory_allocated(device) / 2**30)


def small_steps(kind: str, models: int, sizes: Sizes) -> Callable[[], None]:
    """``sizes.steps`` steps of some stacked models, recorded once on a GPU and replayed."""
    architecture, device = MODELS[kind], sizes.device
    flat = Flat.of(initial(architecture, 5, list(range(models)), 1.0), device)
    logits = Model(architecture, stacked=True).logits
    shape = (models, sizes.batch, sizes.longest)
    inputs = torch.randint(0, VOCABULARY, shape, device=device)
    targets = torch.randint(0, 5, (inputs.numel(),), device=device)
    rates, pace = torch.full((models, 1), 1e-3, device=device), Pace.of(models, device)
    repeated = RepeatedStep(record if device.type == "cuda" else None, "bench_gpu")
    number = 0

    def compute() -> None:
        loss = F.cross_entropy(logits(flat.named(), inputs).flatten(0, 2), targets)
        (gradient,) = torch.autograd.grad(loss, flat.values)
        flat.step(gradient, pace, 1.0, 0.0)

    def work() -> None:
        nonlocal number
        for _ in range(sizes.steps):
            number += 1
            pace.set(rates, 1.0, number)
            repeated.take(compute)

    return work


def stacked_rows(sizes: Sizes) -> list[str]:
    """Five stacked models against one, by kind."""
    rows = []
    for kind in ("lstm", "rnn", "transformer"):
        with own_stream(sizes.device):
            ways = {str(models): small_steps(kind, models, sizes) for models in (1, SEEDS)}
            found = in_turns(sizes.device, ways)
        one, five = (found[str(models)] / sizes.steps * 1000 for models in (1, SEEDS))
        rows.append(
            f"| {kind}, {SEEDS} stacked | {one:.2f} ms | {five:.2f} ms | {five / one:.2f} |"
        )
    return rows


def pcgrad_rows(sizes: Sizes) -> list[str]:
    """A step with PCGrad against one with the plain sum: seconds and peak memory."""
    tasks = make_tasks(TASKS)
    taken, memory = {}, {}
    for method in ("off", "pcgrad"):
        # One after the other: two sets of moments would not fit beside each other on every card.
        policy = make_policy(method, sizes.shape, sizes.device)

        def step(policy: Any = policy) -> None:
            engine_step(policy, tasks)

        taken[method] = in_turns(sizes.device, {"step": step})["step"]
        memory[method] = peak_gib(sizes.device, step)
        del policy, step
    plain, ours = taken["off"], taken["pcgrad"]
    return [
        f"| PCGrad over {TASKS} tasks | {plain:.3f} s | {ours:.3f} s | {ours / plain:.2f} |",
        f"| its peak memory | {memory['off']:.2f} GiB | {memory['pcgrad']:.2f} GiB "
        f"| {memory['pcgrad'] / memory['off']:.2f} |",
    ]


def logprob_rows(sizes: Sizes) -> list[str]:
    """Log-probabilities in chunks against the logits of all positions at once, backward included:
    seconds and peak memory above the model's."""
    device = sizes.device
    policy = make_policy("off", sizes.shape, device)
    head = policy.model.get_output_embeddings()
    count, width = sizes.scored_tokens, head.weight.shape[1]
    hidden = torch.randn(count, width, device=device, requires_grad=True)
    targets = torch.randint(0, head.weight.shape[0], (count,), device=device)
    autocast = torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")

    def whole() -> None:
        with autocast:
            logits = head(hidden).float()
        chosen = logits.log_softmax(-1).gather(-1, targets[:, None])
        chosen.sum().backward()

    def chunks() -> None:
        with autocast:
            found = policy.scorer.logprobs(hidden, targets, 1.0)
        found.sum().backward()

    ways = {"whole": whole, "chunks": chunks}
    taken = in_turns(device, ways)
    before = torch.cuda.memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    memory = {name: peak_gib(device, work) - before for name, work in ways.items()}
    return [
        f"| log-probabilities of {count:,} positions | {taken['whole']:.3f} s "
        f"| {taken['chunks']:.3f} s | {taken['chunks'] / taken['whole']:.2f} |",
        f"| their peak memory | {memory['whole']:.2f} GiB | {memory['chunks']:.2f} GiB "
        f"| {memory['chunks'] / memory['whole']:.2f} |",
    ]


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description="What only a GPU can say.")
    parser.add_argument("--tiny", action="store_true", help="on a CPU, to see that it runs")
    tiny = parser.parse_args().tiny
    if not tiny and not torch.cuda.is_available():
        print("bench_gpu: no GPU here; --tiny runs the same path on a CPU", file=sys.stderr)
        return 2
    sizes = Sizes.of(tiny)
    card = "a CPU" if tiny else torch.cuda.get_device_name(sizes.device)
    print(f"torch {torch.__version__}, {card}, median of {TURNS} turns")
    print("| | baseline | ours | ratio |\n| --- | --- | --- | --- |", flush=True)
    for part in (stacked_rows, pcgrad_rows, logprob_rows):
        for row in part(sizes):
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
