"""Answering questions about cities: our batched generation against vLLM on the same model and the
same prompts.

``python -m tests.benchmarks.bench_geography_evaluation [--questions N]``. The model has the
published size (six layers of 128) and fresh weights, so texts rarely end before the eighth token:
the worst case for both. The rounds run in turns; processor seconds (the process and its threads)
stand beside wall seconds, as on a shared machine only the first say something. Both sides use one
thread.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.geography_evaluation.answering import answer
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import initial
from engines.shared.geography.network.weights import read_model, write_model
from engines.shared.geography.questions.rows import Questions
from engines.shared.geography.questions.store import tokens
from engines.shared.geography.questions.written import read_written
from engines.shared.geography.tasks import NEW_TOKENS
from engines.shared.geography.vocabulary import PADDING
from tests.support.city_questions import drawn

ROUNDS = 5
TASKS = ("distance", "perimeter")
Round = Callable[[], list[Any]]


def ours(folder: Path, world: World, sets: list[Questions]) -> Round:
    """What the engine does: texts, batches, generation, reading."""
    from engines.contract.program import Stop

    shape, parameters = read_model(folder)
    return lambda: [answer(parameters, shape, world, one, Stop()) for one in sets]


def theirs(folder: Path, world: World, sets: list[Questions]) -> Round:
    """The same through vLLM, whose scheduler makes the batches; no prefix is cached between
    rounds."""
    from engines.shared.inference import Request, SamplerSettings, VllmSampler

    sampler = VllmSampler(
        folder,
        SamplerSettings(seed=0, max_model_len=128, max_sequences=512, threads=1, logprobs=False),
    )

    def one_round() -> list[Any]:
        sampler.llm.reset_prefix_cache()
        found = []
        for one in sets:
            table, _, first_answers = tokens(world, [one])
            requests = [
                Request(tuple(row[:length].tolist()), 1, 0, 0.0, NEW_TOKENS, logprobs=False)
                for row, length in zip(table, first_answers, strict=True)
            ]
            written = np.full((len(one), NEW_TOKENS), PADDING)
            for row, made in enumerate(sampler.generate(requests)):
                written[row, : len(made[0].token_ids)] = made[0].token_ids
            found.append(read_written(one.task, written))
        return found

    return one_round


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=1000, help="of each of two tasks")
    count = parser.parse_args().questions
    torch.set_num_threads(1)
    world = make_world(5000, 100, 0)
    sets = [drawn(world, task, count, 0) for task in TASKS]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        shape = Shape()
        write_model(folder, shape, initial(shape, [0], 0.1))
        spent: dict[str, list[tuple[float, float]]] = {}
        sides = {}
        for name, make in (("ours", ours), ("vLLM", theirs)):
            start = (time.process_time(), time.perf_counter())
            sides[name] = make(folder, world, sets)
            begun = (time.process_time() - start[0], time.perf_counter() - start[1])
            print(f"{name}: loaded in {begun[0]:.2f} CPU s, {begun[1]:.2f} s", flush=True)
        for number in range(ROUNDS + 1):
            found = {}
            for name, one_round in sides.items():
                start = (time.process_time(), time.perf_counter())
                found[name] = one_round()
                took = (time.process_time() - start[0], time.perf_counter() - start[1])
                # The first round warms up.
                if number:
                    spent.setdefault(name, []).append(took)
    same = [float((a == b).mean()) for a, b in zip(found["ours"], found["vLLM"], strict=True)]
    print(f"answers that are the same: {min(same):.4f}")
    for name, rounds in spent.items():
        cpu, wall = (statistics.median(column) for column in zip(*rounds, strict=True))
        rate = len(TASKS) * count / cpu
        print(f"{name}: {cpu:.2f} CPU s, {wall:.2f} s, {rate:.0f} questions per CPU second")
    ratios = [b[0] / a[0] for a, b in zip(spent["ours"], spent["vLLM"], strict=True)]
    print(
        f"vLLM / ours, CPU s: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
