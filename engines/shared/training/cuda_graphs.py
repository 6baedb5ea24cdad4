"""CUDA graphs: what of the training cannot be run without a GPU, and has not been run on one; so
there is little of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch


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


def record(work: Callable[[], None]) -> Callable[[], None]:
    """Record what ``work`` launches on the current stream, without running it; the result replays
    it. RuntimeError if it cannot be.

    What it allocates stays allocated for as long as the result lives.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
        work()
    replay: Callable[[], None] = graph.replay
    return replay
