"""Programs forked in a sandbox that is there already (``warm_parent.py`` says how).

Each thread that judges has a parent of its own, started with its first program: bubblewrap ends
with the thread that started it. A parent that breaks is forgotten, and the next program starts
another; what becomes of the program that met it, ``execution.py`` says.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import socket
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from engines.shared.sandbox import landlock, seccomp, supervisor, warm_parent
from engines.shared.sandbox.bubblewrap import (
    ENVIRONMENT,
    LIMITS,
    RUN,
    SandboxError,
    command,
    limits,
    numpy_inside,
)
from engines.shared.sandbox.cold import end_namespace, started
from engines.shared.sandbox.installation import as_user, interpreter, numpy_folders, readable
from engines.shared.sandbox.own_folder import FOLDER, own_folder
from engines.shared.sandbox.running import START_SECONDS, Asked, Execution, Sandbox, run, takes_of

CAPABILITIES = ("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP")
"""What a parent in bubblewrap needs to make namespaces, and to take these two from its programs."""
OUTSIDE = 1
"""The parent counts among the processes of a program's namespace of users."""
END_SECONDS = 5.0
"""How long a parent that was let go may take to end."""
MESSAGE_BYTES = 1 << 12
LOADER = f"""
import os
def given():
    text = b""
    while part := os.read(0, 1 << 16):
        text += part
    return text
exec(given(), {{}})
del given
{RUN}
"""
"""The main program of a parent: what it reads comes back in a program's process only."""
TEXT = """
import sys, types
def module(name, text):
    made = types.ModuleType(name)
    exec(compile(text, name, "exec", dont_inherit=True), made.__dict__)
    return made
# Under the name by which the parent imports it, as long as it does.
package = sys.modules["engines.shared.sandbox"] = types.ModuleType("sandbox")
package.supervisor = module("supervisor", {supervisor!r})
parent = module("parent", {parent!r})
del sys.modules["engines.shared.sandbox"]
parent.main({setting!r})
"""


@dataclass(frozen=True)
class Start:
    """All that a parent depends on: with another one it is another parent."""

    arguments: tuple[str, ...]
    """The call of its Python, up to the text that it runs."""
    bubblewrap: bool
    read: tuple[str, ...]
    prelude: str

    def text(self, control: int) -> str:
        """What the parent runs; ``control`` is its end of a socket pair."""
        setting: warm_parent.Setting = {
            "control": control,
            "bubblewrap": self.bubblewrap,
            "landlock": 0 if self.bubblewrap else landlock.landlock_version(),
            "filter": rules(self.bubblewrap),
            "read": list(self.read),
            "prelude": self.prelude,
            "limits": LIMITS,
        }
        return TEXT.format(
            supervisor=inspect.getsource(supervisor),
            parent=inspect.getsource(warm_parent),
            setting=setting,
        )


def rules(bubblewrap: bool) -> bytes:
    """seccomp's filter. SandboxError without libseccomp: programs of one parent have keys and a
    network, which leads nowhere, in common, and may use neither."""
    found = seccomp.filter_program("bubblewrap" if bubblewrap else "landlock")
    if found is None:
        raise SandboxError("a warm sandbox needs libseccomp.so.2, which is not installed")
    return found


def start_of(kind: str, prelude: str) -> Start:
    """How a parent for this kind of sandbox is started. SandboxError if it cannot be."""
    if kind == "bubblewrap":
        for path in readable():
            if path.startswith(tuple(f"{place}/" for place in warm_parent.PLACES)):
                raise SandboxError(f"a warm sandbox has a new folder over {path}")
        return Start(command(*CAPABILITIES), True, (), prelude)
    python = (str(interpreter()), "-I", "-S", "-c")
    return Start(python, False, tuple(landlock.readable_paths()), prelude)


class Parent:
    """A parent that was started, and its end of the socket pair. SandboxError if it does not
    start."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # as long as it lives
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = ours
        environment = None if start.bubblewrap else ENVIRONMENT
        try:
            text = start.text(theirs.fileno())
            self.process = started(
                (*start.arguments, LOADER), self.complaints, "/", environment, (theirs.fileno(),)
            )
        except BaseException:
            ours.close()
            self.complaints.close()
            raise
        finally:
            theirs.close()
        self.let_go = weakref.finalize(
            self, let_go, self.process, ours, self.complaints, start.bubblewrap
        )
        everyone.add(self)
        self.introduce(text)
        below = supervisor.children(self.process.pid) if start.bubblewrap else []
        self.pid = below[0] if below else self.process.pid

    def introduce(self, text: str) -> None:
        """Tell it what to run, and wait until it is ready."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            view = memoryview(text.encode())
            while view:
                view = view[self.process.stdin.write(view) :]
            self.process.stdin.close()
        with contextlib.suppress(OSError):
            self.control.settimeout(START_SECONDS)
            if self.control.recv(MESSAGE_BYTES) == warm_parent.READY:
                self.control.settimeout(None)
                return
        self.let_go.detach()
        self.control.close()
        end(self.process, self.start.bubblewrap)
        self.complaints.seek(0)
        lines = self.complaints.read(8000).decode(errors="replace").strip().splitlines()
        self.complaints.close()
        reason = lines[-1] if lines else f"exit code {self.process.returncode}"
        raise SandboxError(f"the sandbox does not start here: {reason[:200]}")

    def outcome(self) -> tuple[int, str]:
        """Wait for what the guard says of its program. SandboxError if it does not."""
        try:
            said = self.control.recv(MESSAGE_BYTES)
        except OSError as error:
            raise SandboxError(f"the warm sandbox broke: {error}") from error
        if said in (b"", warm_parent.LOST):
            raise SandboxError("the warm sandbox broke: its guard did not say how a program ended")
        code, why = json.loads(said)
        return int(code), str(why)

    def request(self, asked: Asked, folder: str, descriptors: list[int]) -> None:
        """Have a program started. SandboxError if the parent is gone."""
        if self.start.bubblewrap:
            processes, numpy = supervisor.PROCESSES + OUTSIDE, numpy_inside()
        else:
            user = as_user()
            processes = landlock.processes_of(os.geteuid() if user is None else user)
            numpy = next(iter(numpy_folders()), "")
        told: warm_parent.Request = {
            "limits": limits(asked.memory_gb, asked.cpu_seconds, processes, numpy),
            "prelude": bool(asked.prelude),
            "folder": folder,
        }
        try:
            socket.send_fds(self.control, [json.dumps(told).encode()], descriptors)
        except OSError as error:
            raise SandboxError(f"the warm sandbox broke: {error}") from error

    def takes(self, memory_bytes: int) -> str:
        """What the program takes too much of in bubblewrap."""
        return takes_of(self.pid, memory_bytes)


def end(process: subprocess.Popen[bytes], bubblewrap: bool) -> None:
    """Wait for the end of a parent that was let go, and see to it."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        if bubblewrap:
            end_namespace(process)
        else:
            process.kill()
        process.wait()


def let_go(
    process: subprocess.Popen[bytes],
    control: socket.socket,
    complaints: IO[bytes],
    bubblewrap: bool,
) -> None:
    """End a parent: it ends when nobody holds the other end of its socket."""
    control.close()
    complaints.close()
    end(process, bubblewrap)


class Mine(threading.local):
    """The parent of this thread."""

    parent: Parent | None = None


mine = Mine()
everyone: weakref.WeakSet[Parent] = weakref.WeakSet()
"""The parents of all threads of this process."""


def forget_in_fork() -> None:
    """A process that was forked from this one has no parent, and must not hold one's socket."""
    for parent in list(everyone):
        parent.let_go.detach()
        parent.control.close()
        # Not its child: nobody waits for it here.
        parent.process.returncode = 0
    everyone.clear()
    mine.parent = None


os.register_at_fork(after_in_child=forget_in_fork)


def forget() -> None:
    """End the parent of this thread; the next program starts another."""
    parent, mine.parent = mine.parent, None
    if parent is not None:
        everyone.discard(parent)
        parent.let_go()


def parent_for(kind: str, prelude: str) -> Parent:
    """The parent of this thread, started if there is none or another one is wanted."""
    start = start_of(kind, prelude)
    found = mine.parent
    if found is not None:
        # With our names in its memory it still runs a program that wants none.
        known = found.start.prelude
        if prelude in ("", known) and replace(start, prelude=known) == found.start:
            return found
        forget()
    mine.parent = Parent(start)
    return mine.parent


def run_warm(kind: str, asked: Asked) -> Execution:
    """Run a program in the warm sandbox of this thread; see ``execution.run_program``. SandboxError
    if there is none, or if it broke: nothing is known about the program then."""
    return run(forked(kind, asked), asked, asked.program)


@contextlib.contextmanager
def forked(kind: str, asked: Asked) -> Iterator[Sandbox]:
    """A program in the warm sandbox of this thread."""
    parent = parent_for(kind, asked.prelude)
    with contextlib.ExitStack() as stack:
        folder = "" if parent.start.bubblewrap else stack.enter_context(own_folder(as_user()))
        try:
            with pipes(parent, asked, folder) as (stdin, stdout, leash):

                def takes() -> str:
                    return parent.takes(asked.memory_gb << 30)

                yield Sandbox(
                    stdin,
                    stdout,
                    parent.control.fileno(),
                    functools.partial(let_leash_go, leash),
                    takes if parent.start.bubblewrap else None,
                    parent.outcome,
                    parent.complaints,
                )
        except BaseException:
            # Nobody heard how it ended. Before its folder is removed: in the end of the parent is
            # the end of the program, whose leash nobody holds any more.
            forget()
            raise


def let_leash_go(leash: IO[bytes]) -> None:
    """Have the guard end its program, if it has not."""
    # A word too: a process that another thread is starting may hold this end for a moment.
    with contextlib.suppress(OSError, ValueError):
        leash.write(b"!")
    leash.close()


@contextlib.contextmanager
def pipes(parent: Parent, asked: Asked, folder: str) -> Iterator[list[IO[bytes]]]:
    """Have a program started; our ends of its input, its output and its leash."""
    with contextlib.ExitStack() as stack:
        theirs: list[int] = []
        ours: list[IO[bytes]] = []
        try:
            for mode in ("wb", "rb", "wb"):
                reading, writing = os.pipe()
                mine, other = (writing, reading) if mode == "wb" else (reading, writing)
                ours.append(stack.enter_context(os.fdopen(mine, mode, 0)))
                theirs.append(other)
            if folder:
                theirs.append(os.open(folder, FOLDER))
            parent.request(asked, folder, theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        yield ours
