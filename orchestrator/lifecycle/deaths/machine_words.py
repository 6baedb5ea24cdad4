"""What lines hold that tell of the machine a job ran on: memory, disks, GPUs, Slurm, licences,
containers, as torch, vLLM, Ray, NCCL, Slurm and Python write them.

In the order in which they are looked for: the kind that explains the others first. Data, called by
signatures.py alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.lifecycle.deaths.kinds import Kind
from orchestrator.lifecycle.deaths.patterns import any_of

KILLED = any_of(
    r"[Dd]etected \d+ oom[-_ ]kill",
    r"(?:srun: error: \S+: )?tasks? [\d,-]+: Out Of Memory",
    r"Exceeded job memory limit",
    r"exceeded (?:job|step|memory) (?:memory )?limit",
    r"Out of memory: Kill(?:ed)? process",
    r"killed due to the node running low on memory",
    r"were killed due to memory pressure",
)
"""Somebody killed a process for want of memory: what the others say is what follows."""

OF_MACHINES: Sequence[tuple[Kind, str]] = (
    # Before DISK: a full /dev/shm is no full disk.
    (
        Kind.SHARED_MEMORY,
        any_of(
            r"killed by signal: Bus error",
            r"[Bb]us error encountered in worker",
            r"insufficient shared memory|out of shared memory(?!, Required)",
            r"unable to (?:open|allocate|write to|resize) (?:a )?shared memory",
            r"(?:shared memory|/dev/shm).{0,160}(?:No space left|Cannot allocate)",
            r"(?:shared memory|/dev/shm).{0,160}(?:creating|too small)|creating shared memory",
            r"(?:No space left|Errno 28\]).{0,80}/dev/shm",
            r"[Ss]hared memory (?:region|segment|object).{0,60}(?:fail|could not|cannot)",
            r"failed to (?:create|extend) .{0,40}/dev/shm",
            r"(?:^|\d+:?\s+)Bus error\b",
        ),
    ),
    (
        Kind.GPU_MEMORY,
        any_of(
            r"(?:CUDA|HIP|XPU|MPS backend|NPU) out of memory",
            r"(?:CUDA|HIP) error: out of memory",
            r"CUDA(?:_ERROR| error|_STATUS)?[ _:]+OUT_OF_MEMORY|hipErrorOutOfMemory",
            r"cudaErrorMemoryAllocation|C?UDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED",
            r"RESOURCE_EXHAUSTED: (?:.{0,60})?(?:[Oo]ut of memory|Failed to allocate)",
            r"Cuda failure (?:\d+ )?'out of memory'",
            r"OOM when allocating tensor",
            r"[Oo]ut of memory (?:allocating|while trying to allocate) .{0,40}(?:device|GPU|bytes)",
            r"CUDA driver error: out of memory",
        ),
    ),
    # vLLM at its start: weights and activations leave too little of the GPU for the KV cache, or
    # somebody else is on it.
    (
        Kind.CACHE_BLOCKS,
        any_of(
            r"No available memory for the cache blocks",
            r"KV cache is needed, which is larger than the available",
            r"larger than the maximum number of tokens that can be stored in (?:the )?KV cache",
            r"Free memory on device .* on startup is less than desired GPU memory utilization",
        ),
    ),
    # A full disk breaks whatever is written next.
    (
        Kind.DISK,
        any_of(
            r"No space left on device",
            r"[Dd]isk quota exceeded",
            r"PytorchStreamWriter failed writing|file write failed",
            r"unexpected pos \d+ vs \d+",
            r"(?:database or )?disk is full|[Oo]ut of disk ?space",
        ),
    ),
    # From slurmstepd, torch's CPU allocator, Python, Ray's memory monitor, and the C library.
    (
        Kind.HOST_MEMORY,
        any_of(
            KILLED,
            r"can't allocate memory|[Cc]annot allocate memory",
            r"killed by signal: Killed",
            r"Unable to allocate [\d.]+ [KMGTP]?i?B",
            r"std::bad_alloc|bad_alloc",
            r"^ray\.exceptions\.OutOfMemoryError",
            r"java\.lang\.OutOfMemoryError",
            r"virtual memory exhausted|not enough memory: you tried to allocate",
            r"malloc of size \d+ failed|cannot allocate vector of size",
            r"SIGKILL\(-9\)",
            r"memory usage causing the Operating System to kill",
            r"(?:^|[:\s]\d+\s+)Killed(?:\s{2,}|$)",
        ),
    ),
    # A GPU that is broken or in use. Xid is what NVIDIA's driver calls its errors.
    (
        Kind.NODE,
        any_of(
            r"[Uu]ncorrectable.{0,20}(?:ECC|NVLink)|ECC_UNCORRECTABLE|NVLink error",
            r"(?:ORTE|PRTE) has lost communication",
            r"\bXid\b",
            r"fallen off the bus|GPU is lost|GPU_IS_LOST",
            r"CUDA-capable devices?(?:\(s\))? (?:is|are|is/are) busy or unavailable",
            r"[Nn]o CUDA(?:-capable device is| GPUs are) (?:detected|available)",
            r"Found no NVIDIA driver|couldn't communicate with the NVIDIA driver",
            r"[Dd]river/library version mismatch",
            r"unsupported display driver / cuda driver combination",
            r"system not yet initialized|CUDA unknown error|cudaErrorSystem\w+|cudaErrorDevices\w+",
            r"Unable to determine the device handle for",
            r"libcuda\.so(?:\.1)?: cannot open shared object file",
            r"libnvidia-ml\.so\S*: cannot open",
            r"NVML(?: library)?.{0,30}(?:not found|[Uu]nknown [Ee]rror)",
            r"forward compatibility was attempted on non supported HW",
            r"hardware (?:error|stack exception)|Hardware Error",
            r"failed on node \S+: Communication connection failure",
        ),
    ),
    # A registry's limits and a missing image have kinds of their own.
    (
        Kind.CONTAINER,
        any_of(
            r"^FATAL: +(?!.*(?:toomanyrequests|no such file|not found in \$PATH|i/o timeout))",
            r"container creation failed|OCI runtime|unable to start container process",
            r"pyxis: (?!imported|importing)|spank_pyxis|enroot(?:-\w+)?: (?:error|\[ERROR\])",
            r"\[ERROR\] .*enroot",
            r"nvidia-container-cli: |nvidia-docker",
            r"[Ee]rror response from daemon|docker: (?:Error|Cannot)",
            r"squashfuse|squashfs (?:image|filesystem)",
            r"[Ff]ailed to create (?:user|mount) namespace",
            r"user namespaces? (?:are|is) (?:disabled|not)",
            r"Error: (?:crun|runc|podman)",
        ),
    ),
    # Before the kinds of networks and files, whose words may stand in their lines.
    (
        Kind.SITE,
        any_of(
            r"[Pp]rolog (?:failed|failure|hung|exit status|error)|[Pp]rolog,? (?:signal|status)",
            r"[Ee]pilog (?:failed|failure|hung|exit status|error)",
            r"task_?(?:prolog|epilog)\b.{0,80}(?:fail|error|exit|not)",
            r"srun: error: (?:Task launch for|Application launch failed|Unable to create step)",
            r"Unable to contact slurm controller|Unable to confirm allocation",
            r"[Jj]ob credential (?:revoked|expired)|Munge (?:encode|decode) failed",
            r"slurm_load_jobs error|Socket timed out on send/recv operation",
            r"slurmstepd(?:-\S+)?: error: (?:Unable to (?:init|create|move)|.*cgroup|.*[Ss]pank)",
            r"slurmstepd(?:-\S+)?: error: .*(?:getpwuid|unable to (?:setuid|set gid))",
        ),
    ),
    # Words of a FlexLM server and of the solvers that ask one.
    (
        Kind.LICENCE,
        any_of(
            r"(?i:licen[sc]e[sd]?\b.{0,80}(?:fail|denied|expired|unavailable|not valid|not found"
            r"|in use|cannot|could not|unable|mismatch|exceed|invalid|unauthori[sz]ed))",
            r"(?i:licen[sc]e (?:checkout |manager )?error)",
            r"(?i:(?:fail|denied|cannot|could not|unable|\bno\b|invalid|expired|insufficient|all)"
            r".{0,50}\blicen[sc](?:e|es|ing)\b(?!.{0,30}(?:Apache|MIT)))",
            r"(?i:FLEX(?:net|lm)|lmgrd)",
            r"HostID mismatch|to token server|not in authorized user list",
        ),
    ),
    # "probability tensor" is torch.multinomial, drawing a token from logits with NaN; "returned nan
    # values" is a backward function under torch's anomaly detection.
    (
        Kind.NOT_A_NUMBER,
        any_of(
            r"the gradient is not finite|[Nn]on-?finite (?:loss|grad)",
            r"[Ll]oss ?(?:is|became|was|=|:) ?(?:nan|NaN|inf)\b",
            r"probability tensor contains either `?inf`?, `?nan`?",
            r"returned nan values",
            r"contains? (?:NaN|nan)",
            r"[Ff]ound (?:NaN|nan|Inf|inf)\b",
            r"(?:NaN|nan)s? (?:or [Ii]nfs? )?(?:found|encountered|detected|values?)",
            r"(?:nan|NaN) (?:loss|gradient)",
            r"loss scale already at minimum",
            r"found invalid values:.*\bnan\b",
            r"Input .{0,20}contains infinity",
        ),
    ),
)
"""Kinds by what a line holds."""
