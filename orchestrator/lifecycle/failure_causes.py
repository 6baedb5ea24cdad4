"""What a job died of: one kind, the line it was read from, and what to do.

``cause_of`` is pure. It weighs, in this order: the scheduler's final state, what the node saw of
the kernel's memory killer, the log. One failure drags others behind it (a rank out of GPU memory
ends as a dead actor and a broken collective elsewhere), so of several kinds in a log the one that
explains the others counts, whatever stands last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.runs.record import JobState
from orchestrator.runs.sources import ExitRecord


class Kind(StrEnum):
    """Why jobs die."""

    HOST_MEMORY = "host memory"
    GPU_MEMORY = "GPU memory"
    CACHE_BLOCKS = "no room for the KV cache"
    TIME_LIMIT = "time limit"
    PREEMPTED = "preempted"
    NODE = "node failure"
    COMMUNICATION = "communication between GPUs"
    RAY = "Ray"
    DISK = "disk full or over quota"
    NOT_A_NUMBER = "NaN"
    PACKAGE = "missing package"
    IMPORT = "import error"
    VARIABLE = "missing variable"
    FILE = "missing file"
    CODE = "error in code or config"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


ADVICE = {
    Kind.HOST_MEMORY: "orch retry asks for half as much memory again",
    Kind.GPU_MEMORY: "smaller micro-batches, shorter sequences or more GPUs; the same again dies "
    "again",
    Kind.CACHE_BLOCKS: "raise gpu_memory_utilization, shorten max_model_len, or see who else is on "
    "the "
    "GPU",
    Kind.TIME_LIMIT: "orch retry asks for half as much time again",
    Kind.PREEMPTED: "orch retry starts it again",
    Kind.NODE: "orch retry leaves this node out",
    Kind.COMMUNICATION: "orch retry leaves this node out; if it comes back, look at the first rank "
    "that "
    "ended",
    Kind.RAY: "orch retry starts it again; if it comes back, look into Ray's log",
    Kind.DISK: "make room (df, quota), then orch retry",
    Kind.NOT_A_NUMBER: "lower the learning rate or clip gradients; the same again dies again",
    Kind.PACKAGE: "install it in the environment of the jobs (the profile's setup and python), "
    "then "
    "orch retry --job",
    Kind.IMPORT: "two packages do not fit together; mend the environment, then orch retry --job",
    Kind.VARIABLE: "set it in the profile's environment or setup, then orch retry",
    Kind.FILE: "put it there or correct the path, then orch retry",
    Kind.CODE: "mend it, then orch retry --job; the same again dies again",
    Kind.CANCELLED: "orch retry starts it again",
    Kind.UNKNOWN: "read the log: orch logs",
}

BY_STATE = {
    JobState.OUT_OF_MEMORY: Kind.HOST_MEMORY,
    JobState.TIMEOUT: Kind.TIME_LIMIT,
    JobState.PREEMPTED: Kind.PREEMPTED,
    JobState.NODE_FAIL: Kind.NODE,
    JobState.CANCELLED: Kind.CANCELLED,
}

AGAIN = frozenset(
    {
        Kind.HOST_MEMORY,
        Kind.TIME_LIMIT,
        Kind.PREEMPTED,
        Kind.NODE,
        Kind.COMMUNICATION,
        Kind.RAY,
        Kind.CANCELLED,
        Kind.DISK,
        Kind.VARIABLE,
        Kind.FILE,
        Kind.UNKNOWN,
    }
)
"""Kinds of which another try may end differently, because it asks for more, runs elsewhere, or the
world around it has changed."""

LIKE_SIBLINGS = frozenset(
    {
        Kind.NOT_A_NUMBER,
        Kind.PACKAGE,
        Kind.IMPORT,
        Kind.VARIABLE,
        Kind.FILE,
        Kind.CODE,
        Kind.GPU_MEMORY,
        Kind.CACHE_BLOCKS,
    }
)
"""Kinds that come from the code, the config or the environment: jobs of the same stage would die of
them too."""

PATTERNS: tuple[tuple[Kind, str], ...] = (
    (Kind.DISK, r"No space left on device|Disk quota exceeded|\[Errno (?:28|122)\]"),
    (
        Kind.GPU_MEMORY,
        r"CUDA out of memory|CUDA error: out of memory|HIP out of memory|CUBLAS_STATUS_ALLOC_FAILED",
    ),
    (
        Kind.CACHE_BLOCKS,
        r"No available memory for the cache blocks|KV cache is needed, which is larger than the available"
        r"|Free memory on device .* on startup is less than desired GPU memory utilization",
    ),
    (
        Kind.HOST_MEMORY,
        r"[Dd]etected \d+ oom[-_]kill event|DefaultCPUAllocator: can't allocate memory|^(?:\S+: )?MemoryError\b"
        r"|killed due to the node running low on memory|[Cc]annot allocate memory|^ray\.exceptions\.OutOfMemoryError"
        r"|Exceeded job memory limit",
    ),
    (
        Kind.NODE,
        r"CANCELLED AT \S+ DUE TO NODE FAILURE|uncorrectable ECC error|CUDA error: device-side.*Xid|GPU has fallen off the bus"
        r"|CUDA-capable device\(s\) is/are busy or unavailable|No CUDA GPUs are available",
    ),
    (Kind.TIME_LIMIT, r"CANCELLED AT \S+ DUE TO TIME LIMIT"),
    (Kind.PREEMPTED, r"CANCELLED AT \S+ DUE TO PREEMPTION"),
    (
        Kind.NOT_A_NUMBER,
        r"the gradient is not finite|[Ll]oss is (?:nan|inf)|probability tensor contains either `?inf`?, `?nan`?"
        r"|returned nan values|contains NaN|(?:nan|NaN) (?:loss|gradient)",
    ),
    (
        Kind.PACKAGE,
        r"ModuleNotFoundError: No module named|PackageNotFoundError|: command not found$|cannot start .*No such file",
    ),
    (
        Kind.IMPORT,
        r"^(?:\S*\bImportError|OSError: .*undefined symbol)|undefined symbol: |operator torchvision::nms does not exist"
        r"|cannot open shared object file",
    ),
    (
        Kind.VARIABLE,
        r"unbound variable$|environment variable .*(?:not set|required|missing)|uses a variable that is not set",
    ),
    (
        Kind.FILE,
        r"No such file or directory|FileNotFoundError|(?:does not|doesn't) exist|not a local folder and is not a valid model",
    ),
    (
        Kind.COMMUNICATION,
        r"Watchdog caught collective operation timeout|\bNCCL error\b|ncclRemoteError|ncclSystemError|ncclInternalError"
        r"|ncclUnhandledCudaError|DistBackendError|DistNetworkError|DistStoreError|Connection closed by peer",
    ),
    (
        Kind.RAY,
        r"ray\.exceptions\.|^(?:The|A) (?:actor|worker) died|Raylet .*(?:died|exit)|GCS .*(?:unavailable|fail)"
        r"|Failed to (?:start|connect to) (?:the )?(?:GCS|raylet|Ray)",
    ),
)
"""Kinds by what their lines hold, the one that explains the others first."""

ERROR = re.compile(
    r"^(?:[\w.]*(?:Error|Exception)\b|orch-error: |engines\.\w+: |Traceback |Segmentation fault|.*\(core dumped\))"
)
PREFIX = re.compile(
    r"^(?:\[(?:rank|Rank )?\d+\]:?\s?|\(\w[^)]*pid=\d+[^)]*\)\s|(?:ERROR|CRITICAL)\s[\d-]+ [\d:.]+ \[[^\]]+\]\s)+"
)
"""What torchrun, Ray and vLLM put before a line."""
QUIET = re.compile(r"^\s*(?:\S+\s){0,4}(?:WARN(?:ING)?|INFO|DEBUG)\b(?! .*NCCL)")
"""Lines that say themselves that nothing died."""
ENVIRON = re.compile(r"""^KeyError: '[A-Z][A-Z0-9_]{2,}'$""")
"""What ``os.environ["NAME"]`` ends in."""


@dataclass(frozen=True)
class Cause:
    """What a job died of."""

    kind: Kind
    line: str
    """The log line, or the scheduler's word, that says so; empty if nothing does."""

    @property
    def advice(self) -> str:
        """What to do, in a few words."""
        return ADVICE[self.kind]

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.line}; {self.advice}"
            if self.line
            else f"{self.kind}; {self.advice}"
        )


def cause_of(state: JobState, said: str, left: ExitRecord | None, log: Sequence[str]) -> Cause:
    """The cause of a job that did not complete.

    Args:
        state: its final state; ``said``: what came with it (the reason of the scheduler or of the
            exit record).
        left: the exit record, None if it left none.
        log: the last lines of its log, in order.
    """
    found = from_log(log)
    if state in BY_STATE:
        kind = BY_STATE[state]
        return Cause(kind, found.line if found.kind is kind else said)
    if (
        left is not None
        and left.oom_kills
        and found.kind in (Kind.UNKNOWN, Kind.RAY, Kind.CODE, Kind.COMMUNICATION)
    ):
        return Cause(
            Kind.HOST_MEMORY,
            f"the kernel killed {left.oom_kills} of its processes for want of memory",
        )
    if found.kind is not Kind.UNKNOWN:
        return found
    return Cause(Kind.UNKNOWN, said)


def from_log(log: Sequence[str]) -> Cause:
    """The cause that a log's last lines name."""
    lines = [PREFIX.sub("", line.strip()) for line in log if not QUIET.match(line)]
    for kind, pattern in PATTERNS:
        told = [line for line in lines if re.search(pattern, line)]
        if kind is Kind.VARIABLE:
            told += [line for line in lines if ENVIRON.match(line)]
        if told:
            return Cause(kind, shortened(told[-1]))
    errors = [line for line in lines if ERROR.match(line) and not line.startswith("Traceback ")]
    return Cause(Kind.CODE, shortened(errors[-1])) if errors else Cause(Kind.UNKNOWN, "")


def shortened(line: str, most: int = 300) -> str:
    """A line without what makes it too long to read."""
    line = line.removeprefix("orch-error: ")
    return line if len(line) <= most else f"{line[: most - 3]}..."


def alike(line: str) -> str:
    """A line without what differs between jobs that die of the same: numbers, addresses, quoted
    paths."""
    return re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?|/\S+", "#", line)
