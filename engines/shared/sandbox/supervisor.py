"""What watches a program where there is no bubblewrap. The text of this file is run by a fresh
Python, of any version from 3.10 on; what it looks with serves bubblewrap too (``running.py``).

Two processes: the *supervisor* stays outside and can end everything that the program started; the
program's gives up, for good, what it must not have: files (landlock), system calls (seccomp),
resources (rlimits). The supervisor is in a landlock domain of its own, of which the program's is a
part: nobody in it can send a signal out of it, so one ``kill(-1)`` ends whatever the program
started, at once, and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import stat
import struct

# Each import costs every program: typing alone takes longer than all that is done here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    class Plan(TypedDict):
        """What the supervisor is told."""

        landlock: int  # its version; 0 for none
        filter: bytes  # seccomp's; empty for none
        read: list[str]
        leash: int  # a descriptor of which the other end belongs to the caller
        memory: int  # bytes, for all processes of the program together


# PR_SET_SECCOMP and its mode, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG.
SET_SECCOMP, FILTER, SUBREAPER, NO_NEW_PRIVILEGES, DIES_WITH_PARENT = 22, 2, 36, 38, 1
# landlock's system calls, for which libc has no functions.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
DEVICES = 1 << 6 | 1 << 9 | 1 << 11
"""Making character devices, sockets and block devices."""
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
SCOPE, SCOPED = 3, 6
"""Abstract sockets and signals; the version of landlock from which on it knows them."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LOOK_MILLISECONDS = 25
LOOKS_AT_HELD_FILES = 4
"""Every so many looks those files are counted that have no name any more."""
FOLDER_BYTES = 64 << 20
FOLDER_FILES = 4096
FOLDER_DEPTH = 32
PROCESSES = 32
REAPED_AT_ONCE = 256
MAPS_BYTES = 1 << 20
"""A process whose list of mappings is longer takes too much."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SAYS = b"\nended for "
"""What the supervisor writes before the reason, to its standard error."""

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
    of_tcp, scopes = 3 if files and abi >= 4 else 0, SCOPE if abi >= SCOPED else 0
    fields = struct.pack("QQQ", files, of_tcp, scopes)[: 8 if abi < 4 else 16 if abi < 6 else 24]
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


def give_up(plan: Plan) -> None:
    """The program's process: no files but the plan's, no system calls that reach out."""
    abi = plan["landlock"]
    if abi:
        every = rights(abi)
        allowed = [(path, EXECUTE | READ_FILE | READ_DIR) for path in plan["read"]]
        allowed += [(".", every & ~DEVICES), ("/dev/null", READ_FILE | WRITE_FILE | TRUNCATE)]
        # Not /dev/zero: memory that is mapped from it stays when whoever filled it has ended.
        allowed += [(path, READ_FILE) for path in ("/dev/random", "/dev/urandom")]
        # Before the filter: afterwards landlock's own calls do not exist any more.
        restrict(abi, every, allowed)
    if plan["filter"]:
        code = plan["filter"]
        text = ctypes.create_string_buffer(code, len(code))
        # struct sock_fprog: the number of instructions (8 bytes each) and their address.
        program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(text))
        held = ctypes.create_string_buffer(program, len(program))
        prctl(SET_SECCOMP, FILTER, ctypes.addressof(held))


def content(path: str, most: int = 1 << 16) -> bytes:
    """At most so many bytes of a file of /proc; nothing if its process has ended."""
    found, file = b"", -1
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        while len(found) < most and (part := os.read(file, most - len(found))):
            found += part  # a page at a time
    except (FileNotFoundError, ProcessLookupError):
        return b""
    finally:
        if file >= 0:
            os.close(file)
    return found


def children(pid: int, thread: int = 0) -> list[int]:
    """Those of a thread of a process; of its first one by default."""
    return [int(one) for one in content(f"/proc/{pid}/task/{thread or pid}/children").split()]


def descendants(root: int, most: int = 0) -> dict[int, int]:
    """The processes below one -> how many threads each has. With ``most``, not far beyond so many:
    a fork bomb may grow faster than it is counted."""
    found: dict[int, int] = {}
    total = 0
    left = [root]
    while left and not 0 < most < total:
        pid = left.pop()
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:  # it ended while we looked
            continue
        if pid != root:
            found[pid] = len(threads)
            total += len(threads)
        for thread in threads:
            left += [child for child in children(pid, int(thread)) if child not in found]
        if 0 < most < len(left):
            # Not looked at one by one: they are too many already.
            return found | dict.fromkeys(left, 1)
    return found


def kibibytes(text: bytes, *names: bytes) -> int:
    """The sum of these values of a file of /proc."""
    total = 0
    for name in names:
        _, found, value = text.partition(b"\n" + name + b":")
        total += int(value.split(None, 1)[0]) if found else 0
    return total


def takes_memory(pids: list[int], limit: int) -> bool:
    """Whether processes take more than ``limit`` bytes together, in memory and swap."""
    total = sum(kibibytes(content(f"/proc/{pid}/status"), b"VmRSS", b"VmSwap") for pid in pids)
    if total << 10 <= limit:
        return False
    # What processes share was counted for each of them; dividing it takes the kernel longer.
    total = 0
    for pid in pids:
        try:
            total += kibibytes(content(f"/proc/{pid}/smaps_rollup"), b"Pss", b"SwapPss")
        except PermissionError:
            total += kibibytes(content(f"/proc/{pid}/status"), b"VmRSS", b"VmSwap")
    return total << 10 > limit


class FolderLook:
    """One look into this folder: no links are followed, no folder is entered that is deeper than
    allowed, and it ends where anything is too much."""

    def __init__(self) -> None:
        self.bytes = self.files = 0
        self.places: list[int] = []
        """Descriptors of the folders from this one down to where the look is."""

    def below(self) -> list[str]:
        """Count what is in the folder where the look is; the folders in it."""
        found = []
        with os.scandir(self.places[-1]) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                self.files += 1
                self.bytes += status.st_blocks * 512
                if stat.S_ISDIR(status.st_mode):
                    found.append(entry.name)
                if self.too_much():
                    return []
        return found

    def too_much(self) -> str:
        """What is too much so far; "" if nothing is."""
        many = "files" if self.files > FOLDER_FILES else ""
        return "bytes of files" if self.bytes > FOLDER_BYTES else many

    def go(self) -> str:
        """What is too much; "" if nothing is. PermissionError if a folder cannot be looked into."""
        self.places.append(os.open(".", FOLDER))
        waiting = [self.below()]
        while waiting and not self.too_much():
            if not waiting[-1]:
                waiting.pop()
                os.close(self.places.pop())
            elif len(waiting) >= FOLDER_DEPTH:
                return "folders in folders"
            else:
                try:
                    inner = os.open(waiting[-1].pop(), FOLDER, dir_fd=self.places[-1])
                except (FileNotFoundError, NotADirectoryError):
                    continue  # it is another thing by now
                self.places.append(inner)
                waiting.append(self.below())
        return self.too_much()


def takes_folder() -> str:
    """What is too much in this folder, also that it cannot be looked into; "" if nothing is."""
    look = FolderLook()
    try:
        return look.go()
    except PermissionError:
        return "folders that cannot be looked into"
    finally:
        for place in look.places:
            os.close(place)


def held_files(pid: int, device: int, folder: bytes, sizes: dict[int, int]) -> str:
    """Note in ``sizes`` (number of the file -> bytes) which files without a name a process holds or
    maps; what it has too much of, if anything. OSError if it ends meanwhile."""
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        status = os.stat(f"/proc/{pid}/fd/{descriptor}")
        if stat.S_ISREG(status.st_mode) and not status.st_nlink and status.st_dev == device:
            sizes[status.st_ino] = status.st_blocks * 512
    maps = content(f"/proc/{pid}/maps", MAPS_BYTES)
    if len(maps) >= MAPS_BYTES:
        return "mappings of memory"
    for line in maps.splitlines() if b"(deleted)" in maps else []:
        # 7f00-7f10 rw-s 00000000 fe:00 1234  /folder/name (deleted)
        span, _, _, _, number, *path = line.split(None, 5)
        if path and path[0].startswith(folder) and path[0].endswith(b" (deleted)"):
            begin, _, end = span.partition(b"-")
            size = int(end, 16) - int(begin, 16)
            sizes[int(number)] = max(size, sizes.get(int(number), 0))
    return ""


def takes_held_files(pids: list[int], child: int) -> str:
    """What is too much of the files that have no name any more; "" if nothing is. A process that
    hides what it holds takes too much, but for ``child``: that is the judge, which hides."""
    device, folder = os.stat(".").st_dev, os.fsencode(os.getcwd()) + b"/"
    sizes: dict[int, int] = {}
    for pid in pids:
        try:
            if why := held_files(pid, device, folder, sizes):
                return why
        except PermissionError:
            # One that is about to end has no memory any more, and its files are root's.
            if pid != child and kibibytes(content(f"/proc/{pid}/status"), b"VmSize"):
                return "files that cannot be looked at"
        except OSError:  # it ended, or closed it, while we looked
            continue
    return "bytes of files" if sum(sizes.values()) > FOLDER_BYTES else ""


def takes_too_much(plan: Plan, child: int, look: int) -> str:
    """What the program takes too much of, at the look of this number; "" if of nothing."""
    below = descendants(os.getpid(), PROCESSES)
    if sum(below.values()) > PROCESSES:
        return "processes"
    pids = list(below)
    if takes_memory(pids, plan["memory"]):
        return "memory"
    if look % LOOKS_AT_HELD_FILES == 0 and (why := takes_held_files(pids, child)):
        return why
    return takes_folder()


def watch(plan: Plan, child: int) -> tuple[int, str]:
    """Wait until the program ends, takes too much, or the caller is gone; its exit code, and what
    it took too much of."""
    why, look = "", 0
    poller = select.poll()
    # A pidfd becomes readable when its process ends.
    poller.register(os.pidfd_open(child), select.POLLIN)
    poller.register(plan["leash"], select.POLLIN)
    while not poller.poll(LOOK_MILLISECONDS):
        look += 1
        reap_others(child)
        if why := takes_too_much(plan, child, look):
            break
    # Not ended: it took too much or its caller is gone, and `end_all` is about to kill it.
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else -signal.SIGKILL, why


def reap_others(child: int) -> None:
    """Forget what has ended; the program itself stays to be asked for its exit code."""
    # Not for ever: a program may end processes faster than they are reaped.
    for _ in range(REAPED_AT_ONCE):
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None or ended.si_pid == child:
            return
        os.waitpid(ended.si_pid, 0)


def kill(pid: int) -> None:
    """Kill a process, or with -1 all that may be signalled; nothing if there is none."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def end_all(scoped: bool) -> None:
    """Kill and reap everything that the program started."""
    while True:
        # In its landlock domain this process may signal those below it, and not itself.
        for pid in [-1] if scoped else descendants(os.getpid()):
            kill(pid)
        try:
            # A subreaper is the parent of every orphan below it: no child, nothing left.
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # those that have ended: looking is what costs
        except ChildProcessError:
            return


def begin(plan: Plan) -> int:
    """As ``os.fork``: the program's process has given up what it must not have."""
    prctl(SUBREAPER, 1)
    # The kernel asks for this before an ordinary user may enter a landlock domain or set a filter.
    prctl(NO_NEW_PRIVILEGES, 1)
    if plan["landlock"] >= SCOPED:
        restrict(plan["landlock"], 0, [])
    child = os.fork()
    if child == 0:
        os.close(plan["leash"])
        prctl(DIES_WITH_PARENT, signal.SIGKILL)
        give_up(plan)
    return child


def see_to_the_end(plan: Plan, child: int) -> tuple[int, str]:
    """As ``watch``, then end all that it has started; the exit code as shells report it."""
    # Who wants it to end lets go of the leash. A signal that goes to all of a job's processes
    # would end this one alone, and leave a program that is deaf to it.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    # The program's pipes are its own from here on: a copy in this process would keep them open
    # after the program has closed them.
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    try:
        code, why = watch(plan, child)
    finally:
        end_all(plan["landlock"] >= SCOPED)
    return code if code >= 0 else 128 - code, why


def main(plan: Plan) -> None:
    """Watch the program, which is run by whoever called: only its process comes back."""
    child = begin(plan)
    if child:
        code, why = see_to_the_end(plan, child)
        if why:
            os.write(2, SAYS + why.encode() + b"\n")
        os._exit(code)
