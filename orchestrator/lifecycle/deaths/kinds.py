"""The kinds of failure: what to do about each, whether another attempt may end differently, and
which other jobs would fail of it too. Pure data.

Called by failure_causes.py, which finds the kind of a failed job, and by retry_policy.py, which
acts on it. To add a kind: Kind and ADVICE here, its signatures in signatures.py, and AGAIN,
EVERYWHERE or WITH_THESE_VALUES where they apply.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.runs.record import JobState


class Kind(StrEnum):
    """Why jobs fail."""

    HOST_MEMORY = "host memory"
    SHARED_MEMORY = "shared memory"
    GPU_MEMORY = "GPU memory"
    CACHE_BLOCKS = "no room for the KV cache"
    TIME_LIMIT = "time limit"
    PREEMPTED = "preempted"
    NODE = "node failure"
    SITE = "site prolog or epilog"
    COMMUNICATION = "communication between GPUs"
    RAY = "Ray"
    NETWORK = "network"
    PORT = "port in use"
    FILE_SYSTEM = "file system"
    DISK = "disk full or over quota"
    LIMIT = "limit on files or processes"
    LICENCE = "licence"
    CONTAINER = "container"
    NOT_A_NUMBER = "NaN"
    PACKAGE = "missing package"
    IMPORT = "import error"
    ENVIRONMENT = "Python environment"
    SETUP = "setup of the profile"
    VARIABLE = "missing variable"
    FILE = "missing file"
    BROKEN_FILE = "broken file"
    PERMISSION = "no permission"
    PROGRAM = "program cannot run here"
    CRASH = "crash"
    CODE = "error in code or config"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


ADVICE = {
    Kind.HOST_MEMORY: "orch retry asks for half as much memory again",
    Kind.SHARED_MEMORY: (
        "orch retry asks for half as much memory again; or fewer data workers, or a larger /dev/shm"
        " in the container"
    ),
    Kind.GPU_MEMORY: (
        "smaller micro-batches, shorter sequences or more GPUs; unchanged, it fails again"
    ),
    Kind.CACHE_BLOCKS: (
        "raise gpu_memory_utilization, shorten max_model_len, or see who else is on the GPU"
    ),
    Kind.TIME_LIMIT: "orch retry asks for half as much time again",
    Kind.PREEMPTED: "orch retry starts it again",
    Kind.NODE: "orch retry starts it again, elsewhere if there is another node",
    Kind.SITE: "orch retry leaves this node out; if it comes back, tell the site",
    Kind.COMMUNICATION: (
        "orch retry leaves this node out; if it comes back, look at the first rank that ended"
    ),
    Kind.RAY: "orch retry starts it again; if it comes back, look into Ray's log",
    Kind.NETWORK: (
        "orch retry starts it again; where nodes have no way out, fetch it beforehand"
        " (HF_HUB_OFFLINE=1, WANDB_MODE=offline)"
    ),
    Kind.PORT: "orch retry starts it again; let the program choose a free port (port 0)",
    Kind.FILE_SYSTEM: "orch retry leaves this node out; if it comes back, tell the site",
    Kind.DISK: "make room (df, quota), then orch retry",
    Kind.LIMIT: "fewer workers or threads, or ulimit -n and -u in the profile's setup; orch retry",
    Kind.LICENCE: "wait for a free one or see to its server, then orch retry",
    Kind.CONTAINER: (
        "see that the image, its mounts and the runtime are there on the node, then orch retry"
    ),
    Kind.NOT_A_NUMBER: "lower the learning rate or clip gradients; unchanged, it fails again",
    Kind.PACKAGE: (
        "install it in the environment of the jobs (the profile's setup and python), then"
        " orch retry --job JOB"
    ),
    Kind.IMPORT: "two packages do not fit together; fix the environment, then orch retry --job JOB",
    Kind.ENVIRONMENT: (
        "fix the environment that the profile's setup and python name, then orch retry --job JOB"
    ),
    Kind.SETUP: "fix that line of the profile's setup, then orch retry",
    Kind.VARIABLE: "set it in the profile's environment or setup, then orch retry",
    Kind.FILE: "put it there or correct the path, then orch retry",
    Kind.BROKEN_FILE: "remove it and have it made or fetched again, then orch retry",
    Kind.PERMISSION: (
        "see who may read or write it (ls -l, id), or whether a token is set and was granted"
        " access, then orch retry"
    ),
    Kind.PROGRAM: (
        "see its first line, its mode (chmod +x) and which processor it was built for, then"
        " orch retry --job JOB"
    ),
    Kind.CRASH: "orch retry leaves this node out; if it comes back, it is the program",
    Kind.CODE: "fix it, then orch retry --job JOB; unchanged, it fails again",
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
        Kind.SHARED_MEMORY,
        Kind.TIME_LIMIT,
        Kind.PREEMPTED,
        Kind.NODE,
        Kind.SITE,
        Kind.COMMUNICATION,
        Kind.RAY,
        Kind.NETWORK,
        Kind.PORT,
        Kind.FILE_SYSTEM,
        Kind.DISK,
        Kind.LIMIT,
        Kind.LICENCE,
        Kind.CONTAINER,
        Kind.SETUP,
        Kind.VARIABLE,
        Kind.FILE,
        Kind.BROKEN_FILE,
        Kind.PERMISSION,
        Kind.CRASH,
        Kind.CANCELLED,
        Kind.UNKNOWN,
    }
)
"""Kinds of which another try may end differently, because it asks for more, runs elsewhere, or the
world around it has changed."""

EVERYWHERE = frozenset(
    {
        Kind.PACKAGE,
        Kind.IMPORT,
        Kind.ENVIRONMENT,
        Kind.SETUP,
        Kind.VARIABLE,
        Kind.PROGRAM,
    }
)
"""Kinds that come from what all jobs of a stage share: the rest of it would fail of them too."""
WITH_THESE_VALUES = frozenset(
    {
        Kind.NOT_A_NUMBER,
        Kind.GPU_MEMORY,
        Kind.CACHE_BLOCKS,
        Kind.FILE,
        Kind.BROKEN_FILE,
        Kind.PERMISSION,
        Kind.CODE,
    }
)
"""Kinds that may come from a job's own values: a job of the stage would fail of them too if it has
the values that those which failed have in common."""
