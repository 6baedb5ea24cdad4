"""Training speed of the small sequence models: torch's fused kernels, a plain time loop, and five models stacked.

    python tests/benchmarks/bench_fsm.py

One thread. Seconds are CPU seconds of this process, so that other work on the machine disturbs little; tokens are those of all models.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from engines.automata import VOCABULARY, Architecture
from engines.automata.models import Model, Parameters, initial
from engines.fsm.optimizer import Flat

REPEATS = 5
SHAPES = ((64, 128), (8, 650))
"""Sequences and tokens: the shape of the streams, and the published batch of 8 whole sequences."""


def plain_logits(architecture: Architecture, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
    """One model, layer by layer within a loop over time in Python: (1, B, T) -> (1, B, T, outputs)."""
    own = {name: tensor[0] for name, tensor in parameters.items()}
    x = F.embedding(inputs[0], own["embedding"])
    hidden = [torch.zeros(len(x), architecture.width) for _ in range(architecture.layers)]
    cell, outputs = list(hidden), []
    weights = [torch.cat([own[f"{n}.weight_ih"], own[f"{n}.weight_hh"]], dim=1) for n in range(architecture.layers)]
    for now in x.unbind(1):
        for n in range(architecture.layers):
            gates = F.linear(torch.cat([now, hidden[n]], dim=1), weights[n], own[f"{n}.bias_ih"])
            if architecture.kind == "lstm":
                i, f, g, o = (gates + own[f"{n}.bias_hh"]).chunk(4, dim=1)
                cell[n] = f.sigmoid() * cell[n] + i.sigmoid() * g.tanh()
                hidden[n] = o.sigmoid() * cell[n].tanh()
            else:
                hidden[n] = gates.tanh()
            now = hidden[n]
        outputs.append(now)
    return F.linear(torch.stack(outputs, dim=1), own["head"]).unsqueeze(0)


def speed(architecture: Architecture, models: int, batch: int, longest: int,
          logits: Callable[[Parameters, torch.Tensor], torch.Tensor]) -> tuple[float, float]:
    """Tokens per CPU second of forward, backward and update, and CPU seconds of a step: medians after one warm-up."""
    torch.manual_seed(0)
    flat = Flat.of(initial(architecture, 5, list(range(models)), 1.0), torch.device("cpu"))
    inputs = torch.randint(0, VOCABULARY, (models, batch, longest))
    targets = torch.randint(0, 5, (models * batch * longest,))
    rates, taken = torch.full((models, 1), 1e-3), []
    for number in range(1, REPEATS + 2):
        started = time.process_time()
        loss = F.cross_entropy(logits(flat.named(), inputs).flatten(0, 2), targets)
        (gradient,) = torch.autograd.grad(loss, flat.values)
        flat.step(gradient, number, rates, 1.0, 0.0)
        taken.append(time.process_time() - started)
    seconds = statistics.median(taken[1:])
    return models * batch * longest / seconds, seconds


def main() -> int:
    """Print a table."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}, median of {REPEATS}")
    print("| model | batch x tokens | way | models | CPU s per step | tokens / CPU s |\n| --- | --- | --- | --- | --- | --- |")
    for name, architecture in (("LSTM 64 x 2", Architecture(kind="lstm", width=64)), ("RNN 64 x 2", Architecture(kind="rnn", width=64)),
                               ("transformer 64 x 2", Architecture(kind="transformer", width=64))):
        fused, stacked = Model(architecture, stacked=False), Model(architecture, stacked=True)
        cases: list[tuple[str, int, Callable[[Parameters, torch.Tensor], torch.Tensor]]] = [
            ("stacked", 1, stacked.logits), ("stacked", 5, stacked.logits)]
        if architecture.kind != "transformer":
            def loop(parameters: Parameters, inputs: torch.Tensor, architecture: Architecture = architecture) -> torch.Tensor:
                return plain_logits(architecture, parameters, inputs)

            cases = [("fused", 1, fused.logits), ("fused", 5, fused.logits), ("plain loop", 1, loop), ("stacked", 1, stacked.logits),
                     ("stacked", 5, stacked.logits)]
        for batch, longest in SHAPES:
            for way, models, logits in cases:
                tokens, seconds = speed(architecture, models, batch, longest, logits)
                print(f"| {name} | {batch} x {longest} | {way} | {models} | {seconds:.3f} | {tokens:,.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
