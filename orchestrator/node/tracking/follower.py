"""The follower beside an engine: a process that logs its progress to the chosen trackers.

In: an attempt's job, its folder and what its engine is started with. Out: a process of the job's
own Python, ``engines/shared/tracking/follow.py``, that is started after the engine and ended after
it; ``tracking.json`` in the job's output, and in words what went wrong. Called by attempt.py.

It is a process of its own so that no tracker, whatever it does, can make a job fail: one that
cannot be imported, raises or hangs is told once in the log and in the exit record.
"""

from __future__ import annotations

import os
import time

from orchestrator.node.light.standard import dumps, signal, suppress
from orchestrator.node.system import end_session, read_json, write_json
from orchestrator.node.tracking.variables import identity, settings_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any

PROGRAM = "engines.shared.tracking.follow"
STATUS = "tracking.json"
"""In the job's output: up to which step each tracker has been told, and what went wrong."""
LOG = "tracking.log"
"""In the job's output: what the libraries print."""
LAST_SECONDS = 120.0
"""How long the last points may take when the engine has ended: of a short job MLflow is still
making its database then."""
LAST_SECONDS_WARNED = 20.0
"""The same before the time limit, where the job is to be started again in time."""
LAST_SECONDS_STOPPED = 5.0
"""The same when the job is being ended: Slurm's KillWait is 30 s, and the exit record comes
after."""


class Follower:
    """The follower of one start of an attempt; of a command, or where no tracker is chosen,
    nothing."""

    def __init__(self, folder: str, job: dict[str, Any]) -> None:
        """Notes the progress as it is before the engine starts."""
        self.out = os.path.join(folder, "out")
        self.status = os.path.join(self.out, STATUS)
        self.problems: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        settings = settings_of(folder)
        self.to: list[str] = settings["to"] if settings is not None and job.get("engine") else []
        if settings is None or not self.to:
            return
        self.asked = {
            "to": self.to,
            "who": identity(settings, job),
            "earlier_progress": number_of(os.path.join(self.out, "progress.jsonl")),
        }

    def start(self, engine: list[str], cwd: str, environment: dict[str, str]) -> None:
        """Start it by the same Python as the engine, whose command ends in its name, config and
        output folder."""
        if not self.to:
            return
        import subprocess

        known = self.read()
        write_json(self.status, {"sent": known.get("sent", {}), "problems": {}, "finished": False})
        try:
            with open(os.path.join(self.out, LOG), "ab") as log:
                self.process = subprocess.Popen(
                    [*engine[:-4], PROGRAM, self.out, dumps(self.asked)],
                    cwd=cwd,
                    env=environment,
                    stdin=subprocess.PIPE,
                    # In the job's log a traceback would be taken for the engine's.
                    stderr=log,
                    # What the node does to the engine's session and group is not for it.
                    start_new_session=True,
                )
        except OSError as error:
            self.problems = {"all": f"the follower cannot be started: {error}"}
            self.tell()

    def pids(self) -> list[int]:
        """Its process, if it has one."""
        return [] if self.process is None else [self.process.pid]

    def finish(self, code: int, signals: list[str]) -> None:
        """Have it send the last points, and wait for it, but not for long.

        Args:
            signals: that the job has got, also those that come meanwhile.
        """
        process = self.process
        if process is None or process.stdin is None:
            return
        with suppress(BrokenPipeError):
            process.stdin.write(f"{code}\n".encode())
            process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        began = time.monotonic()
        while process.poll() is None:
            if time.monotonic() - began > longest(signals):
                break
            time.sleep(0.05)
        # Also what it has left running, such as W&B's own process.
        end_session(process.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.look(time.monotonic() - began)

    def look(self, seconds: float) -> None:
        """What went wrong; what the follower has said itself stands in the log already."""
        known = self.read()
        self.problems = dict(known.get("problems", {}))
        if not known.get("finished"):
            self.problems["all"] = (
                f"the follower has not come to its end ({seconds:.0f} s after the engine's): "
                f"the last points may be missing; see {LOG} in the job's output"
            )
            self.tell()

    def tell(self) -> None:
        """Say it in the log."""
        print(f"orch: track: {self.problems['all']}", flush=True)

    def read(self) -> dict[str, Any]:
        """What the file says; nothing where there is none."""
        with suppress(OSError, ValueError, TypeError):
            return dict(read_json(self.status))
        return {}

    def facts(self) -> dict[str, Any]:
        """What the exit record says of it: nothing where all went well."""
        return {"tracking": self.problems} if self.problems else {}


def longest(signals: list[str]) -> float:
    """How many seconds the last points may take."""
    if "SIGTERM" in signals or "SIGINT" in signals:
        return LAST_SECONDS_STOPPED
    return LAST_SECONDS_WARNED if signals else LAST_SECONDS


def number_of(path: str) -> int | None:
    """The inode of a file; None where there is none. An engine writes its progress anew, by rename,
    when it opens it: until then what is in it may be of steps that will be done again."""
    with suppress(OSError):
        return os.stat(path).st_ino
    return None
