"""System calls that a program must not make, as a program for the kernel that libseccomp writes.

The kind of sandbox goes in; instructions of seccomp's (8 bytes each) come out, for bubblewrap's
``--seccomp`` and for ``supervisor.py``."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import functools
import os
import struct

FORBIDDEN = (
    "socket",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    # With it descriptors are sent, and a file that is on its way is nobody's.
    "sendmsg",
    "sendmmsg",
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
    # A user has few of these, for all programs together.
    "inotify_init",
    "inotify_init1",
    "quotactl",
    "acct",
    "swapon",
    "swapoff",
    "reboot",
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
    # Memory that no process need hold, and that no look at processes would find.
    "memfd_create",
    "remap_file_pages",
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
"""Calls that reach other processes, the network, memory that is not counted, or more of the kernel
than a program needs."""
OF_FILES = (
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
)
"""Owners, modes and times of files, which landlock does not watch. In bubblewrap there are no files
but the program's own."""
SELF_ONLY = ("prlimit64", "sched_setaffinity")
"""Calls whose first argument must be 0: this process."""
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NAMESPACES = (0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""Flags of clone that make a namespace."""
UNCOUNTED = (0x21, 0x40000)
"""Flags of mmap: memory that is shared and no file's (MAP_SHARED and MAP_ANONYMOUS), which stays
when whoever filled it has ended; and the machine's few huge pages (MAP_HUGETLB)."""
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


class Comparison(ctypes.Structure):
    """libseccomp's ``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


@functools.cache
def library() -> ctypes.CDLL | None:
    """libseccomp; None where it is not installed."""
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        found = ctypes.CDLL(name)
    except OSError:
        return None
    found.seccomp_init.restype = ctypes.c_void_p
    return found


def forbid(rules: ctypes.c_void_p, call: str, *comparisons: Comparison) -> None:
    """Add a rule to ``rules``: this call, with such arguments, fails. OSError if it cannot be
    made."""
    seccomp = library()
    assert seccomp is not None
    number = seccomp.seccomp_syscall_resolve_name(call.encode())
    # Not of this architecture, or newer than the library: `no_new_calls` forbids the latter.
    if number < 0:
        return
    held = (Comparison * len(comparisons))(*comparisons)
    failed = seccomp.seccomp_rule_add_array(
        rules,
        # EPERM and not a kill: libraries try some of these calls and do without.
        ctypes.c_uint32(ERROR | errno.EPERM),
        number,
        ctypes.c_uint(len(comparisons)),
        held,
    )
    if failed:
        raise OSError(-failed, f"libseccomp: no rule for {call}")


@functools.cache
def filter_program(kind: str) -> bytes | None:
    """The seccomp program for a kind of sandbox; None where libseccomp is not installed. OSError if
    it cannot be made."""
    seccomp = library()
    if seccomp is None:
        return None
    # Everything that no rule forbids is allowed: programs need too many calls to name them all.
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(ALLOW)))
    try:
        for call in FORBIDDEN if kind == "bubblewrap" else (*FORBIDDEN, *OF_FILES):
            forbid(rules, call)
        for call in SELF_ONLY:
            forbid(rules, call, Comparison(0, NOT_EQUAL, 0, 0))
        for flag in NAMESPACES:
            # A thread or process is allowed, one in a namespace of its own is not.
            forbid(rules, "clone", Comparison(0, MASKED_EQUAL, flag, flag))
        for flags in UNCOUNTED:
            forbid(rules, "mmap", Comparison(3, MASKED_EQUAL, flags, flags))
        return no_new_calls() + exported(seccomp, rules)
    finally:
        seccomp.seccomp_release(rules)


def exported(seccomp: ctypes.CDLL, rules: ctypes.c_void_p) -> bytes:
    """libseccomp's rules as a program for the kernel; it writes to a descriptor only."""
    target = os.memfd_create("filter")
    try:
        failed = seccomp.seccomp_export_bpf(rules, target)
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
