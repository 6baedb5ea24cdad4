"""A sandbox of its own for each program: a fresh process of bubblewrap or of the supervisor, in it
a fresh Python.

The slow way (tens of milliseconds), with nothing in common between programs but this machine; what
judges is mostly ``warm.py``."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from engines.shared.sandbox import landlock, seccomp, supervisor
from engines.shared.sandbox.bubblewrap import (
    ENVIRONMENT,
    SandboxError,
    alone,
    command,
    limits,
    numpy_inside,
)
from engines.shared.sandbox.installation import as_user, numpy_folders
from engines.shared.sandbox.own_folder import own_folder
from engines.shared.sandbox.running import Asked, Execution, Sandbox, run, takes_of


def run_cold(kind: str, asked: Asked) -> Execution:
    """Run a program in a sandbox of its own; see ``execution.run_program``."""
    sandbox = in_bubblewrap if kind == "bubblewrap" else confined
    with tempfile.TemporaryFile() as complaints:
        return run(sandbox(asked, complaints), asked, f"{asked.prelude}\n{asked.program}")


@contextlib.contextmanager
def in_bubblewrap(asked: Asked, complaints: IO[bytes]) -> Iterator[Sandbox]:
    """A program in bubblewrap."""
    bwrap, *arguments = command()
    setting = limits(asked.memory_gb, asked.cpu_seconds, supervisor.PROCESSES, numpy_inside())
    with contextlib.ExitStack() as stack:
        rules = stack.enter_context(filter_pipe())
        given = [] if rules is None else ["--seccomp", str(rules)]
        process = started(
            [bwrap, *given, *arguments, alone(setting)],
            complaints,
            "/",
            None,
            () if rules is None else (rules,),
        )
        stack.enter_context(process)

        def end() -> None:
            end_namespace(process)

        def takes() -> str:
            return takes_of(process.pid, asked.memory_gb << 30)

        try:
            with watched(process, end, takes, complaints) as sandbox:
                yield sandbox
        finally:
            if process.poll() is None:
                end()


def end_namespace(process: subprocess.Popen[bytes]) -> None:
    """End all that is in a bubblewrap."""
    # The first process of a namespace takes all others with it, and bubblewrap waits for it. Killed
    # itself, bubblewrap would be gone before they are.
    for pid in supervisor.children(process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 9)
            return
    process.kill()


@contextlib.contextmanager
def watched(
    process: subprocess.Popen[bytes],
    end: Callable[[], object],
    takes: Callable[[], str] | None,
    complaints: IO[bytes],
) -> Iterator[Sandbox]:
    """A process as a sandbox that ends with it."""
    assert process.stdin is not None
    assert process.stdout is not None
    ended = os.pidfd_open(process.pid)

    def outcome() -> tuple[int, str]:
        code = process.wait()
        return code, supervisors_word(complaints)

    try:
        yield Sandbox(process.stdin, process.stdout, ended, end, takes, outcome, complaints)
    finally:
        os.close(ended)


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
def confined(asked: Asked, complaints: IO[bytes]) -> Iterator[Sandbox]:
    """A program under a supervisor, which ends all that it started, also when this process is
    gone."""
    user = as_user()
    numpy = numpy_folders()
    processes = landlock.processes_of(os.geteuid() if user is None else user)
    setting = limits(asked.memory_gb, asked.cpu_seconds, processes, numpy[0] if numpy else "")
    # A pipe on which nothing is ever written. Only this process has the writing end, so that the
    # kernel closes it however this process ends, and the supervisor sees that at the other end.
    leash, held = os.pipe()
    hand = os.fdopen(held, "wb", 0)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(own_folder(user))
        stack.enter_context(hand)
        try:
            process = started(
                landlock.arguments(alone(setting), leash, asked.memory_gb),
                complaints,
                folder,
                {**ENVIRONMENT, "TMPDIR": folder},
                (leash,),
            )
        finally:
            os.close(leash)
        stack.enter_context(process)
        try:
            with watched(process, hand.close, None, complaints) as sandbox:
                yield sandbox
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


def supervisors_word(complaints: IO[bytes]) -> str:
    """What the supervisor ended a program for; "" if it did not. No program can write there."""
    complaints.seek(0)
    _, found, reason = complaints.read(8000).rpartition(supervisor.SAYS)
    return reason.decode().strip() if found else ""
