"""Processes that score, and can be killed. One item that hangs, crashes or fills its memory costs
that item."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType

from engines.shared.data.problems import Problem
from engines.shared.sandbox.bubblewrap import SandboxError
from engines.shared.sandbox.execution import chosen
from engines.shared.scoring import own
from engines.shared.scoring.own import OwnScorer
from engines.shared.scoring.registry import IN_PROCESS, IN_SANDBOX, Version, judged_by, score
from engines.shared.scoring.verdict import Verdict

START_SECONDS = 30.0
"""The first item of a process waits for its imports too."""
OWN_START_SECONDS = 120.0
"""The same where users' modules are imported, which may want torch."""
END_SECONDS = 2.0
"""How long a process that has closed its pipe may take to end by itself, and so say how."""
SANDBOX_SECONDS = 300.0
"""Programs have limits of their own, which make a verdict; this one is for a sandbox that hangs."""


def work(
    connection: Connection, version: Version, scorers: Mapping[str, OwnScorer], any_number: bool
) -> None:
    """The loop of one worker: an item in, a verdict out, until the pipe closes."""
    # Where memory runs out the kernel ends this process, which costs one verdict, and not the model
    # or the job. Not everywhere is there such a file.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    if scorers:
        # A group of its own, so that what a user's function starts can be killed with it.
        os.setpgid(0, 0)
        own.silence()
    while True:
        try:
            problem, text = connection.recv()
        except EOFError:
            return
        try:
            scorer = scorers.get(judged_by(problem))
            if scorer is None:
                verdict = score(problem, text, version)
            else:
                # Its time begins when its module is there, which may take longer than a verdict.
                own.load(scorer)
                connection.send(None)
                verdict = own.judge(scorer, problem, text, any_number)
        # a third-party parser may raise anything: told in this item's verdict, which has no score
        except Exception as error:
            verdict = Verdict(None, "error", detail=f"{type(error).__name__}: {error}"[:300])
        connection.send(verdict)


@dataclass
class Worker:
    """One process and the item it has."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    index: int = -1
    scorer: str = ""
    seconds: float = 0.0
    deadline: float = 0.0


def how_it_ended(exit_code: int | None) -> str:
    """How the process of a scorer ended, to be put behind the scorer's name; None: not yet."""
    if exit_code is None:
        return " closed the pipe of its process"
    if exit_code >= 0:
        return f" ended its process (exit code {exit_code})"
    names = {int(one): one.name for one in signal.Signals}
    name = names.get(-exit_code, f"signal {-exit_code}")
    memory = ", as the kernel does where memory is full" if name == "SIGKILL" else ""
    return f": its process was ended by {name}{memory}"


class ScoringPool:
    """A pool of ``workers`` processes with ``seconds`` per item that runs no program. Processes
    start when the first item needs one. ``scorers`` are the users' own, by name; with
    ``any_number`` they may return any finite one, as rewards of a training."""

    def __init__(
        self,
        workers: int,
        seconds: float,
        version: Version = "strict",
        scorers: Mapping[str, OwnScorer] | None = None,
        any_number: bool = False,
    ) -> None:
        if workers < 1 or seconds <= 0:
            raise ValueError(
                f"a scoring pool needs a worker and time, got workers={workers}, seconds={seconds}"
            )
        self.limit = workers
        self.seconds = seconds
        self.version = version
        self.scorers = dict(scorers or {})
        self.any_number = any_number
        self.start_seconds = OWN_START_SECONDS if self.scorers else START_SECONDS
        self.workers: list[Worker] = []
        # A fresh interpreter: a fork of a process that holds vLLM or Ray would inherit their
        # threads' locks.
        self.context = multiprocessing.get_context("spawn")

    def __enter__(self) -> ScoringPool:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill what is left."""
        while self.workers:
            self.end(self.workers[-1])

    def start(self) -> Worker:
        """A new process."""
        ours, theirs = self.context.Pipe()
        arguments = (theirs, self.version, self.scorers, self.any_number)
        process = self.context.Process(target=work, args=arguments, daemon=False)
        process.start()
        # Our copy of the worker's end: while it is open, a dead worker gives no end of file.
        theirs.close()
        worker = Worker(process, ours)
        self.workers.append(worker)
        return worker

    def end(self, worker: Worker) -> None:
        """Kill a process and forget it."""
        worker.connection.close()
        if self.scorers and worker.process.pid is not None:
            # It may not have made its group yet, or have ended with all that was in it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.kill()
        worker.process.join()
        self.workers.remove(worker)

    def score_many(self, items: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Verdicts in the order of the items."""
        verdicts: list[Verdict | None] = [None] * len(items)
        todo: list[int] = []
        for index, (problem, text) in enumerate(items):
            if judged_by(problem) in IN_PROCESS:
                verdicts[index] = score(problem, text, self.version)
            else:
                todo.append(index)
        # Items are taken from the end.
        todo.reverse()
        if any(judged_by(items[index][0]) in IN_SANDBOX for index in todo):
            with contextlib.suppress(SandboxError):  # each item is told so
                chosen()  # here, once: the processes that score inherit it
        busy: list[Worker] = []
        while todo or busy:
            while todo and len(busy) < self.limit:
                idle = [worker for worker in self.workers if worker not in busy]
                worker = idle[0] if idle else self.start()
                worker.index = todo.pop()
                worker.scorer = judged_by(items[worker.index][0])
                worker.seconds = SANDBOX_SECONDS if worker.scorer in IN_SANDBOX else self.seconds
                worker.deadline = (
                    time.monotonic() + worker.seconds + (0.0 if idle else self.start_seconds)
                )
                worker.connection.send(items[worker.index])
                busy.append(worker)
            for worker, verdict in self.finished(busy):
                verdicts[worker.index] = verdict
                busy.remove(worker)
        return [verdict for verdict in verdicts if verdict is not None]

    def finished(self, busy: list[Worker]) -> list[tuple[Worker, Verdict]]:
        """Wait for the next verdicts; a worker that died or is over its time is replaced, and its
        item says so."""
        # Until somebody answers or the first deadline passes.
        pause = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
        ready = wait([worker.connection for worker in busy], timeout=pause)
        found = []
        for worker in list(busy):
            # An answer counts even if its deadline has passed meanwhile.
            if worker.connection in ready:
                try:
                    verdict = worker.connection.recv()
                    if verdict is None:
                        worker.deadline = time.monotonic() + worker.seconds
                    else:
                        found.append((worker, verdict))
                except (EOFError, ConnectionResetError):
                    # Before it is killed: its own exit code says more.
                    worker.process.join(END_SECONDS)
                    ended = how_it_ended(worker.process.exitcode)
                    self.end(worker)
                    detail = f"{worker.scorer}{ended}"
                    found.append((worker, Verdict(None, "error", detail=detail)))
            elif time.monotonic() >= worker.deadline:
                self.end(worker)
                found.append(
                    (
                        worker,
                        Verdict(None, "timeout", detail=f"no verdict within {worker.seconds:g} s"),
                    )
                )
        return found
