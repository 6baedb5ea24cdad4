"""Model-written code runs here and nowhere else: no network, no files, limited time, memory and
processes.

Three kinds, found out once per job and said in its results: ``bubblewrap``; where it does not work
``landlock`` (with seccomp, rlimits and a supervisor, ``engines.shared.sandbox.landlock``); and only
if the config allows it ``limits``: what of the second this kernel has.

Of the machine only ``/usr`` and the Python installation can be read. In bubblewrap ``/tmp`` and
``/dev/shm`` are empty memory file systems of 64 MiB; else an empty folder of a program's own is all
that can be written. The sandbox dies with its parent, with all it has started.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from engines.contract.config import ConfigError
from engines.shared.sandbox import landlock
from engines.shared.sandbox.bubblewrap import (
    ENVIRONMENT,
    SandboxError,
    command,
    interpreter,
    limits,
    numpy_folders,
    readable,
)
from engines.shared.sandbox.bubblewrap import program as bubblewrap_program

NOBODY = 65534


KINDS = ("bubblewrap", "landlock", "limits")


CHOICE = "ORCH_SANDBOX"
"""The environment variable with the kind that was chosen, for the processes that score; one may
also set it to try no other."""


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


@dataclass(frozen=True)
class Execution:
    """What a program did."""

    stdout: bytes
    exit_code: int
    timed_out: bool


@contextlib.contextmanager
def in_bubblewrap(
    memory_gb: int, cpu_seconds: int, complaints: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], None]]]:
    """A process of bubblewrap, and what ends it with all that it started."""
    user = as_user()
    with subprocess.Popen(
        command(memory_gb, cpu_seconds),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
    ) as process:
        yield process, process.kill


@contextlib.contextmanager
def confined(
    memory_gb: int, cpu_seconds: int, complaints: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], None]]]:
    """A supervisor with its program, and what makes it end all; it does the same when this process
    is gone."""
    user = as_user()
    numpy = numpy_folders()
    # The supervisor puts the number in the place of PROCESSES.
    setting = limits(memory_gb, cpu_seconds, "PROCESSES", numpy[0] if numpy else "")
    # A pipe on which nothing is ever written. Only this process has the writing end, so that the
    # kernel closes it however this process ends, and the supervisor sees that at the other end.
    leash, held = os.pipe()
    hand = os.fdopen(held, "wb", 0)
    with tempfile.TemporaryDirectory(prefix="program-") as folder, hand:
        if user is not None:
            os.chown(folder, user, user)
        arguments = landlock.arguments(
            interpreter(),
            setting,
            [*readable(), *numpy],
            leash,
            os.geteuid() if user is None else user,
        )
        with subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd=folder,
            env={**ENVIRONMENT, "TMPDIR": folder},
            pass_fds=(leash,),
            start_new_session=True,
        ) as process:
            os.close(leash)
            yield process, hand.close
            hand.close()


def as_user() -> int | None:
    """Whose a program is: limits on processes do not hold for root, so root's run as nobody; else
    our own (None)."""
    return NOBODY if os.geteuid() == 0 else None


def run_program(
    program: str,
    seconds: float,
    memory_gb: int = 4,
    standard_input: bytes = b"",
    output_bytes: int = OUTPUT_BYTES,
) -> Execution:
    """Run a Python program. CPU time is limited to ``seconds``, wall time to ``WALL_FACTOR`` times
    that. SandboxError if it did not start.

    Output beyond ``output_bytes`` ends the program; what it wrote until then is returned.
    """
    sandbox = in_bubblewrap if chosen() == "bubblewrap" else confined
    text = program.encode(errors="replace")
    with (
        tempfile.TemporaryFile() as complaints,
        sandbox(memory_gb, max(1, round(seconds)), complaints) as (process, end),
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        given = b"%010d" % len(text) + text + standard_input
        # In a thread: otherwise both sides may wait for each other, each at a full pipe.
        feeder = threading.Thread(target=feed, args=(process.stdin, given), daemon=True)
        feeder.start()
        # A busy machine starts slowly: that is not the program's time.
        select.select([process.stdout], [], [], START_SECONDS)
        reader = read_at_most(process.stdout, len(STARTED) + output_bytes)
        process.stdout.close()
        timed_out = False
        try:
            stdout, _ = reader.communicate(timeout=WALL_FACTOR * seconds)
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            timed_out = True
            end()
            stdout, _ = reader.communicate()
        process.wait()
        feeder.join()
        if not stdout.startswith(STARTED):
            raise not_started(complaints, process.returncode)
        return Execution(stdout[len(STARTED) :], process.returncode, timed_out)


def read_at_most(pipe: IO[bytes], size: int) -> subprocess.Popen[bytes]:
    """A process that hands on so many bytes. `head` ends the pipe after the limit, so endless
    output cannot fill our memory; the writer then dies of SIGPIPE."""
    command = ["head", "-c", str(size)]
    return subprocess.Popen(command, stdin=pipe, stdout=subprocess.PIPE)


def not_started(complaints: IO[bytes], exit_code: int) -> SandboxError:
    """Why a sandbox did not start: the last line of what it complained of."""
    complaints.seek(0)
    lines = complaints.read(8000).decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {exit_code}"
    return SandboxError(f"the sandbox does not start here: {reason[:200]}")


def feed(pipe: IO[bytes], data: bytes) -> None:
    """Write to a program that may end without reading; its output then says why."""
    try:
        pipe.write(data)
        pipe.close()
    except OSError:
        with contextlib.suppress(OSError):
            pipe.close()


# 192.0.2.1 is an address for documentation, which no host has: a time-out says that packets leave
# the machine, an error at once that there is no way out.
PROBE = """
import os, socket
found = []
for path in ("/home", "/var", "/proc"):
    try:
        names = os.listdir(path)
        if path == "/proc":
            names = [name for name in names if name.isdigit() and int(name) != os.getpid()]
        if names:
            found.append(path)
    except OSError:
        pass
try:
    open("/etc/passwd")
    found.append("/etc/passwd")
except OSError:
    pass
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
    found.append("network")
except TimeoutError:
    found.append("network")
except OSError:
    pass
try:
    if os.getppid():
        os.kill(os.getppid(), 0)
        found.append("other processes")
except OSError:
    pass
try:
    open("/usr/written", "w")
    found.append("/usr for writing")
except OSError:
    pass
with open("own", "w") as file:
    file.write("x")
os.write(1, repr(found).encode())
os._exit(0)
"""
"""Prints the list of what it reaches and must not."""


MANY = """
import os, time
try:
    for _ in range(64):
        if os.fork() == 0:
            time.sleep(60)
    time.sleep(2)
    os.write(1, b"any number of processes")
except OSError:
    os._exit(0)
os._exit(0)
"""
"""Says so if it may have many processes; where it may not, it cannot make them or is killed for
them."""


def reached(kind: str) -> str | None:
    """What a program can do in this kind of sandbox that it must not; None if it holds.
    SandboxError if it does not start."""
    if kind == "landlock" and (trouble := landlock.trouble()):
        raise SandboxError(trouble)
    execution = run_program(PROBE, seconds=5)
    if execution.stdout != b"[]" and kind != "limits":
        return (
            f"a program reaches {execution.stdout[-200:].decode(errors='replace')}, exit code "
            f"{execution.exit_code}"
        )
    return run_program(MANY, seconds=5).stdout.decode() or None


@functools.cache
def tested(kind: str) -> str:
    """Name and version of a kind of sandbox that holds on this machine. SandboxError says why it
    does not."""
    before = os.environ.get(CHOICE)
    os.environ[CHOICE] = kind
    try:
        if why := reached(kind):
            raise SandboxError(f"does not hold: {why}")
    finally:
        if before is None:
            del os.environ[CHOICE]
        else:
            os.environ[CHOICE] = before
    if kind == "bubblewrap":
        asked = [bubblewrap_program() or "bwrap", "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        return said or kind
    parts = (
        f"landlock {landlock.landlock_version()}, "
        f"{'seccomp' if landlock.filter_program() else 'no seccomp'}, rlimits"
    )
    return parts if kind == "landlock" else f"weak: {parts}"


@functools.cache
def numpy_version() -> str:
    """The version of numpy that programs find in the sandbox; "absent" if they find none."""
    program = "import numpy\nprint(numpy.__version__, end='')"
    return run_program(program, seconds=10).stdout.decode() or "absent"


def chosen() -> str:
    """The kind in use here: what a process before this one found out, else found out now.
    SandboxError if none holds."""
    # Environment variables reach the processes that score, however they are started.
    kind = os.environ.get(CHOICE)
    if kind is None:
        try:
            self_test()
        except ConfigError as error:
            raise SandboxError(str(error)) from error
        return os.environ[CHOICE]
    if kind not in KINDS:
        raise SandboxError(f"{CHOICE}={kind}: no such sandbox; there are {', '.join(KINDS)}")
    return kind


def self_test(allow_weak: bool = False) -> str:
    """Choose a sandbox that holds on this machine, for this process and those that it starts; its
    name and version.

    It must run a program, and the program must reach no file, network, process or writable folder,
    and be few processes only; ``allow_weak``: one of which only the last is true is better than
    none. ConfigError if there is none.
    """
    set_before = os.environ.get(CHOICE)
    reasons = []
    # The strongest kind first.
    for kind in KINDS if set_before is None else (set_before,):
        if kind == "limits" and not allow_weak:
            continue
        try:
            name = tested(kind)
        except SandboxError as error:
            reasons.append(f"{kind}: {error}")
            continue
        os.environ[CHOICE] = kind
        return name
    raise ConfigError(
        "model-written code cannot be run safely on this machine "
        f"({'; '.join(reasons) or 'no sandbox but limits'}): install "
        "bubblewrap or ask for user namespaces, score on another node, or set allow_weak_sandbox"
    )
