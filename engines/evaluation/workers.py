"""Generation with all GPUs of the job: one worker process per group of GPUs.

In: the coordinator of this process. Out: its missing samples, made by one engine here or by several
in processes of their own, which reach the coordinator through pipes. ``__main__.py`` calls
``generate``.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, leave
from engines.evaluation.config import Config
from engines.evaluation.coordinator import Coordinator
from engines.evaluation.generation import Worker, context_length
from engines.evaluation.inputs import Model
from engines.evaluation.sample_store import Sample
from engines.evaluation.work_queue import Chunk

DEVICES = "CUDA_VISIBLE_DEVICES"
WorkerProgram = Callable[[Connection, Config, list[Model], int], None]
POLL_SECONDS = 0.5
"""How long a request to stop may wait until the workers hear of it."""


def gpu_groups(gpus_per_model: int) -> list[str | None]:
    """``CUDA_VISIBLE_DEVICES`` of each worker; one worker that sees what this process sees (None)
    on a CPU or if a model takes all GPUs.

    ConfigError if the GPUs cannot be divided so.
    """
    visible_devices = os.environ.get(DEVICES)
    # Slurm sets the variable for jobs that asked for
    # GPUs. Elsewhere torch counts those of the machine.
    if visible_devices is None:
        import torch

        devices = [str(index) for index in range(torch.cuda.device_count())]
    else:
        # Entries stay text: they may be numbers or names such as GPU-5ebe9f43 and MIG-a1b2.
        devices = [device for device in visible_devices.split(",") if device.strip()]
    if not devices or len(devices) == gpus_per_model:
        return [None]
    if len(devices) % gpus_per_model:
        raise ConfigError(
            f"gpus_per_model: {gpus_per_model} does not divide the {len(devices)} GPUs of this job"
        )
    firsts = range(0, len(devices), gpus_per_model)
    return [",".join(devices[first : first + gpus_per_model]) for first in firsts]


def generate(coordinator: Coordinator) -> int:
    """Make every missing sample; returns how many engines were started. Interrupted if a signal
    came first; what was made is on disk."""
    started = 0
    try:
        if coordinator.done < coordinator.total:
            inputs = coordinator.inputs
            groups = gpu_groups(inputs.config.gpus_per_model)
            started = len(groups)
            if len(groups) > 1:
                generate_in_processes(coordinator, groups)
            else:
                length = context_length(inputs)
                Worker(inputs.config, inputs.models, length, coordinator).run()
    finally:
        # After an error and a request to stop too: what was made is forced to the disk.
        coordinator.close()
    if coordinator.done < coordinator.total:
        raise Interrupted(f"{coordinator.done} of {coordinator.total} samples are on disk")
    return started


@contextlib.contextmanager
def visible(group: str | None) -> Iterator[None]:
    """A process started inside sees these GPUs only, from its first import on; None: what this
    process sees."""
    # CUDA reads the variable once, at the first use of a GPU, so it must be set before the start.
    before = os.environ.get(DEVICES)
    if group is not None:
        os.environ[DEVICES] = group
    try:
        yield
    finally:
        if before is not None:
            os.environ[DEVICES] = before
        else:
            os.environ.pop(DEVICES, None)


def run_worker(connection: Connection, config: Config, models: list[Model], length: int) -> None:
    """The program of a worker process. It ends when there are no samples to make, or when the pipe
    breaks."""
    ignore_signals()
    try:
        Worker(config, models, length, RemoteCoordinator(connection)).run()
    except ConfigError as error:
        # It is a line for the user and goes to the first process. Any other error leaves its
        # traceback in the log and a bad exit code.
        connection.send(error)
    # All samples went through the pipe, and the first process waits for the end of this one.
    leave(0)


def ignore_signals() -> None:
    """Leave signals to the first process, which passes a request to stop on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def generate_in_processes(
    coordinator: Coordinator, groups: Sequence[str | None], program: WorkerProgram = run_worker
) -> None:
    """Make the missing samples with one process per group; returns when all have ended. ConfigError
    as a process found it."""
    coordinator.queue.workers = len(groups)
    workers: dict[Connection, BaseProcess] = {}
    try:
        start_workers(coordinator, groups, program, workers)
        passed_on = False
        while workers:
            if coordinator.stop_requested() and not passed_on:
                passed_on = True
                for pipe in workers:
                    ask_to_stop(pipe)
            ready = wait(list(workers), timeout=POLL_SECONDS)
            # A copy: serving a worker that has ended takes it out of the table.
            for pipe in [pipe for pipe in workers if pipe in ready]:
                serve(coordinator, pipe, workers)
    finally:
        # Whoever still runs here was cut off by an error of another worker.
        for pipe, process in workers.items():
            process.kill()
            process.join()
            pipe.close()


def start_workers(
    coordinator: Coordinator,
    groups: Sequence[str | None],
    program: WorkerProgram,
    workers: dict[Connection, BaseProcess],
) -> None:
    """Start one process per group of GPUs and add it to ``workers``, by this end of its pipe."""
    inputs = coordinator.inputs
    # A fresh interpreter: a forked one could not use CUDA after this process has.
    context, length = multiprocessing.get_context("spawn"), context_length(inputs)
    for group in groups:
        ours, theirs = context.Pipe()
        process = context.Process(
            target=program, args=(theirs, inputs.config, list(inputs.models), length)
        )
        with visible(group):
            process.start()
        # The worker holds the only other end now, so the pipe breaks when it dies.
        theirs.close()
        workers[ours] = process


def ask_to_stop(pipe: Connection) -> None:
    """Ask one worker to stop; that it has just ended is noticed elsewhere."""
    with contextlib.suppress(BrokenPipeError):
        pipe.send("stop")


def serve(
    coordinator: Coordinator, pipe: Connection, workers: dict[Connection, BaseProcess]
) -> None:
    """Answer one message of a worker, or see that it has ended. RuntimeError if it died,
    ConfigError if it says so."""
    try:
        message = pipe.recv()
    except (EOFError, ConnectionResetError):
        # The pipe breaks when the worker ends, well or not: the exit code says which.
        process = workers.pop(pipe)
        process.join()
        pipe.close()
        if process.exitcode != 0:
            raise RuntimeError(
                f"a generating process died (exit code {process.exitcode}); its error stands above"
            ) from None
        return
    if isinstance(message, Sample):
        coordinator.add(message)
    elif isinstance(message, ChunkRequest):
        pipe.send(coordinator.take(message.limit, message.model))
    elif isinstance(message, ConfigError):
        raise message
    else:
        # The only other message: "ready".
        coordinator.engine_started()


@dataclass(frozen=True)
class ChunkRequest:
    """A worker asks for samples to make."""

    limit: int
    model: int | None


class RemoteCoordinator:
    """The coordinator as a worker process sees it: through a pipe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stopped = False

    def engine_started(self) -> None:
        """Say that the engine has started, which has set signal handlers of its own."""
        ignore_signals()
        self.connection.send("ready")

    def take(self, limit: int, model: int | None = None) -> Chunk:
        """Ask for samples to make. A request to stop may come before the answer."""
        self.connection.send(ChunkRequest(limit, model))
        while True:
            answer = self.connection.recv()
            # Whatever is no chunk is the request to stop; the answer still comes.
            if isinstance(answer, Chunk):
                return answer
            self.stopped = True

    def add(self, sample: Sample) -> None:
        """Hand in a sample."""
        self.connection.send(sample)

    def stop_requested(self) -> bool:
        """Whether the coordinator has asked to stop."""
        while self.connection.poll():
            self.connection.recv()
            self.stopped = True
        return self.stopped
