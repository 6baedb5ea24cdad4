"""CUDA graphs: a step that is launched once kernel by kernel, recorded and replayed.

``own_stream`` and ``record`` cannot be run without a GPU, and have not been run on one; so there is
little of them. ``RepeatedStep`` is tested with a recording of another kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

PLAIN_STEPS = 3
"""Whole steps before the recording, in which libraries set themselves up and load their kernels;
they count like any other step."""

Work = Callable[[], None]
Record = Callable[[Work], Work]
"""Takes down what a piece of work does on the device, without doing it, and returns how to do it
again; RuntimeError if it cannot."""


def own_stream(device: torch.device) -> AbstractContextManager[object]:
    """Work within this goes to a stream of its own on a GPU, as a recording demands, once what was
    asked of the GPU before is done."""
    if device.type != "cuda":
        return nullcontext()
    # torch refuses to record on the default stream.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    within: AbstractContextManager[object] = torch.cuda.stream(stream)
    return within


def record(work: Work) -> Work:
    """Record what ``work`` launches on the current stream, without running it; the result replays
    it. RuntimeError if it cannot be.

    What it allocates stays allocated for as long as the result lives.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        work()
    replay: Work = graph.replay
    return replay


class RepeatedStep:
    """A step of one shape, taken again and again over tensors that stay where they are: plain at
    first, then recorded once and replayed. What cannot be recorded goes on plainly."""

    def __init__(self, record: Record | None, program: str) -> None:
        self.record, self.program = record, program
        self.replay: Work | None = None
        self.plain_left = PLAIN_STEPS

    def take(self, work: Work) -> None:
        """Do ``work``, the same at every call, or replay what it does."""
        # Recording does not run the step; the replay below does.
        if self.record is not None and self.replay is None and self.plain_left == 0:
            try:
                self.replay = self.record(work)
            except RuntimeError as error:
                self.record = None
                print(
                    f"{self.program}: goes on without a CUDA graph, the step could not be "
                    f"recorded: {' '.join(str(error).split())[:300]}",
                    file=sys.stderr,
                )
        self.plain_left = max(0, self.plain_left - 1)
        (self.replay or work)()
