"""Files, processes, measurements and the scheduler, as the program on a node needs them.

In: paths, process ids, log files. Out: documents, numbers, one line on an error. Called by this
package and by the orchestrator. It starts with every job, so it imports few modules: what takes
longer than all else that an empty job does is not among them (light/).
"""

from __future__ import annotations

import os
import time

from orchestrator.node.light.standard import (
    SET_CHILD_SUBREAPER,
    SET_PDEATHSIG,
    dumps,
    loads,
    opened,
    prctl,
    signal,
    suppress,
)
from orchestrator.node.light.standard import read_json as read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    AnyPath = str | os.PathLike[str]

ERROR_LINE = (
    r"error|exception|killed|no such file|not found|cannot|failed|denied|refused"
    r"|out of memory|no space|stopped:"
)
"""What makes a log line a suspect; case does not count."""
LAUNCHER_ERROR = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
"""torchrun's last words when a process has died: never why."""
METRICS_LINE = (
    r"\{(?:['\"][\w./ @:-]{1,80}['\"]: ?['\"]?"
    r"(?:[-+]?[\d.][\d.e+-]*|[-+]?nan|[-+]?inf\w*|null|none|true|false)['\"]?(?:, ?|(?=\})))+\}"
    r"|.*\d ?(?:it/s|s/it)\b.*"
)
"""A line that trainers print as they go: a dict of metrics, a progress bar. It says nothing of an
end."""
LOG_TAIL_BYTES = 64_000
CODE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The copy of the code that this process runs."""
CONTINUES = 75
"""Exit code of a program that was asked to stop, has saved where it stands, and goes on from there
when started again."""
CANCEL = "cancel"
"""File in the attempt folder of a member of a pack that alone is to end; SIGUSR1 to the pack says
that there is one."""
KILLED_SECONDS = 10.0
"""Longest wait for the end of processes that were killed."""
LOCAL_ID = "ORCH_JOB_ID"
"""Variable that holds the id of a job of the cluster `local`."""
REQUEUE_SECONDS = 60.0
"""Longest wait for scontrol."""


NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def write_json(path: AnyPath, value: object) -> None:
    """Write JSON whole, by rename."""
    write_text(path, dumps(value, indent=1))


def write_text(path: AnyPath, text: str, mode: int = 0o666) -> None:
    """Write a file whole, by rename; ``mode``: who may read it at most, before the umask."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        # Not through a link that somebody else may have put there.
        descriptor = os.open(temporary, NEW_FILE, mode)
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            # Before the rename: after a power cut the name would stand for an empty file.
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        # A full disk says not of which file; and half of one would take the last of the room.
        error.filename = os.fspath(path)
        del error.filename2
        with suppress(OSError):
            os.unlink(temporary)
        raise


def process_fields(pid: int | str) -> list[str] | None:
    """What /proc/<pid>/stat tells after the name: state, parent, process group, session, ...; None
    if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            # The name stands in parentheses, and may hold spaces and parentheses of its own.
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


BOOT_ID = "/proc/sys/kernel/random/boot_id"
STARTED = 19
"""Where /proc/<pid>/stat, counted after the name, tells when the process started, in clock ticks
since boot: field 22 of proc(5), and the fields begin with the third."""


_boot: list[str] = []


def boot() -> str:
    """Tells the present start of this machine from others, also where the machine is a container:
    those of one host share its boot id, but their first process is another after each start."""
    if _boot:
        return _boot[0]
    first = process_fields(1)
    boot_id = ""
    if os.path.exists(BOOT_ID):
        with open(BOOT_ID) as file:
            boot_id = file.read().strip()
    # It holds as long as this process: thousands of claims may be compared with it.
    _boot.append(f"{boot_id}/{first[STARTED] if first is not None else ''}")
    return _boot[0]


def process_start(pid: int) -> str | None:
    """When a process started, ``<clock ticks since boot>@<boot>``; None if it is gone. Tells a
    process from a later one of the same pid, also from one after a restart of the machine."""
    fields = process_fields(pid)
    # Z and X have ended, and wait for a parent to take note.
    ended = fields is None or fields[0] in ("Z", "X")
    return None if fields is None or ended else f"{fields[STARTED]}@{boot()}"


MOST_PROCESSES = 1 << 31
"""No process has a larger number."""


def lives(process: Mapping[str, Any]) -> bool:
    """Whether a process that was noted by its ``pid`` and ``start`` still runs."""
    pid = process["pid"]
    # What a damaged file may have there, no process has: a name of thousands of letters, say.
    now = process_start(pid) if isinstance(pid, int) and 0 < pid < MOST_PROCESSES else None
    noted = process["start"]
    # Older versions noted the ticks alone.
    return now is not None and noted in (now, now.partition("@")[0])


def boot_of(start: str) -> str:
    """The start of the machine in what ``process_start`` had said; empty if an older version
    did."""
    return start.partition("@")[2]


def handles(pid: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal."""
    try:
        with open(f"/proc/{pid}/status") as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A hexadecimal mask: bit N - 1 is set if signal N is caught.
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


PARENT, PROCESS_GROUP, SESSION = 1, 2, 3
"""Where /proc/<pid>/stat, counted after the name, tells them."""


def members(leader: int, field: int) -> list[int]:
    """The processes of a process group or session, its leader first; of PARENT a process and its
    children."""
    found = [leader]
    for name in os.listdir("/proc"):
        if name.isdigit() and name != str(leader):
            fields = process_fields(name)
            if fields is not None and fields[field] == str(leader):
                found.append(int(name))
    return found


def claim_of(token: str, job_id: str) -> dict[str, Any]:
    """A claim on an attempt: who takes it, for which job of the scheduler."""
    return {
        "token": token,
        "job_id": job_id,
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "start": process_start(os.getpid()),
        "started": time.time(),
        "restart": 0,
        "code": os.path.basename(CODE),
    }


def take(attempt: AnyPath, claim: dict[str, Any]) -> bool:
    """Take an attempt that nobody has; False if somebody has.

    The claim is one exclusive creation, by hard link so that it is atomic on NFS and never half
    written.
    """
    draft = os.path.join(attempt, f".claim.{claim['host']}.{claim['pid']}")
    with open(draft, "w") as file:
        file.write(dumps(claim))
    try:
        os.link(draft, os.path.join(attempt, "claim.json"))
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def ended_by_itself(
    results: bool, state: str, requeued: bool, signals: list[str] | tuple[str, ...]
) -> bool:
    """Whether what an exit record says of a member of a pack is final: the member was not ended
    with all the others, or it alone was. Else it is started again with its allocation."""
    ended_from_outside = "SIGTERM" in signals or "SIGINT" in signals
    return results or bool(state) or not (requeued or ended_from_outside)


def tail(path: AnyPath) -> list[bytes]:
    """The lines at the end of a file; none if it is not there, or is none."""
    try:
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES))
            return file.read().splitlines()
    except OSError:
        return []


def error_line(log: AnyPath, stopped: bool = False) -> str:
    """The line of a log that most likely says why a job died: the last one that looks like an
    error, else the last one; of one that was ``stopped`` from outside no other line says it."""
    lines = (line.decode(errors="replace").strip() for line in tail(log))
    return error_in(lines, stopped).removeprefix("orch-error: ")


def error_in(said: Iterable[str], stopped: bool = False) -> str:
    """The same of these lines."""
    import re

    # Colours, and what else a terminal would take for an order.
    plain = (re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|.)|[\x00-\x1f\x7f]", "", line) for line in said)
    # torchrun puts the rank before the lines of a traceback, and ends with an error of its own.
    lines = [re.sub(r"^\[rank\d+\]:\s*", "", line) for line in plain]
    lines = [line for line in lines if line and not line.startswith(("orch:", LAUNCHER_ERROR))]
    lines = [line for line in lines if not re.fullmatch(METRICS_LINE, line, re.IGNORECASE)]
    suspects = [line for line in lines if re.search(ERROR_LINE, line, re.IGNORECASE)]
    # A traceback ends in "SomeError: what"; that line says more than a log message that merely
    # holds the word.
    exception = re.compile(r"[\w.]*(Error|Exception|Interrupt|Exit)\b|engines\.")
    exceptions = [line for line in suspects if exception.match(line)]
    chosen = exceptions or suspects or ([] if stopped else lines)
    return chosen[-1][:300] if chosen else ""


def has_children() -> bool:
    """Whether a child lives. A look at every process of a node takes ten times as long as this
    question."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end_session(leader: int) -> None:
    """Kill what a program that has ended left running: it would hold GPU and memory. Returns when
    that is over, as what they have used is known only then."""
    if not has_children():
        return
    killed = members(leader, SESSION)[1:]
    for pid in killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + KILLED_SECONDS
    # A process that has many gigabytes takes a while to give them back.
    while any(map(process_start, killed)) and time.monotonic() < deadline:
        time.sleep(0.01)
    # Takes note of all that have ended; their use counts from here on.
    has_children()


def children() -> list[int]:
    """The processes that this one has started or adopted, and that live."""
    if not has_children():
        return []
    return [pid for pid in members(os.getpid(), PARENT)[1:] if process_start(pid)]


def end_orphans(spared: Iterable[int]) -> None:
    """Kill what a program that has ended left running in sessions of its own. All of it is a child
    of this process then (``adopt_orphans``), and so is what each of these leaves when it is
    killed."""
    deadline = time.monotonic() + KILLED_SECONDS
    while time.monotonic() < deadline:
        left = set(children()).difference(spared)
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def die_with_parent() -> None:
    """In the child: be killed when this process is. An engine without its node process would write
    beside its successor."""
    prctl(SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Have what the program leaves behind become a child of this process, which then can end it."""
    prctl(SET_CHILD_SUBREAPER, 1)


def last_step(out: str) -> int | None:
    """The step of the last whole line of ``progress.jsonl``; None if there is none."""
    # A kill may have torn the last line; then the one before it counts.
    for line in reversed(tail(os.path.join(out, "progress.jsonl"))):
        with suppress(ValueError, KeyError, TypeError):
            return int(loads(line.decode(errors="replace"))["step"])
    return None


class TemporaryFolder:
    """A folder for what libraries leave behind, removed at the end of the block. Its path is short:
    Ray's sockets lie below."""

    def __enter__(self) -> str:
        """Make it; its path."""
        base = os.environ.get("TMPDIR", "/tmp")  # noqa: S108  # the folder below has a random name and is ours alone
        base = base if os.path.isdir(base) else "/tmp"  # noqa: S108
        # The path of a Unix socket has at most 107 bytes, of which Ray takes many below.
        self.path = os.path.join(base, f"orch-{os.urandom(4).hex()}")
        os.mkdir(self.path, 0o700)
        return self.path

    def __exit__(self, *_: object) -> None:
        """Remove it with all that is in it."""
        try:
            os.rmdir(self.path)
        except OSError:  # something is in it
            import shutil

            shutil.rmtree(self.path, ignore_errors=True)


def own_id() -> str:
    """The scheduler's id of this job."""
    # First: a local job may run inside of an allocation, whose variables it has too.
    if local := os.environ.get(LOCAL_ID):
        return local
    # In an element SLURM_JOB_ID is a number of its own; squeue and sacct say 17_3.
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID") or f"pid-{os.getpid()}"


def requeue(job_id: str) -> str:
    """Ask the scheduler to start this job again; returns what went wrong, or "". The local
    scheduler reads the exit record instead."""
    if "SLURM_JOB_ID" not in os.environ or LOCAL_ID in os.environ:
        return ""
    import subprocess

    from orchestrator.node.slurm.environment import environment_of

    try:
        result = subprocess.run(
            ["scontrol", "requeue", job_id],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=REQUEUE_SECONDS,
            env=environment_of("scontrol", os.environ),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if result.returncode == 0 else " ".join(result.stderr.split())
