"""What lines hold that tell of a program and of what it asks for: ports, files, packages, rights,
variables, the network, other processes, as Python, its packages, shells and libraries write them.

In the order in which they are looked for: the kind that explains the others first. Data, called by
signatures.py alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.deaths.patterns import any_of

OF_PROGRAMS: Sequence[tuple[Kind, str]] = (
    (
        Kind.PORT,
        any_of(
            r"[Aa]ddress already in use|EADDRINUSE",
            r"[Pp]ort \d+ (?:is )?(?:already |currently )?(?:in use|taken|occupied|not available)",
            r"[Ff]ailed to (?:bind|listen)",
            r"already listening on|Cannot find empty port",
        ),
    ),
    (
        Kind.FILE_SYSTEM,
        any_of(
            r"[Ss]tale (?:NFS )?file handle",
            r"[Ii]nput/output error|Remote I/O error|disk I/O error",
            r"Transport endpoint is not connected|[Tt]ransport endpoint shutdown",
            r"Read-only file system",
            r"[Nn]o locks available|unable to lock file|Failed to lock|could not acquire lock",
            r"database is locked|The file lock .* could not be acquired",
            r"due to filesystem latency|Structure needs cleaning|Host is down",
            r"mount point does not exist",
            r"Device or resource busy|Resource deadlock avoided",
        ),
    ),
    (
        Kind.LIMIT,
        any_of(
            r"[Tt]oo many open files",
            r"can't start new thread|pthread_create.{0,40}(?:failed|[Rr]esource)",
            r"[Rr]esource temporarily unavailable",
            r"fork: (?:retry: )?|unable to create new native thread|RLIMIT_NPROC",
            r"[Ff]ile size limit exceeded|CPU time limit exceeded",
        ),
    ),
    # The environment itself, before the packages in it.
    (
        Kind.ENVIRONMENT,
        any_of(
            r"[Rr]un 'conda init'|conda init|not been properly configured to use 'conda",
            r"[Cc]ould not find conda environment|[Nn]ot a conda environment",
            r"Lmod has detected the following error|module\(s\) are unknown|following module\(s\)",
            r"Unable to locate a modulefile|ModuleCmd_\w+|module: command not found",
            r"No module named '?encodings|init_fs_encoding|can't find Python|initfsencoding",
            r"(?:activate|conda\.sh): No such file or directory",
            r"(?<!M: )bad interpreter: No such file",
            r"no kernel image is available|hipErrorNoBinaryForGpu",
            r"not compatible with the current PyTorch",
            r"CUDA driver version is insufficient|NVIDIA driver on your system is too old",
            r"[Nn]ot compiled with (?:CUDA|cuda|ROCm)|CUDA extension is not installed",
            r"[Rr]equires (?:a different )?Python\b",
            r"Python \d\.\d+ or (?:newer|later|above) is required",
            r"CUDA_HOME environment variable is not set|version of CUDA .{0,60}mismatches",
            r"virtualenv.{0,40}(?:not found|does not exist)",
            r"does not match the version torch was compiled with",
        ),
    ),
    # "cannot start" is what orchestrator/node/attempt.py says of a program that is not there.
    (
        Kind.PACKAGE,
        any_of(
            r"[Nn]o module named '?\w",
            r"[Pp]ackage.{0,60}(?:is not installed|not found|could not be found)",
            r": command not found|fatal error: \S+\.h(?:pp)?: No such file",
            r"(?:[Ff]ind|[Ff]ound|[Ll]ocate) .{0,30}(?:compiler|installation)",
            r"cannot start .*No such file",
            r"requires? .{1,60} but it was not found in your environment",
            r"(?:executable|program) (?:file )?(?:not found|could not be found)",
            r"pip install\b",
            r"there is no package called",
            r"has not been installed|(?:is|be) not installed",
        ),
    ),
    # Compiled packages that were built for another version of torch, and shared libraries that the
    # loader does not find.
    (
        Kind.IMPORT,
        any_of(
            r"undefined symbol",
            r"operator torchvision::nms does not exist",
            r"cannot open shared object file",
            r"GLIBC(?:XX)?_[\d.]+'? not found",
            r"module compiled against A[BP]I version|compiled using NumPy 1",
            r"numpy\.\w+ size changed",
            r"cannot import name|but (?:source|JAX) was (?:compiled|built)",
            r"is required for a normal functioning of this module",
            r"requires \S+[<>=]=\S+.{0,40}found",
            r"Failed to import \S+ because of the following error",
            r"has no attribute '(?:_ARRAY_API|float|int|bool|object)'$",
            r"version `[\w.]+' not found",
        ),
    ),
    # "unbound variable" is bash under set -u.
    (
        Kind.VARIABLE,
        any_of(
            r"unbound variable$",
            r"environment variable .{0,120}(?:not set|required|missing|not found)",
            r"environment variable .{0,120}(?:undefined|expected)",
            r"(?:set|setting|define) (?:the )?[A-Z][A-Z0-9_]+ environment variable",
            r"[Ee]nvironment variable '?\w+'? (?:is )?not",
            r"uses a variable that is not set",
            r"parameter (?:null or )?not set$",
            r"^KeyError: '[A-Z][A-Z0-9_]{2,}'$",
        ),
    ),
    (
        Kind.PROGRAM,
        any_of(
            r"[Ee]xec format error|cannot execute binary file",
            r"\^M: bad interpreter|\\r'?: No such file|cannot execute: required file not found",
            r"[Ii]llegal instruction",
            r"requires (?:the )?AVX|CPU does not support|x86-64-v\d",
        ),
    ),
    (
        Kind.PERMISSION,
        any_of(
            r"[Pp]ermission denied|[Oo]peration not permitted|[Aa]ccess (?:is )?denied",
            r"\b(?:401|403)\b.{0,40}(?:[Uu]nauthori[sz]ed|[Ff]orbidden|[Cc]lient)",
            r"[Gg]ated repo|[Aa]ccess to (?:model|dataset) \S+ is restricted",
            r"make sure you are authenticated",
            r"[Ii]nvalid (?:credentials|username|user token|API key)|api_key not configured",
            r"Not logged in",
            r"[Aa]uthentication (?:failed|required)|could not read (?:Username|Password)",
            r"do not have permission|not authorized|Host key verification failed",
        ),
    ),
    (
        Kind.BROKEN_FILE,
        any_of(
            r"failed finding central directory|PytorchStreamReader failed|archive is corrupted",
            r"[Ee]rror while deserializing header|[Hh]eaderTooLarge|HeaderTooSmall",
            r"IncompleteBuffer",
            r"[Ii]ncomplete metadata|InvalidHeader",
            r"Ran out of input|pickle data was truncated|invalid load key",
            r"[Nn]ot a (?:gzipped file|zip file|HDF5 file|Parquet file)|end-of-stream marker",
            r"JSON parse error|[Pp]arquet magic bytes|Parquet file size is 0 bytes",
            r"Couldn't deserialize thrift",
            r"truncated|file signature not found|unexpected end of (?:data|file)|[Uu]nexpected EOF",
            r"image file is truncated|cannot identify image file",
            r"[Cc]orrupt(?:ed)?\b(?!/incomplete| (?:size|top|double|unsorted))",
            r"CRC check failed|[Cc]hecksum (?:mismatch|error)|[Cc]onsistency check failed",
            r"Invalid data found when processing input|is corrupt(?:ed)?\b",
            r"malformed (?:file|database)",
            r"ExpectedMoreSplits|NonMatchingChecksumError|NonMatchingSplitsSizesError",
        ),
    ),
    # "not a local folder" is transformers, of a model that is neither a path nor on the hub. After
    # the kinds above, whose lines may end in "No such file or directory" too.
    (
        Kind.FILE,
        any_of(
            r"No such file or directory|no such file or directory|does the directory exist",
            r"not a local folder and is not a valid model|does not appear to have a file named",
            r"Can't load (?:the )?[\w ]{1,30} for '",
            r"(?:[Ff]ile|[Pp]ath|[Ff]older|[Dd]irectory)\b.{0,160}does(?: not|n't) exist",
            r"[Cc]heckpoint\b.{0,160}does(?: not|n't) exist",
            r"(?:does not|doesn't) exist:? .{0,3}/",
            r"404 (?:Client Error|Not Found)|\(404\)|Error 404",
            r"[Nn]o (?:files?|checkpoints?|data) (?:was |were )?found (?:in|at|under)",
        ),
    ),
    (
        Kind.CRASH,
        any_of(
            r"[Ss]egmentation fault|SIGSEGV|\bsegfault\b",
            r"Fatal Python error: (?!Aborted)|SIGFPE|[Ff]loating point exception|SIGILL",
            r"double free or corruption|free\(\): invalid|malloc\(\): ",
            r"corrupted (?:size|double-linked)",
            r"munmap_chunk|stack smashing detected|pure virtual method called|realloc\(\): ",
            r"illegal memory access|unspecified launch failure|misaligned address",
            r"invalid program counter",
            r"CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|NOT_INITIALIZED)",
            r"CUDNN_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR|NOT_INITIALIZED)",
            r"Caught signal (?!6\b|15\b)\d+|LLVM ERROR|Memory access fault by GPU",
        ),
    ),
    # So late because the other ranks print these when one rank has died of something else.
    (
        Kind.COMMUNICATION,
        any_of(
            r"Watchdog caught collective operation timeout",
            r"\bNCCL error\b|NCCL communicator was aborted|NCCL timeout",
            r"nccl(?:Remote|System|Internal|UnhandledCuda)Error",
            r"DistBackendError|DistNetworkError|DistStoreError|Rendezvous\w+Error",
            r"Connection closed by (?:remote )?peer|connectFullMesh failed|pair\.cc",
            r"TCPStore|(?:wait|[Ss]ocket) [Tt]imeout(?: after)?|recvValue failed|failed to recv",
            r"[Tt]imed out (?:initializing process group|after \d+ms waiting)",
            r"monitoredBarrier|ranks? failed to (?:pass|join)|heartbeat monitor",
            r"[Bb]arrier timed out|DEADLINE_EXCEEDED",
            r"UCX +ERROR|ibv_\w+ failed|libfabric",
            r"PMIX(?:_| ERROR)|PMI2?_Init|OPAL ERROR|NVSHMEM",
        ),
    ),
    # From the libraries that fetch from the web, and from what they stand on.
    (
        Kind.NETWORK,
        any_of(
            r"\b(?:408|425|429|50[0234]|52[024])\b.{0,30}(?:Client|Server|[Ee]rror|Too Many"
            r"|Bad Gateway|Service|Gateway|Unavailable)",
            r"[Tt]oo [Mm]any [Rr]equests|toomanyrequests|rate[ -]?limit",
            r"Max retries exceeded|[Tt]emporary failure in name resolution",
            r"Name or service not known",
            r"[Cc]ould not resolve (?:host|hostname)|[Ff]ailed to resolve|getaddrinfo",
            r"[Nn]etwork is unreachable|No route to host",
            r"[Cc]onnection (?:timed out|refused|reset|aborted)",
            r"[Cc]ouldn't connect to|[Ff]ailed to establish",
            r"[Ff]ailed to connect(?! to (?:the )?(?:GCS|raylet|[Rr]ay))",
            r"[Uu]nable to (?:connect|access) '?http",
            r"Read timed out|[Cc]onnect(?:ion)? time(?:d )?out|(?:operation|request) timed out",
            r"i/o timeout",
            r"CERTIFICATE_VERIFY_FAILED|SSL(?:EOF)?(?:Error|: )",
            r"certificate (?:verify failed|has expired)",
            r"[Rr]emote end closed connection|[Ss]erver disconnected|early EOF|RPC failed",
            r"[Ss]ervice [Uu]navailable|[Bb]ad [Gg]ateway|[Gg]ateway [Tt]ime-?out",
            r"outgoing traffic has been disabled|cannot reach|Couldn't reach",
            r"Retrying \(Retry\(total=0|[Cc]onnection was closed|communicating with wandb",
            r"Run initialization has timed out|[Nn]etwork error",
        ),
    ),
    # Ray tells of nearly everything above as an actor that died.
    (
        Kind.RAY,
        any_of(
            r"ray\.exceptions\.",
            r"^(?:The|A) (?:actor|worker) (?:died|is dead)",
            r"[Rr]aylet.{0,80}(?:died|exit|killed|fail)",
            r"GCS .*(?:unavailable|fail)",
            r"[Ff]ailed to (?:start|connect to) (?:the )?(?:GCS|raylet|Ray)",
            r"[Pp]lacement group .{0,60}(?:timeout|cannot|unable|fail)",
            r"node .{0,60}(?:marked dead|has been marked as dead)",
        ),
    ),
    # What many other lines look like too.
    (
        Kind.FILE,
        r"(?:n't|[Cc]annot|[Cc]ould not) (?:find|open|stat|access) .{0,120}(?:/|\.\w{2,5}\b)",
    ),
)
"""Kinds by what a line holds."""
LAST: Sequence[tuple[Kind, str]] = (
    # How a process ended, without why: because something else may have ended it.
    (
        Kind.HOST_MEMORY,
        any_of(
            r"exitcode ?: -9\b|return code = -9\b|Signal 9 \(SIGKILL\)",
            r"exit(?:ed)? (?:code|status) 137",
            r"died with <Signals\.SIGKILL|on signal 9 \(Killed\)|task \d+: Killed",
            r"terminated by signal 9",
        ),
    ),
    (Kind.SHARED_MEMORY, r"exitcode ?: -7\b|Signal 7 \(SIGBUS\)|died with <Signals\.SIGBUS"),
    (
        Kind.CRASH,
        any_of(
            r"\(core dumped\)|SIGABRT|(?:^|\s)Aborted(?:\s|$)|exitcode ?: -(?:11|6|4|8)\b",
            r"return code = -(?:11|6)\b|died with <Signals\.|terminated by signal (?:11|6)",
        ),
    ),
    (Kind.PACKAGE, r"No matching distribution found"),
)
"""Kinds by lines that count where no other does."""
