"""What a warm sandbox runs: a Python that is there already, and forks each program.

The text of this file, with that of ``supervisor.py``, is run by a Python of any version from 3.10.

The *parent* takes requests from the judging process (``warm.py``), one at a time, and knows of a
program its limits and its pipes alone: its text and its tests come by the program's own pipe, after
the fork. Its *guard* ends it when the leash is let go, and says how it ended: in bubblewrap that is
the parent itself, else a process between the two, the supervisor. The *program* is process 1 of
namespaces of its own in bubblewrap, and in a landlock domain of its own else; before its first line
it has given up all that the others may do.
"""

from __future__ import annotations

import _socket
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import struct
import sys
import types

from engines.shared.sandbox import supervisor

# Each import is in every program's memory, and typing's is a long one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class Setting(TypedDict):
        """What a parent is told at its start."""

        control: int  # its end of a socket pair
        bubblewrap: bool  # whether it is in one, and may make namespaces
        landlock: int  # its version
        filter: bytes  # seccomp's
        read: list[str]
        prelude: str  # what runs before a program, in its names
        limits: str  # what sets its limits

    class Request(TypedDict):
        """What a parent is told of a program, beside its pipes, its leash and its folder."""

        limits: dict[str, int | str]
        prelude: bool
        folder: str  # the path of its own folder, if it has one


READY, LOST = b"ready", b"lost"
"""What a parent says at its start, and of a guard that has not said how its program ended."""
# unshare's flags: CLONE_NEWPID; CLONE_NEWNS and CLONE_NEWIPC.
NEW_PROCESSES, NEW_PLACES = 0x20000000, 0x00020000 | 0x08000000
# mount's flags: MS_NOSUID, MS_NODEV, MS_NOEXEC.
NO_SETUID, NO_DEVICES, NO_PROGRAMS = 2, 4, 8
# Options of prctl and capabilities: PR_CAPBSET_DROP, CAP_SYS_ADMIN, CAP_SETPCAP.
DROP_BOUND, SYSTEM_ADMINISTRATION, SET_CAPABILITIES = 24, 21, 8
CAPABILITY_VERSION = 0x20080522
PLACES = ("/tmp", "/dev/shm")  # noqa: S108
"""Where a program in bubblewrap has memory file systems of its own."""
DESCRIPTORS = 4
"""At most so many come with a request: the program's input and output, its leash, its folder."""
REQUEST_BYTES = 1 << 16
CONTROL, OPEN_FILES = 3, 64
"""The descriptor of the parent's socket; far more than it has open."""


def possible(result: int, what: str) -> None:
    """OSError if a call of libc's has failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def heard(control: _socket.socket) -> tuple[Request, list[int]] | None:
    """The next request and its descriptors; None if the judging process is gone."""
    room = _socket.CMSG_SPACE(DESCRIPTORS * 4)
    text, extra, _, _ = control.recvmsg(REQUEST_BYTES, room)
    if not text:
        return None
    found: list[int] = []
    for _, _, data in extra:
        found += struct.unpack(f"{len(data) // 4}i", data)
    request: Request = json.loads(text)
    return request, found


def new_places() -> None:
    """The program's process in bubblewrap: memory file systems, /proc and shared memory of its own,
    and no capability any more."""
    possible(supervisor.libc.unshare(NEW_PLACES), "unshare")
    size = b"mode=0755,size=%d" % supervisor.FOLDER_BYTES
    for place in PLACES:
        flags = ctypes.c_ulong(NO_SETUID | NO_DEVICES)
        path = place.encode()
        possible(supervisor.libc.mount(b"tmpfs", path, b"tmpfs", flags, size), "mount tmpfs")
    flags = ctypes.c_ulong(NO_SETUID | NO_DEVICES | NO_PROGRAMS)
    possible(supervisor.libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount proc")
    # What was mounted lies over the old folder, in which this process is still.
    os.chdir("/tmp")  # noqa: S108
    os.setsid()
    # Also what a program of the file system's could give back, though none can here.
    for capability in (SYSTEM_ADMINISTRATION, SET_CAPABILITIES):
        supervisor.prctl(DROP_BOUND, capability)
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    possible(supervisor.libc.capset(header, bytes(24)), "capset")


def in_bubblewrap(setting: Setting, places: int, given: list[int]) -> tuple[int, str] | None:
    """The guard in bubblewrap; None in the program's process. ``places`` is this process's own
    namespace of processes."""
    possible(supervisor.libc.unshare(NEW_PROCESSES), "unshare")
    child = os.fork()
    if child == 0:
        leash, *_ = take_pipes(given)
        new_places()
        supervisor.give_up(plan_of(setting, leash, 0))
        return None
    # Where the next child belongs is told once in a process's life, but for the way back.
    possible(supervisor.libc.setns(places, NEW_PROCESSES), "setns")
    program, leash = os.pidfd_open(child), given[2]
    for descriptor in given[:2]:
        os.close(descriptor)
    poller = select.poll()
    for descriptor in (program, leash):
        poller.register(descriptor, select.POLLIN)
    poller.poll()
    supervisor.kill(child)
    # The first process of a namespace is over when all others are.
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(program)
    os.close(leash)
    return code if code >= 0 else 128 - code, ""


def under_landlock(
    setting: Setting, control: _socket.socket, request: Request, given: list[int]
) -> bool:
    """Have a guard see to a program; True in the program's process alone."""
    guard = os.fork()
    if guard == 0:
        os.setsid()
        leash, folder = take_pipes(given)
        # The path to it may be closed to this user.
        os.fchdir(folder)
        os.environ["TMPDIR"] = request["folder"]
        plan = plan_of(setting, leash, int(request["limits"]["memory"]))
        child = supervisor.begin(plan)
        if child == 0:
            os.setsid()
            return True
        control.send(json.dumps(supervisor.see_to_the_end(plan, child)).encode())
        os._exit(0)
    for descriptor in given:
        os.close(descriptor)
    if os.waitpid(guard, 0)[1] != 0:
        supervisor.end_all(False)
        with contextlib.suppress(OSError):
            control.send(LOST)
    return False


def take_pipes(given: list[int]) -> list[int]:
    """Put a program's input and output where they belong; the other descriptors."""
    for place, descriptor in enumerate(given[:2]):
        os.dup2(descriptor, place)
        os.close(descriptor)
    return given[2:]


def plan_of(setting: Setting, leash: int, memory: int) -> supervisor.Plan:
    """What the supervisor wants to be told."""
    return {
        "landlock": setting["landlock"],
        "filter": setting["filter"],
        "read": setting["read"],
        "leash": leash,
        "memory": memory,
    }


def run_one(
    setting: Setting, control: _socket.socket, places: int, request: Request, given: list[int]
) -> bool:
    """See to a program from its start to its end; True in the program's process alone."""
    if not setting["bubblewrap"]:
        return under_landlock(setting, control, request, given)
    told = in_bubblewrap(setting, places, given)
    if told is None:
        return True
    with contextlib.suppress(OSError):
        control.send(json.dumps(told).encode())
    return False


def become(
    request: Request, limits: types.CodeType, space: dict[str, Any], handlers: dict[int, Any]
) -> None:
    """The program's process, which has given up what it must: all else as in a fresh Python."""
    # All but its three pipes: the parent's socket, the leash and few others.
    os.closerange(CONTROL, OPEN_FILES)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    main = sys.modules["__main__"].__dict__
    main.update(request["limits"])
    main["space"] = space if request["prelude"] else {"__name__": "__main__"}
    exec(limits, main)  # noqa: S102  # ours


def main(setting: Setting) -> None:
    """Answer requests until the judging process is gone. Comes back in a program's process only,
    which then runs it."""
    os.dup2(setting["control"], CONTROL, inheritable=False)
    # Nothing else is left of whoever started this, so that what a program must not have is below
    # a small number; the limit may be a thousand millions.
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208  # one import less
        if descriptor > CONTROL:
            # One of them was the listing's own.
            with contextlib.suppress(OSError):
                os.close(descriptor)
    control = _socket.socket(fileno=CONTROL)
    # A signal to all of a job's processes is not the end of those that are to end the others.
    handlers: dict[int, Any] = {
        number: signal.signal(number, signal.SIG_IGN) for number in supervisor.ENDING
    }
    # What a guard leaves that was killed comes here, and is ended.
    supervisor.prctl(supervisor.SUBREAPER, 1)
    places = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(setting["prelude"], "program", "exec", dont_inherit=True), space)  # noqa: S102
    limits = compile(setting["limits"], "<string>", "exec", dont_inherit=True)
    # What is here already is no garbage of a program's, and its pages stay shared.
    gc.collect()
    gc.freeze()
    control.send(READY)
    while (asked := heard(control)) is not None:
        if run_one(setting, control, places, *asked):
            control.detach()
            become(asked[0], limits, space, handlers)
            return
    os._exit(0)
