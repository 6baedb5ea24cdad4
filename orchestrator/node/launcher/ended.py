"""The end of a job whose program the launcher (launcher.c) has started: what is not plain.

In: what the launcher knows, as words behind ``--ended``: exit code, start by the wall clock and by
the monotonic one, kills for want of memory before, signals, temporary folder, and the three
arguments of the program on the node. Out: the records, as if that program had run the job.
Called by ``orchestrator/node/__main__.py``. The process is still the launcher's: its id, and what
its children have used, are those of the job.
"""

from __future__ import annotations

import os

from orchestrator.node.attempt import FORWARDED, Attempt
from orchestrator.node.light.standard import signal
from orchestrator.node.system import CONTINUES


def end_of(words: list[str]) -> tuple[Attempt, int, bool]:
    """Leave the records; the attempt, its exit code, and whether it is to be started again."""
    code, started, began, kills, signals, temporary, folder, number, token = words
    attempt = Attempt(folder, int(number), token)
    for forwarded in FORWARDED:
        signal.signal(forwarded, attempt.forward)
    attempt.signals = signals.split()
    # The launcher has held them back while this program was starting.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    attempt.started, attempt.began = float(started), float(began)
    # It runs no job that has left progress before.
    attempt.first_step = None
    attempt.oom_kills = int(kills) if int(kills) >= 0 else None
    remove(temporary)
    if code == "0":
        attempt.write_results_of_a_command()
    elif os.path.exists(attempt.asked_again):
        code = str(CONTINUES)
    return attempt, *attempt.end(int(code))


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, if it is still there."""
    if os.path.isdir(folder):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
