"""What the lines of a log look like that tell of each kind of failure, as torch, vLLM, Ray, NCCL,
Slurm, Python, shells, containers and licence servers write them. Data, and look-ups in it. Pure.

``of_exception`` judges what one exception says, ``of_lines`` lines without one. Called by
failure_causes.py alone.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.deaths.machine_words import KILLED, OF_MACHINES
from orchestrator.lifecycle.deaths.patterns import any_of, compiled
from orchestrator.lifecycle.deaths.program_words import LAST, OF_PROGRAMS
from orchestrator.lifecycle.deaths.tracebacks import Raised

TEXT = 2000
"""So many letters of a message are read."""
FAR, SUSPECTS, NEAR = 250, 100, 10
"""So many lines at the end are looked at, so many suspicious ones of them are read, and so many are
near the end."""

# Slurm's own words. They stand above whatever the program says.
SCHEDULER: Mapping[Kind, str] = {
    # Behind it what Slurm's cousins say, under which a program may run all the same.
    Kind.TIME_LIMIT: r"CANCELLED AT \S+ (?i:due to) TIME LIMIT|job killed: walltime",
    Kind.PREEMPTED: r"CANCELLED AT \S+ (?i:due to) PREEMPTION",
    # srun's line comes last, so it is the one that is quoted: it alone names the node.
    Kind.NODE: any_of(
        r"CANCELLED AT \S+ (?i:due to) NODE FAILURE",
        r"srun: error: Node failure on \S+",
    ),
}
ERRNO = r"(?:\[Errno |\(os error |\berrno(?::| =|=)? |\bcode: (?=\d+, kind))(?P<n>-?\d+)"
"""How Python, Rust and C programs give the number of a system error."""
BY_ERRNO: Mapping[int, Kind] = {
    2: Kind.FILE,  # ENOENT
    **dict.fromkeys((1, 13), Kind.PERMISSION),  # EPERM, EACCES
    **dict.fromkeys((27, 28, 122), Kind.DISK),  # EFBIG, ENOSPC, EDQUOT
    12: Kind.HOST_MEMORY,  # ENOMEM
    98: Kind.PORT,  # EADDRINUSE
    8: Kind.PROGRAM,  # ENOEXEC
    **dict.fromkeys((11, 23, 24), Kind.LIMIT),  # EAGAIN, ENFILE, EMFILE
    # What a file system over a network says when its server or its client is not well: EIO, ENXIO,
    # EBUSY, ENODEV, ETXTBSY, EROFS, EDEADLK, ENOLCK, ENOSYS, ENOTEMPTY, ECOMM, EPROTO, EBADMSG,
    # ENOTCONN, ESHUTDOWN, EHOSTDOWN, ESTALE, EUCLEAN, EREMOTEIO
    **dict.fromkeys(
        (5, 6, 16, 19, 26, 30, 35, 37, 38, 39, 70, 71, 74, 107, 108, 112, 116, 117, 121),
        Kind.FILE_SYSTEM,
    ),
    # EADDRNOTAVAIL, ENETDOWN, ENETUNREACH, ENETRESET, ECONNABORTED, ECONNRESET, ETIMEDOUT,
    # ECONNREFUSED, EHOSTUNREACH; and of getaddrinfo EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_NODATA
    **dict.fromkeys((99, 100, 101, 102, 103, 104, 110, 111, 113, -2, -3, -4, -5), Kind.NETWORK),
}
"""Kinds by the number of the error on Linux, where jobs run. Of others (a folder in place of a
file, a name too long) the program is the cause."""

BY_NAME: Mapping[Kind, str] = {
    Kind.HOST_MEMORY: r"MemoryError|_?ArrayMemoryError|ArrowMemoryError|RayOutOfMemoryError",
    Kind.PACKAGE: r"ModuleNotFoundError|PackageNotFoundError|DistributionNotFound",
    Kind.IMPORT: r"ImportError|VersionConflict|ContextualVersionConflict",
    Kind.FILE: (
        r"FileNotFoundError|EntryNotFoundError|RevisionNotFoundError|DatasetNotFoundError"
        r"|NoSuchKey|NoSuchBucket|MissingConfigException"
    ),
    Kind.PERMISSION: (
        r"PermissionError|GatedRepoError|AuthenticationError|PermissionDeniedError|AccessDenied"
        r"|NoCredentialsError|RepositoryNotFoundError"
    ),
    Kind.ENVIRONMENT: (
        r"CommandNotFoundError|EnvironmentNameNotFound|EnvironmentLocationNotFound|CondaError"
    ),
    Kind.BROKEN_FILE: (
        r"SafetensorError|UnpicklingError|BadZipFile|BadGzipFile|UnidentifiedImageError|LZMAError"
    ),
    Kind.LICENCE: r"LicenseError|LicenceError",
    Kind.NOT_A_NUMBER: r"FloatingPointError",
    Kind.RAY: (
        r"ActorDiedError|RayActorError|WorkerCrashedError|RaySystemError|ActorUnavailableError"
        r"|ObjectLostError|OwnerDiedError|NodeDiedError|RaySystemError|RuntimeEnvSetupError"
        r"|LocalRayletDiedError|ObjectFetchTimedOutError|GetTimeoutError|RpcError"
    ),
    Kind.COMMUNICATION: r"DistBackendError|DistNetworkError|DistStoreError|RendezvousTimeoutError"
    r"|RendezvousConnectionError|RendezvousClosedError",
    Kind.NETWORK: (
        r"ConnectionError|ConnectTimeout|ReadTimeout|ConnectTimeoutError|ReadTimeoutError"
        r"|MaxRetryError|NewConnectionError|NameResolutionError|gaierror|SSLError|ProxyError"
        r"|SSLCertVerificationError|SSLEOFError|ChunkedEncodingError|IncompleteRead|ProtocolError"
        r"|RemoteDisconnected|URLError|ClientConnectorError|ServerDisconnectedError|ConnectError"
        r"|ClientPayloadError|ServerTimeoutError|ClientOSError|APIConnectionError|APITimeoutError"
        r"|RateLimitError|InternalServerError|ServiceUnavailableError|EndpointConnectionError"
        r"|LocalEntryNotFoundError|OfflineModeIsEnabled|ReadError|RemoteProtocolError|CommError"
        r"|ConnectionRefusedError|ConnectionResetError|ConnectionAbortedError|RetryError"
        r"|IncompleteReadError|ServiceException|OverloadedError|\w+Timeout(?:Error|Exception)?"
        r"|Connect\w*(?:Error|Timeout)|\w+Connect\w*Error"
    ),
}
"""Kinds by the names of exceptions, without their modules. Looked at after MESSAGES."""

FOLLOWS = any_of(
    r"^(?:[\w.]+\.)?(?:ChildFailedError|SignalException|EngineDeadError|BrokenProcessPool"
    r"|CalledProcessError|ProcessExitedException|ProcessRaisedException|SystemExit"
    r"|KeyboardInterrupt|BrokenPipeError|AsyncEngineDeadError|TerminatedWorkerError"
    r"|CancelledError|RemoteTraceback|EOFError$|RPCError|FutureTimeoutError)\b",
    r"^(?:[\w.]+\.)?Connection(?:Reset|Aborted|Refused)Error: \[Errno \d+\]",
    r"Engine core initialization failed",
    r"Engine(?:Core| core) (?:encountered|proc \S+ died|process (?:died|failed))",
    r"Engine (?:process|loop) (?:failed to start|has died|is not running)",
    r"WorkerProc initialization failed due to an exception",
    r"Worker (?:proc|process) .* died unexpectedly",
    r"Executor failed\.?$",
    r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) exited unexpectedly",
    r"process \d+ terminated with (?:exit code|signal)",
    r"returned non-zero exit status|[Ll]ook at the errors above|MPI_A(?:BORT|bort)",
    r"died with <Signals\.",
    r"A process in the process pool was terminated abruptly",
    r"(?:One|Some) of the (?:subprocess|background worker|workers?)",
    r"background workers? (?:are|is) no longer alive",
    r"\b(?:[Aa]ctor|[Ww]orker|[Ee]ngine)\b.{0,60}\b(?:died|dead|exited unexpectedly)\b",
)
"""Exceptions that another one's death brings about. They decide only where nothing else is said."""


WORDS = (*OF_MACHINES, *OF_PROGRAMS)
"""Kinds by what a message or a line holds, the one that explains the others first."""


STRONG = frozenset(
    {
        Kind.SHARED_MEMORY,
        Kind.GPU_MEMORY,
        Kind.CACHE_BLOCKS,
        Kind.DISK,
        Kind.HOST_MEMORY,
        Kind.NODE,
        Kind.SITE,
        Kind.CONTAINER,
        Kind.NOT_A_NUMBER,
    }
)
"""Kinds whose lines count wherever they stand. A program may print those of others and go on, so
outside of an exception they count only among the last lines."""
LATE = frozenset({Kind.COMMUNICATION, Kind.RAY})
"""Kinds whose lines follow from something else."""
MISTAKES = (
    r"index out of (?:range|bounds)|device-side assert triggered|Duplicate GPU detected"
    r"|invalid device ordinal|ncclInvalid(?:Usage|Argument)|out of resource: shared memory"
    r"|unrecognized arguments"
)
"""What has words of another kind, and is the program's own mistake."""
OF_THE_PROGRAM = (
    r"TypeError|NameError|IndexError|UnboundLocalError|SyntaxError|IndentationError|TabError"
    r"|ZeroDivisionError|RecursionError|NotImplementedError"
)
"""Exceptions of which the program is the cause whatever their message says."""
FEW_WORDS = r"AttributeError|KeyError"
WORDS_OF_THESE = frozenset({Kind.IMPORT, Kind.VARIABLE})
"""Kinds that the message of an AttributeError or KeyError can tell."""
WORDS_OF_FOLLOWERS = frozenset(
    {
        Kind.HOST_MEMORY,
        Kind.SHARED_MEMORY,
        Kind.GPU_MEMORY,
        Kind.CRASH,
        Kind.BROKEN_FILE,
        Kind.COMMUNICATION,
        Kind.NETWORK,
        Kind.RAY,
    }
)
"""Kinds that an exception which follows from another may tell; a command line that it quotes may
hold words of any."""
SUSPECT = tuple(
    (  # noqa: SIM905  # a line a word would be longer than the rest
        "err|fail|fatal|kill|exception|denied|refused|cannot|can't|couldn't|could not|unable|"
        "no such|not found|invalid|abort|fault|memory|nan|time|quota|space|missing|not |xid|"
        "ecc|lost|busy|licen|resource|retries|request|unknown|corrupt|truncat|dumped|signal|"
        "exit|died|dead|nccl|alloc|detected|locked|unavailable|unbound|stale|instruction|"
        "conda|module|pyxis|enroot|closed"
    ).split("|")
)
"""One at least of these stands in what the patterns match; to look for them first takes a tenth
of the time."""


def of_scheduler(lines: Sequence[str]) -> tuple[Kind, str] | None:
    """What Slurm itself says the job ended of, with its line."""
    said = [
        line
        for line in lines
        if "CANCELLED" in line or "Node failure" in line or "job killed" in line
    ]
    return by_order(said, tuple(SCHEDULER.items())) if said else None


def kill_for_memory(lines: Sequence[str]) -> str:
    """The last line that tells of a process that was killed for want of memory; empty if none
    does."""
    for line in reversed(lines):
        # The pattern needs one of these; a look at them takes a tenth of its time.
        if ("emory" in line or "oom" in line) and compiled(KILLED).search(line):
            return line
    return ""


def of_text(text: str, kinds: Container[Kind] | None = None) -> Kind | None:
    """The kind that a text's words name, among ``kinds`` where given; None: none of them."""
    for kind, pattern in WORDS if kinds is None else (*WORDS, *LAST):
        if (kinds is None or kind in kinds) and compiled(pattern).search(text):
            return kind
    return None


def follows(raised: Raised) -> bool:
    """Whether an exception is of the sort that another one's death brings about."""
    said = raised.text
    # "BackendCompilerFailed: backend='inductor' raised:" says it in the next line.
    if said.endswith(":") and raised.message:
        said = f"{said} {raised.message[0]}"
    return compiled(FOLLOWS).search(said) is not None


def of_exception(raised: Raised) -> Kind:
    """The kind of one exception by itself, whatever it was raised from."""
    text = " ".join((raised.text, *raised.message))[:TEXT]
    if follows(raised):
        return of_text(text, WORDS_OF_FOLLOWERS) or Kind.UNKNOWN
    if compiled(OF_THE_PROGRAM).fullmatch(raised.short) or compiled(MISTAKES).search(text):
        return Kind.CODE
    if compiled(FEW_WORDS).fullmatch(raised.short):
        return of_text(raised.text, WORDS_OF_THESE) or Kind.CODE
    # A full /dev/shm has the number of a full disk.
    shared = of_text(text, {Kind.SHARED_MEMORY})
    return shared or of_errno(raised.text) or of_text(text) or of_name(raised) or Kind.CODE


def of_errno(text: str) -> Kind | None:
    """The kind of a system error by its number."""
    found = compiled(ERRNO).search(text)
    if found is None:
        return None
    kind = BY_ERRNO.get(int(found["n"]))
    # HDF5 and SQLite lock files with calls that say EAGAIN.
    if kind is Kind.LIMIT and "lock" in text:
        return Kind.FILE_SYSTEM
    return kind


def of_name(raised: Raised) -> Kind | None:
    """The kind of an exception by its name."""
    for kind, pattern in BY_NAME.items():
        if compiled(pattern).fullmatch(raised.short):
            return kind
    return None


def of_lines(lines: Sequence[str]) -> tuple[Kind, str] | None:
    """The kind that lines outside of exceptions name, with the line.

    Strong kinds by their order, wherever they stand; then the last line that names any; then what
    follows from something else.
    """
    suspects = [line for line in lines[-FAR:] if is_suspect(line)][-SUSPECTS:]
    strong = [(kind, pattern) for kind, pattern in WORDS if kind in STRONG]
    late = [(kind, pattern) for kind, pattern in WORDS if kind in LATE]
    return (
        by_order(suspects, strong)
        or by_place(lines[-NEAR:])
        or by_order(suspects, late)
        or by_order(suspects, LAST)
    )


def is_suspect(line: str) -> bool:
    """Whether a line may tell of anything bad."""
    lower = line.lower()
    return any(word in lower for word in SUSPECT)


def by_order(lines: Sequence[str], words: Sequence[tuple[Kind, str]]) -> tuple[Kind, str] | None:
    """The first of these kinds that a line names, with the last such line."""
    for kind, pattern in words:
        for line in reversed(lines):
            if compiled(pattern).search(line):
                return kind, line
    return None


def by_place(lines: Sequence[str]) -> tuple[Kind, str] | None:
    """The last line that names a kind which is not late."""
    for line in reversed(lines):
        kind = of_text(line)
        if kind is not None and kind not in LATE:
            return kind, line
    return None
