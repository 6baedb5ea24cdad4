"""Hands out missing samples to workers, writes down what comes back, and reports progress.

In: requests of workers for chunks, and their samples. Out: the sample store and ``progress.jsonl``.
A single engine calls it directly; several reach it through pipes (``workers.py``).
"""

from __future__ import annotations

import time

from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.evaluation.inputs import Inputs
from engines.evaluation.sample_store import Sample, SampleStore
from engines.evaluation.work_queue import Chunk, WorkQueue

SYNC_SECONDS = 5.0
"""Samples reach the operating system at once and the disk at this interval."""

PROGRESS_SECONDS = 2.0


class Coordinator:
    """The one place that knows which samples are missing and writes those that were made."""

    def __init__(self, inputs: Inputs, stop: Stop, progress: Progress) -> None:
        self.inputs, self.stop, self.progress = inputs, stop, progress
        self.store = SampleStore(inputs.out, inputs.models, inputs.items)
        self.queue = WorkQueue(inputs, self.store)
        self.tokens = 0
        """Tokens of responses since this process began."""
        self.began = self.last_sync = self.last_report = time.monotonic()

    @property
    def done(self) -> int:
        """Samples on disk."""
        return self.queue.done

    @property
    def total(self) -> int:
        """Samples that there will be in the end."""
        return self.queue.total

    def engine_started(self) -> None:
        """Measure speed from the first engine's start on, and listen to signals again: vLLM sets
        handlers of its own."""
        # Engines are ready at different times; once samples come, the clock is not set again.
        if not self.tokens:
            self.began = time.monotonic()
        self.stop.listen()

    def stop_requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self.stop.requested

    def take(self, limit: int, model: int | None = None) -> Chunk:
        """The next samples to make, as ``WorkQueue.take``; none after a request to stop."""
        return Chunk() if self.stop.requested else self.queue.take(limit, model)

    def add(self, sample: Sample) -> None:
        """Write down one sample."""
        self.store.add(sample)
        self.queue.finish(sample)
        self.tokens += sample.tokens
        # A sync for every sample would wait for the disk hundreds of times a second.
        now = time.monotonic()
        if now - self.last_sync > SYNC_SECONDS:
            self.store.sync()
            self.last_sync = now
        if now - self.last_report > PROGRESS_SECONDS:
            self.report_progress()

    def report_progress(self) -> None:
        """One line of progress: samples on disk, speed, and how long the rest takes at this
        speed."""
        self.last_report = time.monotonic()
        seconds = max(self.last_report - self.began, 1e-9)
        speed = self.tokens / seconds
        metrics = {"samples": float(self.done), "tokens_per_second": speed}
        # From tokens, not from the number of samples: the longest responses are made first.
        if speed > 0:
            metrics["seconds_left"] = self.queue.expected_tokens() / speed
        self.progress.write(self.done, self.total, metrics, "evaluate")

    def close(self) -> None:
        """Force all samples to the disk, and report a last time."""
        self.store.close()
        self.report_progress()
