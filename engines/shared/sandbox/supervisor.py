"""What watches a program where there is no bubblewrap. The text of this file is run by a fresh
Python, of any version from 3.10 on.

Two processes: the *supervisor* stays outside and can end everything that the program started; the
program's gives up, for good, what it must not have: files (landlock), system calls (seccomp),
resources (rlimits). The supervisor is in a landlock domain of its own, of which the program's is a
part: nobody in it can send a signal out of it, so one ``kill(-1)`` ends whatever the program
started, at once, and nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import stat
import struct
import sys
from pathlib import Path
from typing import Any

# PR_SET_SECCOMP and its mode, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG.
SET_SECCOMP, FILTER, SUBREAPER, NO_NEW_PRIVILEGES, DIES_WITH_PARENT = 22, 2, 36, 38, 1
# landlock's system calls, for which libc has no functions.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
DEVICES = 1 << 6 | 1 << 9 | 1 << 11
"""Making character devices, sockets and block devices."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
SCOPE = 3
"""Abstract sockets and signals."""
LOOK_MILLISECONDS = 25
FOLDER_BYTES = 64 << 20
PROCESSES = 32

libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: Any) -> int:
    """A system call. OSError if it fails."""
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return int(result)


def prctl(*arguments: int) -> None:
    """OSError if it fails."""
    if libc.prctl(*[ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {arguments[0]}")


def rights(abi: int) -> int:
    """All rights on files that this kernel's landlock can take away."""
    # Version 2 added moving files between folders (bit 13), version 3 truncation (bit 14).
    return (1 << (13 if abi < 2 else 14 if abi < 3 else 15)) - 1


def restrict(abi: int, files: int, allowed: list[tuple[str, int]]) -> None:
    """Enter a landlock domain that takes away ``files`` but below the paths ``allowed`` (path ->
    rights), TCP and signals to outside."""
    # struct landlock_ruleset_attr: rights on files, on TCP (from version 4: bind and connect),
    # scopes (from version 6). A kernel takes no more fields than it knows.
    fields = struct.pack("QQQ", files, 3 if files and abi >= 4 else 0, SCOPE if abi >= 6 else 0)[
        : 8 if abi < 4 else 16 if abi < 6 else 24
    ]
    ruleset = call(CREATE_RULESET, fields, ctypes.c_size_t(len(fields)), ctypes.c_uint(0))
    for path, granted in allowed:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        # The kernel refuses a rule that grants a plain file what only folders have.
        granted &= files if stat.S_ISDIR(os.fstat(place).st_mode) else files & OF_FILES
        call(
            ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(1),
            struct.pack("=Qi", granted, place),
            ctypes.c_uint(0),
        )
        os.close(place)
    call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)


def give_up(plan: dict[str, Any]) -> None:
    """The program's process: no files but those of the plan, no system calls that reach out. Never
    comes back."""
    abi = plan["landlock"]
    if abi:
        every = rights(abi)
        allowed = [(path, EXECUTE | READ_FILE | READ_DIR) for path in plan["read"]]
        allowed += [(".", every & ~DEVICES), ("/dev/null", READ_FILE | WRITE_FILE | TRUNCATE)]
        allowed += [(path, READ_FILE) for path in ("/dev/zero", "/dev/random", "/dev/urandom")]
        # Before the filter: afterwards landlock's own calls do not exist any more.
        restrict(abi, every, allowed)
    if plan["filter"]:
        code = base64.b64decode(plan["filter"])
        text = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog: the number of instructions (8 bytes each) and their address.
        program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text))
        held = ctypes.create_string_buffer(program, len(program))
        prctl(SET_SECCOMP, FILTER, ctypes.addressof(held))


def descendants(pid: int) -> list[int]:
    """The processes below one, and their threads, each a number of its own."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended while we looked
        tasks = [path.name for path in Path(f"/proc/{pid}/task").iterdir()]
        found += [int(task) for task in tasks if int(task) != os.getpid()]
        for task in tasks:
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += descendants(int(child))
    return found


def folder_bytes() -> int:
    """What the program's folder takes on the disk."""
    total = 0
    for place, _, names in os.walk("."):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).lstat().st_blocks * 512
    return total


def watch(child: int, leash: int) -> int:
    """Wait until the program ends, takes too much, or the other end of ``leash`` is gone; its exit
    code."""
    handle = os.pidfd_open(child)
    poller = select.poll()
    # A pidfd becomes readable when its process ends.
    poller.register(handle, select.POLLIN)
    poller.register(leash, select.POLLIN)
    while not poller.poll(LOOK_MILLISECONDS):
        reap_others(child)
        if len(descendants(os.getpid())) > PROCESSES or folder_bytes() > FOLDER_BYTES:
            break
    # Not ended: it took too much or its caller is gone, and `end_all` is about to kill it.
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL


def reap_others(child: int) -> None:
    """Forget what was left by processes of the program's and has ended; the program itself stays to
    be asked for its exit code."""
    while (
        ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    ) and ended.si_pid != child:
        os.waitpid(ended.si_pid, 0)


def end_all(scoped: bool) -> None:
    """Kill and reap everything that the program started."""
    while True:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if scoped:
                # All that this process may signal: in its landlock domain those below it, and not
                # itself.
                os.kill(-1, signal.SIGKILL)
        for pid in [] if scoped else descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            # As subreaper this process becomes the parent of every orphan below it, so that no
            # child left means that nothing is left.
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # those that have ended: looking is what costs
        except ChildProcessError:
            return


def main() -> None:
    """Run the program of ``plan['run']`` under watch, with the limits that it sets itself."""
    plan = json.loads(sys.argv[1])
    leash, abi = plan["leash"], plan["landlock"]
    prctl(SUBREAPER, 1)
    # The kernel asks for this before an ordinary user may enter a landlock domain or set a filter.
    prctl(NO_NEW_PRIVILEGES, 1)
    scoped = abi >= 6
    if scoped:
        restrict(abi, 0, [])
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = (
        plan["processes"] if hard == resource.RLIM_INFINITY else min(hard, plan["processes"])
    )
    child = os.fork()
    if child == 0:
        os.close(leash)
        prctl(DIES_WITH_PARENT, signal.SIGKILL)
        give_up(plan)
        exec(plan["run"].replace("PROCESSES", str(processes)), {"__name__": "limits"})  # noqa: S102  # ours: limits, then the program
        return
    # The program's pipes are its own from here on: a copy in this process would keep them open
    # after the program has closed them.
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    code = watch(child, leash)
    end_all(scoped)
    # 128 + the signal's number, as a shell reports it.
    os._exit(code if code >= 0 else 128 - code)
