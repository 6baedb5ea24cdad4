"""Attacks by ways that programs seldom go: signals that a pipe sends, children of somebody else,
names that the judge will want, replies that cannot be read. Harmless to the machine, all of them."""

from __future__ import annotations

import os

import pytest

from engines.shared.sandbox import execution as sandbox
from engines.shared.sandbox import supervisor, warm
from tests.support.judged_programs import GOOD, TESTS, judged, named, printing

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of another machine")

SIGNALLED = """
import ctypes, fcntl, os, signal
libc = ctypes.CDLL(None, use_errno=True)
hear, say = os.pipe()
for pid in filter(None, {pids} + [os.getppid()]):  # none: a namespace of its own
    for kind, number in ((1, pid), (2, pid)):
        owner = (ctypes.c_int * 2)(kind, number)
        libc.fcntl(hear, 15, owner)          # F_SETOWN_EX: a process, a group
        for sign in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
            libc.fcntl(hear, 10, int(sign))  # F_SETSIG
            fcntl.fcntl(hear, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
            os.write(say, b"x")
            try: os.read(hear, 1)
            except OSError: pass
    libc.fcntl(hear, 8, -pid)            # F_SETOWN
    os.write(say, b"x")
    info = (ctypes.c_int * 32)(0, 0, -1)
    libc.syscall(129, pid, 9, info)          # rt_sigqueueinfo
    libc.syscall(297, pid, pid, 9, info)     # rt_tgsigqueueinfo
    libc.syscall(200, pid, 9)                # tkill
    libc.syscall(234, pid, pid, 9)           # tgkill
    libc.syscall(448, pid, 0)                # process_mrelease
print("done")
"""


def test_a_pipe_sends_no_signal_to_whoever_watches() -> None:
    assert judged(GOOD).value == 1.0
    parent = warm.mine.parent
    guards = [parent.process.pid, parent.pid] if parent else []
    found = sandbox.run_program(SIGNALLED.replace("{pids}", str(guards)), seconds=3)
    assert found.stdout == b"done\n"
    assert [pid for pid in guards if pid not in supervisor.descendants(os.getpid())] == []
    assert judged(GOOD).value == 1.0


ADOPTED = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
for flags in (0x8000 | 17, 0x8000, 0x8000 | 0x800000 | 17):   # CLONE_PARENT, without a signal too
    if libc.syscall(56, flags, 0, 0, 0, 0) == 0:
        os.setsid() if os.getpgrp() != os.getpid() else None
        time.sleep(60)
        os._exit(0)
print("done")
"""


def test_a_child_of_the_guards_ends_with_the_program(mark: str) -> None:
    assert sandbox.run_program(named(mark, ADOPTED), seconds=3).stdout in (b"done\n", b"")
    assert judged(GOOD).value == 1.0


MORE_HIDDEN = """
import ctypes, fcntl, os
libc, found = ctypes.CDLL(None, use_errno=True), []
def tried(name, act):
    try: found.append(name) if act() not in (-1, None) else None
    except OSError: pass
tried("secret memory", lambda: libc.syscall(447, 0))
tried("a pipe of a megabyte", lambda: fcntl.fcntl(os.pipe()[1], 1031, 8 << 20))
tried("a key", lambda: libc.syscall(248, b"user", b"x", b"y", 1, -3))
tried("a semaphore", lambda: libc.semget(0, 1, 0o1600))
tried("a page fault of one's own", lambda: libc.syscall(323, 1))
tried("a program for the kernel", lambda: libc.syscall(321, 0, 0, 0))
tried("another clock", lambda: libc.syscall(227, 0, (ctypes.c_long * 2)(1, 1)))
print(found)
"""


def test_no_other_memory_of_the_kernels_is_to_be_had() -> None:
    assert sandbox.run_program(MORE_HIDDEN, seconds=3).stdout == b"[]\n"


UNNAMED = """
import os
held = []
for n in range(12):
    file = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.posix_fallocate(file, 0, 8 << 20)
    held.append(file)
import time
time.sleep(2)
print("kept")
"""


def test_files_that_never_had_a_name_count() -> None:
    execution = sandbox.run_program(UNNAMED, seconds=5)
    assert (execution.stdout, execution.timed_out) == (b"", False)


READ = "n = int(input())\n"
IN_THE_WAY = {
    "files of those names": READ + "for k in range(9):\n    for kind in ('input', 'output'):\n"
    "        try: open(f'.{kind}-{k}', 'x')\n        except OSError: pass\n",
    "folders of those names": READ + "import os\nfor k in range(9):\n"
    "    for kind in ('input', 'output'):\n        try: os.mkdir(f'.{kind}-{k}')\n"
    "        except OSError: pass\n",
    "links of those names": READ + "import os\nfor k in range(9):\n"
    "    for kind in ('input', 'output'):\n        try: os.symlink('/usr', f'.{kind}-{k}')\n"
    "        except OSError: pass\n",
    "the folder is gone": READ + "import os, shutil\ntry: shutil.rmtree(os.getcwd())\n"
    "except OSError: pass\n",
    "the folder is full": READ + "import os\ntry:\n    for k in range(4090): open(str(k), 'x')\n"
    "except OSError: pass\n",
    "the folder has no room": READ + "import os\ntry:\n    for k in range(9):\n"
    "        os.posix_fallocate(os.open(f'f{k}', os.O_RDWR | os.O_CREAT), 0, 15 << 20)\n"
    "except OSError: pass\n",
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_what_lies_in_the_judges_way_is_no_way_out_of_a_verdict(name: str) -> None:
    """Right on the first input alone: wrong, whatever becomes of the second run."""
    program = f"{IN_THE_WAY[name]}print(1 if n == 1 else 'wrong')"
    verdict = printing(program, ["1\n", "2\n", "3\n"], ["1\n", "4\n", "9\n"])
    assert (verdict.value, verdict.status) == (0.0, "ok"), verdict


UNREADABLE = """
import json, os
def say(data):
    for n in range(3, 64):
        try: os.write(n, b"%010d" % len(data) + data)
        except OSError: pass
def f(x):
    for _ in range(8): say({data})
    return 0
"""
REPLIES = {
    "nested deep": 'b"[" * 200_000 + b"]" * 200_000',
    "a number of many digits": 'b\'["value", \' + b"9" * 10_000 + b"]"',
    "half a character": 'b\'["value", "\\\\ud800"]\'',
    "no text": r'b"\xff\xfe\x00"',
    "an empty one": 'b""',
    "a list of nothing": 'b"[]"',
    "a mapping": "b'{\"value\": 9}'",
    "true": 'b"true"',
    "an odd word": "b'[\"__class__\", 9]'",
    "a thing of the judge's": "b'[\"ref\", 0]'",
    "not a number": "b'[\"value\", NaN]'",
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_cannot_be_read_is_a_wrong_answer(name: str) -> None:
    verdict = judged(UNREADABLE.replace("{data}", REPLIES[name]), TESTS)
    assert (verdict.value, verdict.status) == (0.0, "ok"), verdict


LYING = {
    "an exception that says it is another": "class M(type):\n    def __instancecheck__(*a): return True\n"
    "    def __subclasscheck__(*a): return True\nclass E(Exception, metaclass=M): pass\n"
    "def f(x): raise E",
    "two processes that answer": "import os\ndef f(x):\n    os.fork()\n    return 0",
    "a thread that answers later": "import threading, time\ndef f(x):\n"
    "    threading.Thread(target=lambda: time.sleep(9)).start()\n    return 0",
    "a trace that skips lines": "import sys, threading\ndef f(x):\n    sys.settrace(lambda *a: None)\n"
    "    sys.setprofile(lambda *a: None)\n    threading.settrace(lambda *a: None)\n    return 0",
    "a hook for exits": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): raise SystemExit",
    "a number of one's own": "class I(int):\n    def __eq__(*a): return True\n"
    "    def __ne__(*a): return False\n    __hash__ = int.__hash__\ndef f(x): return I(0)",
    "words for tests": "import builtins\nbuiltins.AssertionError = builtins.ValueError = SystemExit\n"
    "def f(x): return 0",
}


@pytest.mark.parametrize("name", LYING)
def test_a_liar_has_no_verdict_in_its_favour(name: str, mark: str) -> None:
    verdict = judged(named(mark, LYING[name]), TESTS)
    assert (verdict.value, verdict.status) == (0.0, "ok"), verdict
