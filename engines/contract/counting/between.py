"""How far a program is that a command has started: the program tells, the command hears it.

In: in the program what is counted there (counts.py), in the command the program to start. Out: for
whoever listens in the command the same amounts. Called by every engine's start, and by commands
that wait for one. Between the two is a pipe, whose number the program finds in its environment;
nobody but such a command sets it, so a job tells nobody.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from engines.contract.counting.counts import Amount, heard, heard_by

PIPE = "ORCH_COUNTS"
"""The variable with the number of the pipe."""
SECONDS = 0.05
"""How often a program tells at most: a person reads no faster."""


@contextmanager
def told_to_command() -> Iterator[None]:
    """In a program: tell what is counted while the block runs to the command that has started it;
    nobody, if none waits for it."""
    # Taken out, as programs that this one starts have no such pipe.
    pipe = os.environ.pop(PIPE, None)
    if pipe is None:
        yield
        return
    told = 0.0

    def tell(amount: Amount) -> None:
        nonlocal told
        now = time.monotonic()
        if amount.done in (0, amount.total) or now - told >= SECONDS:
            told = now
            # Nobody may hear it any more: that is no reason to end.
            with suppress(OSError):
                os.write(int(pipe), json.dumps(amount).encode() + b"\n")

    with heard_by(tell):
        yield


def run_heard(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and count here what is counted there. What it writes is in the
    answer."""
    ours, theirs = os.pipe()
    environment = {**os.environ, PIPE: str(theirs)}
    # Files, as two pipes would have to be read while the third one is.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with subprocess.Popen(
            list(command), stdout=out, stderr=err, env=environment, pass_fds=(theirs,)
        ) as process:
            os.close(theirs)
            # It ends when the program has, and whatever it has started.
            with os.fdopen(ours) as lines:
                for line in lines:
                    heard(Amount(*json.loads(line)))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())
