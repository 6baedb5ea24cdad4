"""Why a job failed: one kind, the line it was read from, and what to do. Pure.

In go a record that has failed, its exit record and the last lines of its log; out comes a
``Cause``, or by ``with_cause`` the record that says it. What counts is, in this order, the
scheduler's final state, what the node saw of the kernel's memory killer, the log. One failure drags
others behind it (a rank out of GPU memory ends as a dead actor and a broken collective elsewhere),
so of several kinds in a log the one that explains the others counts, whatever stands last. Every
pass calls it (orchestrator/lifecycle/observe.py); retry_policy.py decides what follows.

To add a kind: Kind, ADVICE, PATTERNS (the order matters), and AGAIN, LIKE_SIBLINGS or BY_STATE
where they apply.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from orchestrator.node.system import LAUNCHER_ERROR
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.sources import ExitRecord


class Kind(StrEnum):
    """Why jobs fail."""

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
    Kind.GPU_MEMORY: (
        "smaller micro-batches, shorter sequences or more GPUs; the same again dies again"
    ),
    Kind.CACHE_BLOCKS: (
        "raise gpu_memory_utilization, shorten max_model_len, or see who else is on the GPU"
    ),
    Kind.TIME_LIMIT: "orch retry asks for half as much time again",
    Kind.PREEMPTED: "orch retry starts it again",
    Kind.NODE: "orch retry starts it again, elsewhere if there is another node",
    Kind.COMMUNICATION: (
        "orch retry leaves this node out; if it comes back, look at the first rank that ended"
    ),
    Kind.RAY: "orch retry starts it again; if it comes back, look into Ray's log",
    Kind.DISK: "make room (df, quota), then orch retry",
    Kind.NOT_A_NUMBER: "lower the learning rate or clip gradients; the same again dies again",
    Kind.PACKAGE: (
        "install it in the environment of the jobs (the profile's setup and python), then"
        " orch retry --job"
    ),
    Kind.IMPORT: "two packages do not fit together; mend the environment, then orch retry --job",
    Kind.VARIABLE: "set it in the profile's environment or setup, then orch retry",
    Kind.FILE: "put it there or correct the path, then orch retry",
    Kind.CODE: "mend it, then orch retry --job; the same again dies again",
    Kind.CANCELLED: "orch retry starts it again",
    Kind.UNKNOWN: "read the log: orch logs",
}
"""What to do about each kind."""

# What Slurm's final state says by itself. FAILED is left out: it says no more than that the exit
# code was not 0.
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
"""Kinds that come from the code, the config or the environment: jobs of the same stage would fail
of them too."""


def any_of(*patterns: str) -> str:
    """A pattern that matches what one of these matches. It is compiled when a log is read: most
    commands read none."""
    return "|".join(patterns)


PATTERNS: dict[Kind, str] = {
    # A full disk breaks whatever is written next. Errno 28 is ENOSPC, 122 is EDQUOT.
    Kind.DISK: any_of(
        r"No space left on device",
        r"Disk quota exceeded",
        r"\[Errno (?:28|122)\]",
    ),
    # From torch's allocators for CUDA and ROCm, the CUDA runtime, and cuBLAS.
    Kind.GPU_MEMORY: any_of(
        r"CUDA out of memory",
        r"CUDA error: out of memory",
        r"HIP out of memory",
        r"CUBLAS_STATUS_ALLOC_FAILED",
    ),
    # vLLM at its start: weights and activations leave too little of the GPU for the KV cache, or
    # somebody else is on it.
    Kind.CACHE_BLOCKS: any_of(
        r"No available memory for the cache blocks",
        r"KV cache is needed, which is larger than the available",
        r"Free memory on device .* on startup is less than desired GPU memory utilization",
    ),
    # From slurmstepd, torch's CPU allocator, Python, Ray's memory monitor, and the C library.
    Kind.HOST_MEMORY: any_of(
        r"[Dd]etected \d+ oom[-_]kill event",
        r"DefaultCPUAllocator: can't allocate memory",
        r"^(?:\S+: )?MemoryError\b",
        r"killed due to the node running low on memory",
        r"[Cc]annot allocate memory",
        r"^ray\.exceptions\.OutOfMemoryError",
        r"Exceeded job memory limit",
    ),
    # A GPU that is broken or in use. Xid is what NVIDIA's driver calls its errors.
    Kind.NODE: any_of(
        # srun's line comes last, so it is the one that is quoted: it alone names the node.
        r"CANCELLED AT \S+ DUE TO NODE FAILURE",
        r"srun: error: Node failure on \S+",
        r"uncorrectable ECC error",
        r"CUDA error: device-side.*Xid",
        r"GPU has fallen off the bus",
        r"CUDA-capable device\(s\) is/are busy or unavailable",
        r"No CUDA GPUs are available",
    ),
    Kind.TIME_LIMIT: any_of(
        r"CANCELLED AT \S+ DUE TO TIME LIMIT",
    ),
    Kind.PREEMPTED: any_of(
        r"CANCELLED AT \S+ DUE TO PREEMPTION",
    ),
    # "probability tensor" is torch.multinomial, drawing a token from logits with NaN; "returned nan
    # values" is a backward function under torch's anomaly detection.
    Kind.NOT_A_NUMBER: any_of(
        r"the gradient is not finite",
        r"[Ll]oss is (?:nan|inf)",
        r"probability tensor contains either `?inf`?, `?nan`?",
        r"returned nan values",
        r"contains NaN",
        r"(?:nan|NaN) (?:loss|gradient)",
    ),
    # "cannot start" is what orchestrator/node/attempt.py says of a program that is not there.
    Kind.PACKAGE: any_of(
        r"ModuleNotFoundError: No module named",
        r"PackageNotFoundError",
        r": command not found$",
        r"cannot start .*No such file",
    ),
    # Compiled packages that were built for another version of torch, and shared libraries that the
    # loader does not find.
    Kind.IMPORT: any_of(
        r"^(?:\S*\bImportError|OSError: .*undefined symbol)",
        r"undefined symbol: ",
        r"operator torchvision::nms does not exist",
        r"cannot open shared object file",
    ),
    # "unbound variable" is bash under set -u.
    Kind.VARIABLE: any_of(
        r"unbound variable$",
        r"environment variable .*(?:not set|required|missing)",
        r"uses a variable that is not set",
    ),
    # "not a local folder" is transformers, of a model that is neither a path nor on the hub. After
    # PACKAGE and IMPORT, whose lines may end in "No such file or directory" too.
    Kind.FILE: any_of(
        r"No such file or directory",
        r"FileNotFoundError",
        r"(?:does not|doesn't) exist",
        r"not a local folder and is not a valid model",
    ),
    # So late because the other ranks print these when one rank has died of something else.
    Kind.COMMUNICATION: any_of(
        r"Watchdog caught collective operation timeout",
        r"\bNCCL error\b",
        r"ncclRemoteError",
        r"ncclSystemError",
        r"ncclInternalError",
        r"ncclUnhandledCudaError",
        r"DistBackendError",
        r"DistNetworkError",
        r"DistStoreError",
        r"Connection closed by peer",
    ),
    # Last: Ray tells of nearly everything above as an actor that died.
    Kind.RAY: any_of(
        r"ray\.exceptions\.",
        r"^(?:The|A) (?:actor|worker) died",
        r"Raylet .*(?:died|exit)",
        r"GCS .*(?:unavailable|fail)",
        r"Failed to (?:start|connect to) (?:the )?(?:GCS|raylet|Ray)",
    ),
}
"""Kinds by what their lines hold, the one that explains the others first."""

ERROR = re.compile(
    r"^(?:[\w.]*(?:Error|Exception)\b|orch-error: |engines\.\w+: |Traceback "
    r"|Segmentation fault|.*\(core dumped\))"
)
"""Lines that tell of an error."""
PREFIX = re.compile(
    r"^(?:"
    r"\[(?:rank|Rank )?\d+\]:?\s?"  # torchrun: [rank0]:
    r"|\(\w[^)]*pid=\d+[^)]*\)\s"  # Ray: (Worker pid=17)
    r"|(?:ERROR|CRITICAL)\s[\d-]+ [\d:.]+ \[[^\]]+\]\s"  # vLLM: ERROR 01-02 03:04:05 [core.py:7]
    r")+"
)
"""What torchrun, Ray and vLLM put before a line."""
QUIET = re.compile(r"^\s*(?:\S+\s){0,4}(?:WARN(?:ING)?|INFO|DEBUG)\b(?! .*NCCL)")
"""Lines that say themselves that nothing failed."""
ENVIRON = re.compile(r"""^KeyError: '[A-Z][A-Z0-9_]{2,}'$""")
"""What ``os.environ["NAME"]`` ends in."""


@dataclass(frozen=True)
class Cause:
    """Why a job failed."""

    kind: Kind
    line: str
    """The log line, or the scheduler's word, that says so; empty if nothing does."""

    @property
    def advice(self) -> str:
        """What to do, in a few words."""
        return ADVICE[self.kind]

    def __str__(self) -> str:
        named = f"{self.kind}: {self.line}" if self.line else str(self.kind)
        return f"{named}; {self.advice}"


def with_cause(record: Record, exit_record: ExitRecord | None, log: Sequence[bytes]) -> Record:
    """A failed record with why it failed, found once; one that has not failed (any more) without.

    Args:
        exit_record: of the newest attempt that has written one.
        log: the last lines of its log.
    """
    if record.state not in FAILED:
        return replace(record, cause="", died_of="") if record.cause else record
    if not record.cause:
        own = exit_record if exit_record is not None and exit_record.token == record.token else None
        # Remarks of the program on the node; what it calls an error begins with "orch-error: ".
        lines = [line.decode(errors="replace") for line in log if not line.startswith(b"orch: ")]
        cause = cause_of(record.state, record.reason, own, lines)
        record = replace(record, cause=str(cause.kind), died_of=explanation(record, cause, own))
        if own is not None and own.died_first is not None:
            # The scheduler names all nodes of a job; a retry should leave out one at most.
            record = replace(record, host=own.host)
    return replace(record, reason=record.died_of) if record.died_of else record


def explanation(record: Record, cause: Cause, exit_record: ExitRecord | None) -> str:
    """What is shown as the reason; empty where the record's own reason says as much."""
    if (
        cause.kind is Kind.UNKNOWN
        and exit_record is not None
        and exit_record.reason
        and exit_record.exit_code > 0
    ):
        # A last line alone does not say that it was the last.
        return f"exit code {exit_record.exit_code}: {record.reason}"
    if cause.kind in (Kind.UNKNOWN, Kind.CANCELLED):
        return ""
    first = exit_record.died_first if exit_record is not None else None
    if first is None or first["node"] is None:
        return str(cause)
    return f"node {first['node']} ended first: {cause}"


def cause_of(
    state: JobState, said: str, exit_record: ExitRecord | None, log: Sequence[str]
) -> Cause:
    """The cause of a job that did not complete.

    Args:
        state: its final state.
        said: what came with it: the reason of the scheduler or of the exit record.
        exit_record: None if it has written none.
        log: the last lines of its log, in order.
    """
    found = from_log(log)
    if state in BY_STATE:
        kind = BY_STATE[state]
        # A line of the log is quoted if it tells of the same; else the scheduler's word is.
        return Cause(kind, found.line if found.kind is kind else said)
    # What a process says last when another one of its job was killed.
    may_follow_a_kill = found.kind in (Kind.UNKNOWN, Kind.RAY, Kind.CODE, Kind.COMMUNICATION)
    if exit_record is not None and exit_record.oom_kills and may_follow_a_kill:
        return Cause(
            Kind.HOST_MEMORY,
            f"the kernel killed {exit_record.oom_kills} of its processes for want of memory",
        )
    return Cause(Kind.UNKNOWN, said) if found.kind is Kind.UNKNOWN else found


def from_log(log: Sequence[str]) -> Cause:
    """The cause that a log's last lines name."""
    lines = [PREFIX.sub("", line.strip()) for line in log if not QUIET.match(line)]
    for kind, pattern in PATTERNS.items():
        fitting = [line for line in lines if re.search(pattern, line)]
        # "KeyError: 'HF_TOKEN'" is a missing variable, "KeyError: 'loss'" an error in the code.
        if kind is Kind.VARIABLE:
            fitting += [line for line in lines if ENVIRON.match(line)]
        if fitting:
            return Cause(kind, shortened(fitting[-1]))
    never = ("Traceback ", LAUNCHER_ERROR)
    errors = [line for line in lines if ERROR.match(line) and not line.startswith(never)]
    if errors:
        return Cause(Kind.CODE, shortened(errors[-1]))
    return Cause(Kind.UNKNOWN, "")


def shortened(line: str, most: int = 300) -> str:
    """A line without what makes it too long to read."""
    line = line.removeprefix("orch-error: ")
    return line if len(line) <= most else f"{line[: most - 3]}..."


def alike(line: str) -> str:
    """A line without what differs between jobs that fail of the same: numbers, addresses, quoted
    paths."""
    # "step 312: loss is nan" becomes "step #: loss is nan".
    return re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?|/\S+", "#", line)
