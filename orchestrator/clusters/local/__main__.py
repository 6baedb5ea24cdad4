"""Run the scheduler of the cluster `local` for one run, until nothing is queued or running.

    python -P -m orchestrator.clusters.local RUN_FOLDER

``LocalCluster`` (cluster.py) starts it whenever none has the run's lock.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.clusters.local.cluster import LOCK, POLL_SECONDS, READY
from orchestrator.clusters.local.scheduler import Scheduler
from orchestrator.node.light.utf8 import in_utf8_mode
from orchestrator.node.system import process_start
from orchestrator.runs.documents.damage import told
from orchestrator.runs.documents.lock_files import opened
from orchestrator.runs.documents.people import lock_mode
from orchestrator.runs.lookup import open_run


@contextmanager
def only_one(folder: Path) -> Iterator[bool]:
    """Whether this is the only scheduler of the run; the lock goes with the process."""
    with opened(folder / LOCK, lock_mode(folder.parent.parent.parent)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # A job that inherited the file would keep the lock after the scheduler's death.
        os.set_inheritable(file.fileno(), False)
        file.truncate(0)
        file.write(f"{os.getpid()} {process_start(os.getpid())}")
        file.flush()
        yield True


def main() -> int:
    """Schedule until nothing is queued or running."""
    in_utf8_mode()
    run = open_run(Path(sys.argv[1]))
    with only_one(run.folder / "scheduler") as first:
        if not first:
            return 0
        # The terminal in which it was started may close.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # One with another environment is to follow: not in the middle of a round.
        told_to_end: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: told_to_end.append(number))
        scheduler = Scheduler(run)
        scheduler.round()
        for line in told():
            print(f"orch: {line}", flush=True)
        # From now on the table says how jobs stand that an earlier scheduler had left.
        mode = lock_mode(run.folder.parent.parent)
        with opened(run.folder / "scheduler" / READY, mode) as ready:
            fcntl.flock(ready, fcntl.LOCK_EX)
            idle = 0
            # A launch submits job by job: a queue that is empty for a moment is not the end.
            while idle < 10 and not told_to_end:
                idle = 0 if scheduler.round() else idle + 1
                time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
