"""Start a program for an attempt.

In: its words, folder and environment. Out: a process in a session of its own. Called by attempt.py,
for a pack by pack.py, and for several nodes by several/lead.py.
"""

from __future__ import annotations

import subprocess

from orchestrator.node.system import die_with_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

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


def popen(command: list[str], cwd: str, environment: dict[str, str]) -> Child:
    """Start a program in a session of its own."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        # By its session is found what the program leaves running (run_program).
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
