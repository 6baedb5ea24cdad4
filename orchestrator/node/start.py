"""Start a program for an attempt.

In: its words, folder and environment. Out: a process in a session of its own. Called by attempt.py,
for a pack by pack.py, and for several nodes by several/lead.py.
"""

from __future__ import annotations

import os

from orchestrator.node.light.standard import signal, suppress
from orchestrator.node.system import die_with_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Child(Protocol):
        """A process that was started for an attempt."""

        pid: int

        def poll(self) -> int | None:
            """The exit code; None while it runs."""

        def wait(self) -> int:
            """Wait for its end; the exit code."""


def filled(word: str, known: dict[str, str]) -> str:
    """An argument with what is known in place of its names, since no shell reads it; what is not
    known stays."""
    for name, value in known.items():
        if value:
            word = word.replace(name, value)
    return word


def words_of(job: dict[str, Any], out: str, checkpoint: str = "") -> list[str]:
    """The words of a user's command, with what a job knows in them.

    Args:
        out: the job's output folder.
        checkpoint: the first of those that it asks for; empty: none.
    """
    files = os.path.join(out, "files")
    known = {
        "$ORCH_OUT": files,
        "{checkpoint}": checkpoint,
        "{for_each}": job.get("followed") or "",
    }
    return [filled(word, known) for word in job["command"]]


HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)
"""Signals that this program handles: kept waiting while a child is made, as one that came before
the child has handlers of its own would be taken by a copy of ours, and be lost."""
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores, and that a program is started without."""
SEARCHED = "PATH"
"""Variable with the folders of programs."""
FOLDER, PROGRAM = "folder", "program"
"""What a child could not enter or start."""


class Started:
    """A child of this process."""

    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with suppress(ChildProcessError):  # its end was taken note of already
            self.note(os.waitpid(self.pid, os.WNOHANG))
        return self.code

    def wait(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        while self.code is None:
            with suppress(ChildProcessError):
                self.note(os.waitpid(self.pid, 0))
        return self.code

    def note(self, ended: tuple[int, int]) -> None:
        """Keep the exit code of a process that has ended."""
        if ended[0]:
            self.code = os.waitstatus_to_exitcode(ended[1])


class Program(Started):
    """A program in a session of its own, which is killed when this process is.

    As ``subprocess.Popen`` starts it, whose import takes as long as an empty job. OSError says why
    it could not be started.
    """

    def __init__(self, command: list[str], cwd: str, environment: dict[str, str]) -> None:
        if any("\0" in word for word in [*command, cwd, *environment, *environment.values()]):
            raise ValueError("embedded null byte")
        reading, writing = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                become(command, cwd, environment, writing)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writing)
        # The pipe closes without a word when the program takes the place of the child.
        with open(reading, encoding="utf-8") as said:
            number, _, what = said.read().partition(" ")
        if number:
            self.wait()
            raise OSError(
                int(number), os.strerror(int(number)), cwd if what == FOLDER else command[0]
            )


def become(command: list[str], cwd: str, environment: dict[str, str], writing: int) -> None:
    """In the child: become the program, or write why not into the pipe. Never returns."""
    what = FOLDER
    try:
        # By its session is found what the program leaves running (run_program).
        os.setsid()
        die_with_parent()
        for number in (*HELD_BACK, *IGNORED_BY_PYTHON):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        os.chdir(cwd)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        close_others(writing)
        what = PROGRAM
        execute(command, environment)
    except OSError as error:
        os.write(writing, f"{error.errno} {what}".encode())
    finally:
        os._exit(127)


def close_others(kept: int) -> None:
    """Close what this process has inherited above the three descriptors of every program."""
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) != kept:
                with suppress(OSError):
                    os.close(int(name))


def execute(command: list[str], environment: dict[str, str]) -> None:
    """Become the program, from PATH unless its name has a slash. OSError of the first place where
    it lies and cannot be started, else that it lies nowhere."""
    name = command[0]
    places = [""] if "/" in name else environment.get(SEARCHED, os.defpath).split(os.pathsep)
    refused: OSError | None = None
    for place in places:
        try:
            os.execve(os.path.join(place, name), command, environment)  # noqa: S606  # no shell
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
        except OSError as error:
            refused = refused or error
    raise refused or missing


def popen(command: list[str], cwd: str, environment: dict[str, str]) -> Child:
    """Start a program in a session of its own."""
    return Program(command, cwd, environment)
