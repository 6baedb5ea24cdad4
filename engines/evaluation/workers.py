"""Generation with all GPUs of the job: one process per group of them, all served from the desk of
this one through pipes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted
from engines.evaluation.config import Config
from engines.evaluation.generation import Worker, context_length
from engines.evaluation.sample_store import Desk, Model, Portion, Sample

DEVICES = "CUDA_VISIBLE_DEVICES"
Program = Callable[[Connection, Config, list[Model], int], None]
LOOK_SECONDS = 0.5
"""How long a signal to stop may wait until the processes are told."""


def gpu_groups(gpus_per_model: int) -> list[str | None]:
    """``CUDA_VISIBLE_DEVICES`` of each process; one process that sees what this one sees (None) on
    a CPU or if a model takes all GPUs.

    ConfigError if the GPUs cannot be divided so.
    """
    named = os.environ.get(DEVICES)
    if named is None:
        import torch

        devices = [str(index) for index in range(torch.cuda.device_count())]
    else:
        devices = [device for device in named.split(",") if device.strip()]
    if not devices or len(devices) == gpus_per_model:
        return [None]
    if len(devices) % gpus_per_model:
        raise ConfigError(
            f"gpus_per_model: {gpus_per_model} does not divide the {len(devices)} GPUs of this job"
        )
    return [
        ",".join(devices[first : first + gpus_per_model])
        for first in range(0, len(devices), gpus_per_model)
    ]


def generate(desk: Desk) -> int:
    """Make every missing sample; returns how many engines were started. Interrupted if a signal
    came first; what was made is on disk."""
    started = 0
    try:
        if desk.done < desk.total:
            groups = gpu_groups(desk.config.gpus_per_model)
            started = len(groups)
            if len(groups) > 1:
                generate_in_processes(desk, groups)
            else:
                Worker(desk.config, desk.models, context_length(desk), desk).run()
    finally:
        desk.close()
    if desk.done < desk.total:
        raise Interrupted(f"{desk.done} of {desk.total} samples are on disk")
    return started


@contextlib.contextmanager
def visible(group: str | None) -> Iterator[None]:
    """What is started meanwhile sees these GPUs only, from its first import on; None: what this
    process sees."""
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


def generate_in_processes(
    desk: Desk, groups: Sequence[str | None], program: Program | None = None
) -> None:
    """Make the missing samples with one process per group; returns when all have ended. ConfigError
    as a process found it.

    ``program`` is what a process runs: an engine, if nothing else is said.
    """
    context, length = multiprocessing.get_context("spawn"), context_length(desk)
    desk.processes = len(groups)
    live: dict[Connection, multiprocessing.process.BaseProcess] = {}
    try:
        for group in groups:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=program or work, args=(theirs, desk.config, list(desk.models), length)
            )
            with visible(group):
                process.start()
            theirs.close()
            live[ours] = process
        told = False
        while live:
            if desk.stopping() and not told:
                told = True
                for pipe in live:
                    tell(pipe)
            ready = wait(list(live), timeout=LOOK_SECONDS)
            for pipe in [pipe for pipe in live if pipe in ready]:
                serve(desk, pipe, live)
    finally:
        for pipe, left in live.items():
            left.kill()
            left.join()
            pipe.close()


def tell(pipe: Connection) -> None:
    """Ask one process to stop; one that has just ended is noticed elsewhere."""
    try:
        pipe.send("stop")
    except BrokenPipeError:
        return


def serve(
    desk: Desk, pipe: Connection, live: dict[Connection, multiprocessing.process.BaseProcess]
) -> None:
    """Answer one message of a process, or see that it has ended. RuntimeError if it died,
    ConfigError if it says so."""
    try:
        message = pipe.recv()
    except (EOFError, ConnectionResetError):
        process = live.pop(pipe)
        process.join()
        pipe.close()
        if process.exitcode != 0:
            raise RuntimeError(
                f"a generating process died (exit code {process.exitcode}); its error stands above"
            ) from None
        return
    if isinstance(message, Sample):
        desk.give(message)
    elif isinstance(message, Take):
        pipe.send(desk.take(message.count, message.model))
    elif isinstance(message, ConfigError):
        raise message
    else:
        desk.ready()


@dataclass(frozen=True)
class Take:
    """What a process asks for."""

    count: int
    model: int | None


class Pipe:
    """The desk as a process sees it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.stopped = False

    def ready(self) -> None:
        """Say that the engine has started, which sets signal handlers of its own."""
        ignore_signals()
        self.connection.send("ready")

    def take(self, count: int, model: int | None = None) -> Portion:
        """Ask for samples to make."""
        self.connection.send(Take(count, model))
        while True:
            answer = self.connection.recv()
            if isinstance(answer, Portion):
                return answer
            self.stopped = True

    def give(self, sample: Sample) -> None:
        """Hand in a sample."""
        self.connection.send(sample)

    def stopping(self) -> bool:
        """Whether the desk has said so."""
        while self.connection.poll():
            self.connection.recv()
            self.stopped = True
        return self.stopped


def ignore_signals() -> None:
    """The first process hears them and tells this one."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def work(connection: Connection, config: Config, models: list[Model], length: int) -> None:
    """The program of one process. It ends when the samples do, or when the pipe breaks."""
    ignore_signals()
    try:
        Worker(config, models, length, Pipe(connection)).run()
    except ConfigError as error:
        connection.send(error)
