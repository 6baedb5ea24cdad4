"""One program in one sandbox: started, talked to, watched, ended.

A program and its limits go in, what it printed and how it ended come out; ``execution.py`` says in
which kind of sandbox."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from engines.shared.sandbox import landlock, seccomp, supervisor
from engines.shared.sandbox.bubblewrap import ENVIRONMENT, SandboxError, command, limits
from engines.shared.sandbox.installation import as_user, interpreter, numpy_folders, readable
from engines.shared.sandbox.own_folder import own_folder

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
class Sandbox:
    """A program that was started."""

    process: subprocess.Popen[bytes]
    end: Callable[[], None]
    """Kills the program with all that it started; nothing if it has ended."""
    takes: Callable[[], str] | None
    """What it takes too much of; None where somebody else looks."""


@contextlib.contextmanager
def in_bubblewrap(memory_gb: int, cpu_seconds: int, complaints: IO[bytes]) -> Iterator[Sandbox]:
    """A program in bubblewrap."""
    bwrap, *arguments = command(memory_gb, cpu_seconds)
    with contextlib.ExitStack() as stack:
        rules = stack.enter_context(filter_pipe())
        given = [] if rules is None else ["--seccomp", str(rules)]
        process = started(
            [bwrap, *given, *arguments], complaints, "/", None, () if rules is None else (rules,)
        )
        stack.enter_context(process)

        def end() -> None:
            # The first process of a namespace takes all others with it, and bubblewrap waits for
            # it. Killed itself, bubblewrap would be gone before they are.
            for pid in supervisor.content(
                f"/proc/{process.pid}/task/{process.pid}/children"
            ).split():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(pid), 9)
                    return
            process.kill()

        def takes() -> str:
            below = list(supervisor.descendants(process.pid, 2 * supervisor.PROCESSES))
            if supervisor.takes_memory(below, memory_gb << 30):
                return "memory"
            return takes_files(below[0]) if below else ""

        try:
            yield Sandbox(process, end, takes)
        finally:
            if process.poll() is None:
                end()


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


@contextlib.contextmanager
def filter_pipe() -> Iterator[int | None]:
    """A descriptor from which bubblewrap reads what seccomp forbids; None without libseccomp."""
    rules = seccomp.filter_program("bubblewrap")
    if rules is None:
        yield None
        return
    reading, writing = os.pipe()
    try:
        # Far less than a pipe holds.
        os.write(writing, rules)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


@contextlib.contextmanager
def confined(memory_gb: int, cpu_seconds: int, complaints: IO[bytes]) -> Iterator[Sandbox]:
    """A program under a supervisor, which ends all that it started, also when this process is
    gone."""
    user = as_user()
    numpy = numpy_folders()
    processes = landlock.processes_of(os.geteuid() if user is None else user)
    setting = limits(memory_gb, cpu_seconds, processes, numpy[0] if numpy else "")
    # A pipe on which nothing is ever written. Only this process has the writing end, so that the
    # kernel closes it however this process ends, and the supervisor sees that at the other end.
    leash, held = os.pipe()
    hand = os.fdopen(held, "wb", 0)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(own_folder(user))
        stack.enter_context(hand)
        try:
            arguments = landlock.arguments(
                interpreter(), setting, [*readable(), *numpy], leash, memory_gb
            )
            process = started(
                arguments, complaints, folder, {**ENVIRONMENT, "TMPDIR": folder}, (leash,)
            )
        finally:
            os.close(leash)
        stack.enter_context(process)
        try:
            yield Sandbox(process, hand.close, None)
        finally:
            # Never killed: it is what ends the others, and as soon as it has the processor.
            hand.close()


def started(
    arguments: list[str] | tuple[str, ...],
    complaints: IO[bytes],
    folder: str,
    environment: dict[str, str] | None,
    descriptors: tuple[int, ...],
) -> subprocess.Popen[bytes]:
    """A process of the sandbox's user. SandboxError if there can be none now."""
    user = as_user()
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            bufsize=0,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=folder,
            env=environment,
            pass_fds=descriptors,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxError(f"the sandbox does not start here: {error}") from error


def run(
    kind: str,
    program: str,
    seconds: float,
    memory_gb: int,
    standard_input: bytes,
    output_bytes: int,
) -> Execution:
    """Run a Python program in a kind of sandbox; see ``execution.run_program``."""
    sandbox = in_bubblewrap if kind == "bubblewrap" else confined
    text = program.encode(errors="replace")
    with (
        tempfile.TemporaryFile() as complaints,
        sandbox(memory_gb, max(1, round(seconds)), complaints) as running,
    ):
        talk = Talk(running, b"%010d" % len(text) + text + standard_input)
        why = talk.go_on(len(STARTED) + output_bytes, WALL_FACTOR * seconds)
        if why:
            running.end()
            running.process.wait()
            talk.read_rest(len(STARTED) + output_bytes)
        exit_code = running.process.wait()
        if not talk.has_started:
            raise not_started(complaints, exit_code)
        took = why if why not in ("", "time") else supervisors_word(complaints)
        return Execution(bytes(talk.said[len(STARTED) :]), exit_code, why == "time", took)


class Talk:
    """What a program is given and what it says, without ever waiting for it."""

    def __init__(self, sandbox: Sandbox, given: bytes) -> None:
        process = sandbox.process
        assert process.stdin is not None
        assert process.stdout is not None
        self.sandbox = sandbox
        self.stdin, self.stdout = process.stdin, process.stdout
        self.left = memoryview(given)
        self.said = bytearray()
        self.poller = select.poll()
        os.set_blocking(self.stdin.fileno(), False)
        os.set_blocking(self.stdout.fileno(), False)
        self.poller.register(self.stdin, select.POLLOUT)
        self.poller.register(self.stdout, select.POLLIN)

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
            if descriptor == self.stdout.fileno():
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
        pause = 0.0002
        while self.sandbox.process.poll() is None:
            if time.monotonic() >= deadline:
                return "time"
            if self.sandbox.takes and pause >= LOOK_SECONDS and (why := self.sandbox.takes()):
                return why
            time.sleep(pause)
            pause = min(2 * pause, LOOK_SECONDS)
        return ""

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


def supervisors_word(complaints: IO[bytes]) -> str:
    """What the supervisor ended a program for; "" if it did not. No program can write there."""
    complaints.seek(0)
    _, found, reason = complaints.read(8000).rpartition(supervisor.SAYS)
    return reason.decode().strip() if found else ""
