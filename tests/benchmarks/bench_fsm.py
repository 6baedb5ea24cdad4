"""Training speed of the small sequence models: five seeds as processes and stacked, against torch's
own modules and a loop over time.

    python -m tests.benchmarks.bench_fsm [--shape BATCHxTOKENS] [--models lstm,rnn,rnn-deep,transformer]

One thread a process. Seconds are CPU seconds of a step, of all processes that take part, so that
other work on the machine disturbs little; tokens are those of all models. ``nn`` is torch.nn.LSTM
(RNN, TransformerEncoder) with torch.optim.AdamW as a tutorial writes it; its transformer adds
learned positions where ours rotates. The deep RNN (256 x 8) is measured for one seed only: nobody
stacks five.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from engines.shared.automata.description import VOCABULARY, Architecture
from engines.shared.automata.models import Model, Parameters, initial
from engines.shared.training.optimizer import Flat, Pace

REPEATS = 5
SEEDS = 5
SHAPE = "8x650"
"""Sequences and tokens: the published batch of 8 whole sequences."""
MODELS = {
    "lstm": Architecture(kind="lstm", width=64),
    "rnn": Architecture(kind="rnn", width=64),
    "rnn-deep": Architecture(kind="rnn", width=256, layers=8),
    "transformer": Architecture(kind="transformer", width=64),
}


def plain_logits(
    architecture: Architecture, parameters: Parameters, inputs: torch.Tensor
) -> torch.Tensor:
    """One model, layer by layer within a loop over time in Python: (1, B, T) -> (1, B, T,
    outputs)."""
    own = {name: tensor[0] for name, tensor in parameters.items()}
    x = F.embedding(inputs[0], own["embedding"])
    hidden = [torch.zeros(len(x), architecture.width) for _ in range(architecture.layers)]
    cell, outputs = list(hidden), []
    weights = [
        torch.cat([own[f"{n}.weight_ih"], own[f"{n}.weight_hh"]], dim=1)
        for n in range(architecture.layers)
    ]
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


def speed(
    architecture: Architecture,
    models: int,
    batch: int,
    longest: int,
    logits: Callable[[Parameters, torch.Tensor], torch.Tensor],
) -> tuple[float, float]:
    """Tokens per CPU second of forward, backward and update, and CPU seconds of a step: medians
    after one warm-up."""
    torch.manual_seed(0)
    flat = Flat.of(initial(architecture, 5, list(range(models)), 1.0), torch.device("cpu"))
    inputs = torch.randint(0, VOCABULARY, (models, batch, longest))
    targets = torch.randint(0, 5, (models * batch * longest,))
    rates, pace, taken = torch.full((models, 1), 1e-3), Pace.of(models, torch.device("cpu")), []
    for number in range(1, REPEATS + 2):
        started = time.process_time()
        loss = F.cross_entropy(logits(flat.named(), inputs).flatten(0, 2), targets)
        (gradient,) = torch.autograd.grad(loss, flat.values)
        pace.set(rates, 1.0, number)
        flat.step(gradient, pace, 1.0, 0.0)
        taken.append(time.process_time() - started)
    seconds = statistics.median(taken[1:])
    return models * batch * longest / seconds, seconds


class Tutorial(torch.nn.Module):  # type: ignore[misc]  # torch is not followed
    """The same model from torch's own modules."""

    def __init__(self, architecture: Architecture, longest: int) -> None:
        super().__init__()
        width, layers = architecture.width, architecture.layers
        self.embedding = torch.nn.Embedding(VOCABULARY, width)
        self.attends = architecture.kind == "transformer"
        if self.attends:
            self.position = torch.nn.Parameter(torch.zeros(longest, width))
            layer = torch.nn.TransformerEncoderLayer(
                width,
                architecture.heads,
                architecture.feed_forward,
                0.0,
                "gelu",
                batch_first=True,
                norm_first=True,
            )
            self.body: torch.nn.Module = torch.nn.TransformerEncoder(
                layer, layers, torch.nn.LayerNorm(width), enable_nested_tensor=False
            )
            self.register_buffer(
                "mask", torch.nn.Transformer.generate_square_subsequent_mask(longest)
            )
        else:
            self.body = (torch.nn.LSTM if architecture.kind == "lstm" else torch.nn.RNN)(
                width, width, layers, batch_first=True
            )
        self.head = torch.nn.Linear(width, 5, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, T) -> (B, T, 5)."""
        x = self.embedding(inputs)
        x = (
            self.body(x + self.position, mask=self.mask, is_causal=True)
            if self.attends
            else self.body(x)[0]
        )
        output: torch.Tensor = self.head(x)
        return output


def tutorial(architecture: Architecture, batch: int, longest: int) -> tuple[float, float]:
    """Tokens per CPU second and CPU seconds of a step of torch's modules and optimizer."""
    torch.manual_seed(0)
    model = Tutorial(architecture, longest)
    optimizer, taken = torch.optim.AdamW(model.parameters(), lr=1e-3), []
    inputs, targets = (
        torch.randint(0, VOCABULARY, (batch, longest)),
        torch.randint(0, 5, (batch * longest,)),
    )
    for _ in range(REPEATS + 1):
        started = time.process_time()
        optimizer.zero_grad()
        F.cross_entropy(model(inputs).flatten(0, 1), targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        taken.append(time.process_time() - started)
    seconds = statistics.median(taken[1:])
    return batch * longest / seconds, seconds


def one_seed(architecture: Architecture, batch: int, longest: int) -> float:
    """CPU seconds of a step of one seed by the fused kernels; what each of several processes
    does."""
    torch.set_num_threads(1)
    return speed(architecture, 1, batch, longest, Model(architecture, stacked=False).logits)[1]


def processes(architecture: Architecture, batch: int, longest: int) -> tuple[float, float]:
    """Tokens per CPU second and CPU seconds of a round in which each of ``SEEDS`` processes takes a
    step; as many at once as cores."""
    with multiprocessing.get_context("spawn").Pool(
        min(SEEDS, len(os.sched_getaffinity(0)))
    ) as pool:
        seconds = sum(pool.starmap(one_seed, [(architecture, batch, longest)] * SEEDS, chunksize=1))
    return SEEDS * batch * longest / seconds, seconds


def ways(
    architecture: Architecture, batch: int, longest: int
) -> list[tuple[str, int, Callable[[], tuple[float, float]]]]:
    """Name, number of models and measurement of each way to train this architecture."""
    fused, stacked = Model(architecture, stacked=False), Model(architecture, stacked=True)

    def measured(
        models: int, logits: Callable[[Parameters, torch.Tensor], torch.Tensor]
    ) -> Callable[[], tuple[float, float]]:
        return lambda: speed(architecture, models, batch, longest, logits)

    plain: list[tuple[str, int, Callable[[], tuple[float, float]]]] = [
        ("nn", 1, lambda: tutorial(architecture, batch, longest))
    ]
    together: list[tuple[str, int, Callable[[], tuple[float, float]]]] = [
        ("stacked", 1, measured(1, stacked.logits)),
        ("stacked", SEEDS, measured(SEEDS, stacked.logits)),
        ("processes", SEEDS, lambda: processes(architecture, batch, longest)),
    ]
    if architecture.kind == "transformer":
        return plain + together
    plain += [
        (
            "loop over time",
            1,
            measured(1, lambda parameters, inputs: plain_logits(architecture, parameters, inputs)),
        ),
        ("fused", 1, measured(1, fused.logits)),
    ]
    if architecture.layers > 2:
        return [*plain, ("stacked", 1, measured(1, stacked.logits))]
    return [*plain, ("fused", SEEDS, measured(SEEDS, fused.logits)), *together]


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description="Training speed of small sequence models, one thread a process."
    )
    parser.add_argument("--shape", default=SHAPE, help=f"sequences x tokens; {SHAPE} if not given")
    parser.add_argument("--models", default=",".join(MODELS), help=f"which of {', '.join(MODELS)}")
    chosen = parser.parse_args()
    batch, longest = map(int, chosen.shape.split("x"))
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, load "
        f"{os.getloadavg()[0]:.1f}, median of {REPEATS}"
    )
    print(
        "| model | batch x tokens | way | models | CPU s per step | tokens / CPU s |\n| "
        "--- | --- | --- | --- | --- | --- |",
        flush=True,
    )
    for name in chosen.models.split(","):
        size = f"{MODELS[name].kind} {MODELS[name].width} x {MODELS[name].layers}"
        for way, models, measure in ways(MODELS[name], batch, longest):
            tokens, seconds = measure()
            print(
                f"| {size} | {batch} x {longest} | {way} | {models} | {seconds:.3f} | "
                f"{tokens:,.0f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
