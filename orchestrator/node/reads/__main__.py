"""Read on while a command runs, and once more when it has ended.

    python -I -S -u RUNS/.code/HASH/orchestrator/node/reads/__main__.py JOB_FOLDER

It looks again and again until its standard input is closed: by the program that runs the command
(``orchestrator/node/reading.py``), or by the end of that. Then it looks for the last time, and
ends; what is wrong is told by that program. It is a process of its own so that nothing that happens
in it happens to the job: the first to be killed when memory is short, the last to get a core.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

if __name__ == "__main__":  # started by its path, without site and without the folder it lies in
    sys.path[:0] = [os.path.abspath(__file__).rpartition("/orchestrator/node/")[0]]

from orchestrator.node.reads.output import Reading

FIRST_SECONDS = 5.0
SECONDS = 60.0
"""Between two looks; the first ones come faster, so that short jobs are followed too."""
SHARE = 20
"""A look may take this part of the time between two: reading is at most a twentieth of a core."""


def step_back() -> None:
    """Leave cores and memory to the job, and the signals to the program that passes them on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def main() -> int:
    """Look until the input is closed."""
    step_back()
    reading = Reading(sys.argv[1])
    pause = FIRST_SECONDS
    while not select.select([sys.stdin], [], [], pause)[0]:
        began = time.monotonic()
        # A file may go or be torn while it is read; at the last look it is told.
        with contextlib.suppress(OSError):
            reading.look(final=False)
        pause = max(min(2 * pause, SECONDS), SHARE * (time.monotonic() - began))
    reading.look(final=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    # Whatever it is: one line in the job's log, and the program on the node says what is missing.
    except Exception as error:
        print(f"orch: reads: {type(error).__name__}: {error}", flush=True)
        sys.exit(1)
