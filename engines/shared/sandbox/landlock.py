"""The sandbox where bubblewrap does not work: landlock for files, seccomp for system calls,
rlimits, and a supervisor that ends it.

Linux 6.12 and later: landlock before its sixth version lets a program send signals to every process
of its user. What is weaker than bubblewrap: whether a path exists can be seen, and the program's
folder lies on a real disk (64 MiB, looked at forty times a second).
"""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import errno
import functools
import inspect
import json
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from engines.shared.sandbox import supervisor

LANDLOCK = 6
"""The oldest version of landlock that keeps signals inside."""
SPARE_PROCESSES = 256
"""Processes that the user may have beyond those that there are: a bound for the moment until the
supervisor looks."""
COUNT_SECONDS = 10
FORBIDDEN = (
    "socket",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "unshare",
    "setns",
    "open_by_handle_at",
    "name_to_handle_at",
    "fanotify_init",
    "quotactl",
    "acct",
    "swapon",
    "swapoff",
    "reboot",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_setup",
    "io_submit",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "iopl",
    "ioperm",
    "modify_ldt",
    "syslog",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "nfsservctl",
    "vhangup",
    "lookup_dcookie",
    "shmget",
    "shmat",
    "shmctl",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
    "setpriority",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
    "ioprio_set",
    "migrate_pages",
    "move_pages",
    "mbind",
    "set_mempolicy",
)
"""Calls that reach other processes, the network, or what landlock does not watch (owners, modes and
times of files)."""
SELF_ONLY = ("prlimit64", "sched_setaffinity")
"""Calls whose first argument must be 0: this process."""
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NAMESPACES = (0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""Flags of clone that make a namespace."""
NEW_FROM = 424
"""Calls from this number on have the same number everywhere, and libraries do without them where
they are not there."""
# clone3 (435) is not among them: its flags lie behind a pointer, which seccomp cannot follow. libc
# then uses clone, whose flags are looked at.
NEW_ALLOWED = (424, 434, 436, 437, 439, 441, 449, 451, 454, 455, 456, 462)
"""pidfd_send_signal, pidfd_open, close_range, openat2, faccessat2, epoll_pwait2, futex_waitv,
cachestat, the three futex calls, mseal."""
# SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with the error's number in its lower 16 bits.
ALLOW, ERROR = 0x7FFF0000, 0x00050000
# libseccomp's SCMP_CMP_NE and SCMP_CMP_MASKED_EQ.
NOT_EQUAL, MASKED_EQUAL = 1, 7


def landlock_version() -> int:
    """The version of landlock of this kernel; 0 if there is none, or it is switched off."""
    # The last argument, 1, asks for the version instead of making a ruleset. -1 is an error.
    found = ctypes.CDLL(None).syscall(
        ctypes.c_long(supervisor.CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(1)
    )
    return max(0, int(found))


class Comparison(ctypes.Structure):
    """libseccomp's ``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


@functools.cache
def filter_program() -> bytes | None:
    """The seccomp program (8 bytes an instruction); None where libseccomp is not installed. OSError
    if it cannot be made."""
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        return None
    library.seccomp_init.restype = ctypes.c_void_p
    # Everything that no rule forbids is allowed: programs need too many calls to name them all.
    made = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))

    def forbid(call: str, *comparisons: Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(call.encode())
        # Not of this architecture, or newer than the library: `no_new_calls` forbids the latter.
        if number < 0:
            return
        held = (Comparison * len(comparisons))(*comparisons)
        # EPERM and not a kill: libraries try some of these calls and do without.
        failed = library.seccomp_rule_add_array(
            made,
            ctypes.c_uint32(ERROR | errno.EPERM),
            number,
            ctypes.c_uint(len(comparisons)),
            held,
        )
        if failed:
            raise OSError(-failed, f"libseccomp: no rule for {call}")

    for call in FORBIDDEN:
        forbid(call)
    for call in SELF_ONLY:
        forbid(call, Comparison(0, NOT_EQUAL, 0, 0))
    for flag in NAMESPACES:
        # A thread or process is allowed, one in a namespace of its own is not.
        forbid("clone", Comparison(0, MASKED_EQUAL, flag, flag))
    try:
        return no_new_calls() + exported(library, made)
    finally:
        library.seccomp_release(made)


def exported(library: ctypes.CDLL, rules: ctypes.c_void_p) -> bytes:
    """libseccomp's rules as a program for the kernel; it writes to a descriptor only."""
    target = os.memfd_create("filter")
    try:
        failed = library.seccomp_export_bpf(rules, target)
        if failed:
            raise OSError(-failed, "libseccomp: no program")
        os.lseek(target, 0, os.SEEK_SET)
        return os.read(target, 1 << 20)
    finally:
        os.close(target)


def no_new_calls() -> bytes:
    """The first instructions: calls newer than libseccomp may know do not exist, but for a few. So
    libc falls back to the old ones."""
    count = len(NEW_ALLOWED)
    # Classic BPF, (opcode, jump if true, jump if false, constant). Load the number of the call; if
    # it is below NEW_FROM, or one of those allowed, jump behind the last of these instructions,
    # where libseccomp's program begins; else ENOSYS.
    load, is_equal, at_least, give_back = 0x20, 0x15, 0x35, 0x06
    code = [(load, 0, 0, 0), (at_least, 0, count + 1, NEW_FROM)]
    code += [(is_equal, count - place, 0, number) for place, number in enumerate(NEW_ALLOWED)]
    code.append((give_back, 0, 0, ERROR | errno.ENOSYS))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def trouble() -> str | None:
    """Why this sandbox does not work here; None if nothing is known against it."""
    version = landlock_version()
    if version < LANDLOCK:
        return f"landlock of this kernel is version {version}, {LANDLOCK} is needed (Linux 6.12)"
    if filter_program() is None:
        return "libseccomp.so.2 is not installed"
    return None


@functools.lru_cache(maxsize=1)
def tasks_of(user: int, _moment: int) -> int:
    """Processes and threads that a user has on this machine; counted once a moment."""
    count = 0
    for place in Path("/proc").glob("[0-9]*/task"):
        try:
            status = place.stat()
        except OSError:  # it ended while we looked
            continue
        # A folder has two links and one more for each folder in it, here one per thread.
        count += status.st_nlink - 2 if status.st_uid == user else 0
    return count


def arguments(
    python: Path, limits: str, readable: Sequence[str], leash: int, user: int
) -> tuple[str, ...]:
    """The call of the supervisor. ``limits`` sets the limits (``PROCESSES`` is put in there) and
    runs the program."""
    found = filter_program()
    plan = {
        "landlock": landlock_version(),
        "filter": base64.b64encode(found).decode() if found else "",
        "read": list(readable),
        "leash": leash,
        # RLIMIT_NPROC counts all that the user runs on this machine, not only below the program. So
        # the limit is relative to what runs now, and the supervisor counts the program's own.
        "processes": tasks_of(user, int(time.monotonic() / COUNT_SECONDS)) + SPARE_PROCESSES,
        "run": limits,
    }
    return (
        str(python),
        "-I",
        "-S",
        "-c",
        f"{inspect.getsource(supervisor)}\nmain()",
        json.dumps(plan),
    )
