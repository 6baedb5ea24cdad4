"""One program in one sandbox: talked to, watched, ended.

A program and its limits go in, what it printed and how it ended come out. ``cold.py`` starts a
sandbox for each program, ``warm.py`` forks it in one that is there; ``execution.py`` says which."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

from engines.shared.sandbox import supervisor
from engines.shared.sandbox.bubblewrap import SandboxError

OUTPUT_BYTES = 1 << 20
"""More output than this ends a program; what it wrote until then is returned."""
STARTED = b"started\n"
"""The first thing on standard output: what comes before it is the sandbox's doing, what comes after
is the program's."""
WALL_FACTOR = 3
"""Wall time allowed, in CPU time allowed: a busy machine is slow, a program that sleeps is stopped
all the same."""
START_SECONDS = 30.0
"""How long a sandbox may take to start."""
CLOSED_SECONDS = 1.0
"""How long a program may go on when it has closed its output."""
LOOK_SECONDS = supervisor.LOOK_MILLISECONDS / 1e3
CHUNK = 1 << 16


@dataclass(frozen=True)
class Execution:
    """What a program did."""

    stdout: bytes
    exit_code: int
    timed_out: bool
    took: str = ""
    """What it took too much of and was ended for: "memory", "output", ...; "" if it was not."""

    @property
    def died(self) -> bool:
        """Whether it was killed, and nobody here did it: its own doing, or the machine's."""
        return not self.timed_out and not self.took and self.exit_code in (-9, 137)


@dataclass(frozen=True)
class Asked:
    """A program to run, and its limits; see ``execution.run_program``."""

    program: str
    seconds: float
    memory_gb: int
    standard_input: bytes
    output_bytes: int
    prelude: str
    """What runs before it, in the same names: ours, and the same for many programs."""

    @property
    def cpu_seconds(self) -> int:
        """What the kernel limits, which counts whole seconds."""
        return max(1, round(self.seconds))


@dataclass(frozen=True)
class Sandbox:
    """A program that was started."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    ended: int
    """A descriptor that can be read as soon as it has ended."""
    end: Callable[[], object]
    """Kills the program with all that it started; nothing if it has ended."""
    takes: Callable[[], str] | None
    """What it takes too much of; None where somebody else looks."""
    outcome: Callable[[], tuple[int, str]]
    """Waits for its end: the exit code, and what the one who looks ended it for."""
    complaints: IO[bytes]
    """Where it is written why it does not start."""


def takes_files(first: int) -> str:
    """Whether the first process of a namespace has too many files in its memory file systems, whose
    size counts their bytes alone; "" if not."""
    count = 0
    for place in ("tmp", "dev/shm"):
        # It may end while we look.
        with contextlib.suppress(OSError):
            found = os.statvfs(f"/proc/{first}/root/{place}")
            count += found.f_files - found.f_ffree
    return "files" if count > supervisor.FOLDER_FILES else ""


def takes_of(above: int, memory_bytes: int) -> str:
    """What the processes below one take too much of in bubblewrap; the first of them is that of a
    namespace."""
    below = list(supervisor.descendants(above, 2 * supervisor.PROCESSES))
    if supervisor.takes_memory(below, memory_bytes):
        return "memory"
    return takes_files(below[0]) if below else ""


def run(sandbox: AbstractContextManager[Sandbox], asked: Asked, text: str) -> Execution:
    """Run a Python program in a sandbox; ``text`` is the whole of it, as the sandbox is told.
    SandboxError if it did not start."""
    data = text.encode(errors="replace")
    most = len(STARTED) + asked.output_bytes
    with sandbox as running:
        talk = Talk(running, b"%010d" % len(data) + data + asked.standard_input)
        why = talk.go_on(most, WALL_FACTOR * asked.seconds)
        if why:
            running.end()
        exit_code, word = running.outcome()
        if why:
            talk.read_rest(most)
        if not talk.has_started:
            raise not_started(running.complaints, exit_code)
        took = why if why not in ("", "time") else word
        return Execution(bytes(talk.said[len(STARTED) :]), exit_code, why == "time", took)


class Talk:
    """What a program is given and what it says, without ever waiting for it."""

    def __init__(self, sandbox: Sandbox, given: bytes) -> None:
        self.sandbox = sandbox
        self.stdin, self.stdout = sandbox.stdin, sandbox.stdout
        self.left = memoryview(given)
        self.said = bytearray()
        self.poller = select.poll()
        os.set_blocking(self.stdin.fileno(), False)
        os.set_blocking(self.stdout.fileno(), False)
        self.poller.register(self.stdin, select.POLLOUT)
        self.poller.register(self.stdout, select.POLLIN)
        self.poller.register(sandbox.ended, select.POLLIN)
        self.end_poller = select.poll()
        self.end_poller.register(sandbox.ended, select.POLLIN)

    @property
    def has_started(self) -> bool:
        """Whether the sandbox is there; what comes now is the program's."""
        return self.said.startswith(STARTED)

    def go_on(self, most: int, seconds: float) -> str:
        """Talk until the program has ended, and return ""; or until it has to be ended, and return
        why: "time" (``seconds`` from its start), "output" (more than ``most`` bytes), or what it
        takes too much of."""
        counted = False
        deadline = time.monotonic() + START_SECONDS
        next_look = time.monotonic() + LOOK_SECONDS
        while True:
            if not counted and self.has_started:
                # A busy machine starts slowly: that is not the program's time.
                counted = True
                deadline = time.monotonic() + seconds
            now = time.monotonic()
            if now >= deadline:
                return "time"
            # Before it has started it is bubblewrap that is looked at, and the machine's own files.
            takes = self.sandbox.takes if counted else None
            until = min(deadline, next_look) if takes else deadline
            if not self.turn(until - now):
                return self.see_out(min(deadline, time.monotonic() + CLOSED_SECONDS))
            if len(self.said) > most:
                del self.said[most:]
                return "output"
            if takes and time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_SECONDS
                if why := takes():
                    return why

    def turn(self, seconds: float) -> bool:
        """Give and take what can be now, waiting so long at most; False if it has closed its
        output."""
        # Rounded up: a wait of less than a millisecond would be none.
        for descriptor, _ in self.poller.poll(max(0, int(seconds * 1e3) + 1)):
            if descriptor == self.sandbox.ended:
                # What it had started has ended too, or now does: no more output then.
                self.poller.unregister(descriptor)
                self.sandbox.end()
            elif descriptor == self.stdout.fileno():
                part = os.read(descriptor, CHUNK)
                if not part:
                    return False
                self.said += part
            else:
                self.give()
        return True

    def give(self) -> None:
        """Write what the pipe takes. A program may end without reading; its output then says
        why."""
        try:
            self.left = self.left[os.write(self.stdin.fileno(), self.left[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            self.left = self.left[:0]
        if not self.left:
            self.poller.unregister(self.stdin)
            self.stdin.close()

    def see_out(self, deadline: float) -> str:
        """Wait for the end of a program that has closed its output; as ``go_on``."""
        while True:
            left = deadline - time.monotonic()
            wait = min(LOOK_SECONDS, left) if self.sandbox.takes else left
            if self.end_poller.poll(max(0, int(wait * 1e3) + 1)):
                return ""
            if left <= 0:
                return "time"
            if self.sandbox.takes and (why := self.sandbox.takes()):
                return why

    def read_rest(self, most: int) -> None:
        """What is still in the pipe when all that could write to it has ended."""
        with contextlib.suppress(BlockingIOError):
            while len(self.said) < most and (part := os.read(self.stdout.fileno(), CHUNK)):
                self.said += part
        del self.said[most:]


def not_started(complaints: IO[bytes], exit_code: int) -> SandboxError:
    """Why a sandbox did not start: the last line of what it complained of."""
    complaints.seek(0)
    lines = complaints.read(8000).decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {exit_code}"
    return SandboxError(f"the sandbox does not start here: {reason[:200]}")
