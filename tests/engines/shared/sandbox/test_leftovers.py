"""What one program can leave for the next one of the same judge, or take from it: nothing.

Each test runs a program that leaves something wherever it may, and then one that looks for it. The
first one also proves that it could leave it, so that no test passes for want of an attack."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.shared.sandbox import execution as sandbox
from engines.shared.sandbox import installation, landlock, running, supervisor, warm
from tests.support.judged_programs import GOOD, alive, judged, named


def said(program: str, seconds: float = 5, memory_gb: int = 1) -> str:
    """What a program prints."""
    return sandbox.run_program(program, seconds, memory_gb).stdout.decode(errors="replace")


LEAVE_FILES = """
import os
places = {".", "/", "/tmp", "/dev", "/dev/shm", "/usr", "/usr/lib", "/bin", "/packages", "/proc",
          "/run", "/var/tmp", os.environ.get("TMPDIR", ".")}
left = []
for place in sorted(places):
    for name in ("left-behind", "left-behind.d/inner"):
        try:
            os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
            with open(os.path.join(place, name), "w") as file:
                file.write("x")
            left.append(place)
        except OSError:
            pass
print(len(left))
"""
FIND_FILES = """
import os
found = [name for name in os.listdir(".")]
for place in ("/", "/tmp", "/dev", "/dev/shm", "/usr", "/usr/lib", "/packages", "/run", "/var/tmp"):
    for name in ("left-behind", "left-behind.d"):
        if os.path.lexists(os.path.join(place, name)):
            found.append(place + name)
print(found)
"""


def test_no_file_is_left() -> None:
    assert int(said(LEAVE_FILES)) >= 2
    assert said(FIND_FILES) == "[]\n"


LEAVE_STATE = """
import builtins, gc, json, os, random, resource, signal, sys
os.environ["LEFT"] = "x"
os.environ["PATH"] = "/left"
del os.environ["OMP_NUM_THREADS"]
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.mkdir("inner")
os.chdir("inner")
os.umask(0o777)
builtins.len = json.dumps = os.getcwd = lambda *a, **k: "left"
sys.modules["left"] = sys
sys.path.append("/left")
sys.setrecursionlimit(77)
gc.disable()
random.seed(1)
print("done")
"""
FIND_STATE = """
import builtins, gc, json, os, resource, signal, sys
words = [os.environ.get("LEFT"), os.environ["PATH"], os.environ.get("OMP_NUM_THREADS"), len("four")]
words += [json.dumps([1]), "left" in sys.modules, "/left" in sys.path, sys.getrecursionlimit()]
words += [gc.isenabled(), os.umask(0o22) == 0o777]
words += [resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.path.basename(os.getcwd()) == "inner"]
words += [signal.getsignal(n) is signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]
words += [signal.pthread_sigmask(signal.SIG_BLOCK, [])]
print(words)
"""


def test_no_state_is_left() -> None:
    # A signal that this process ignores (nohup, a shell's background) a program ignores too.
    ours = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]
    before = said(FIND_STATE)
    assert before == (
        "[None, '/usr/bin', '1', 4, '[1]', False, False, 1000, True, False, 64, False, "
        f"{', '.join(str(one is not signal.SIG_IGN) for one in ours)}, set()]\n"
    )
    assert said(LEAVE_STATE) == "done\n"
    assert said(FIND_STATE) == before


def test_a_program_begins_with_three_descriptors_and_no_child() -> None:
    look = (
        "import os\nopened = []\nfor n in range(2000):\n    try: os.fstat(n); opened.append(n)\n"
        "    except OSError: pass\ntry: os.waitpid(-1, os.WNOHANG); opened.append('a child')\n"
        "except ChildProcessError: pass\nprint(opened)"
    )
    leave = "import os\nfor n in range(9): os.pipe()\nprint('left', flush=True)\nos._exit(0)"
    assert said(look) == "[0, 1, 2]\n"
    assert said(leave) == "left\n"
    assert said(look) == "[0, 1, 2]\n"


LEAVE_PROCESSES = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
# No death signal, and orphans that go to this one.
import ctypes
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
made = 0
for n in range(5):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.close(0); os.close(1)
            time.sleep(60)
        os._exit(0)
    made += 1
print(made, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["", "os._exit(0)", "os.kill(os.getpid(), 9)", "time.sleep(60)"])
def test_no_process_is_left_when_a_program_is_over(
    end: str, mark: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WALL_FACTOR", 1)
    assert said(named(mark, LEAVE_PROCESSES.format(end=end)), seconds=1) == "5\n"
    # Not soon: at once, before the next program of this judge begins.
    assert alive(mark) == []
    if kind == "bubblewrap":
        look = "import os\nprint([name for name in os.listdir('/proc') if name.isdigit()])"
        assert said(look) == "['1']\n"


LEAVE_SHARED = """
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
made = []
for name, act in (
    ("memory", lambda: libc.shmget(4711, 4096, 0o1666)),
    ("semaphores", lambda: libc.semget(4711, 1, 0o1666)),
    ("messages", lambda: libc.msgget(4711, 0o1666)),
    ("queue", lambda: libc.syscall(240, b"left", 0o102, 0o666, None)),
):
    if act() != -1: made.append(name)
try:
    with open("/dev/shm/left", "wb") as file: file.write(b"x" * 5000)
    made.append("/dev/shm")
except OSError:
    pass
print(made)
"""
FIND_SHARED = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
found = []
for name, act in (
    ("memory", lambda: libc.shmget(4711, 0, 0)), ("semaphores", lambda: libc.semget(4711, 0, 0)),
    ("messages", lambda: libc.msgget(4711, 0)), ("queue", lambda: libc.syscall(240, b"left", 0, 0, None)),
):
    if act() != -1: found.append(name)
if os.path.exists("/dev/shm/left"): found.append("/dev/shm")
print(found)
"""


def test_no_shared_memory_is_left(kind: str) -> None:
    assert said(LEAVE_SHARED) == ("['/dev/shm']\n" if kind == "bubblewrap" else "[]\n")
    assert said(FIND_SHARED) == "[]\n"


TAKE_ALL = {
    "time": "while True: pass",
    "sleep": "import time\ntime.sleep(60)",
    "memory": "x = []\nwhile True: x.append(b'1' * (50 << 20))",
    "memory of many": "import os, time\nfor n in range(5):\n    if os.fork() == 0:\n"
    "        x = b'1' * (300 << 20)\n        time.sleep(9)\ntime.sleep(9)",
    "processes": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "sleeping processes": "import os, time\nwhile True:\n    try:\n        if os.fork() == 0: "
    "time.sleep(60)\n    except OSError: time.sleep(0.1)",
    "threads": "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, "
    "args=(60,)).start()\n    except RuntimeError: time.sleep(0.1)",
    "output": "while True: print('x' * 100000)",
    "closed output": "import os, time\nos.close(1)\ntime.sleep(60)",
    "closed all": "import os, time\nos.closerange(0, 64)\ntime.sleep(60)",
    "files": "for n in range(6000): open(str(n), 'w').close()\nimport time\ntime.sleep(9)",
    "bytes of files": "x = open('x', 'wb')\nfor n in range(99):\n    open(str(n), 'wb').write(b'x' * (9 << 20))",
    "descriptors": "import os\nfor n in range(99): os.pipe()",
    "own death": "import os\nos.kill(os.getpid(), 9)",
    "death of all": "import os\nos.fork()\nos.kill(-1, 9)\nos.killpg(0, 9)",
    "stopping": "import os, signal\nos.kill(os.getppid() or 1, signal.SIGSTOP)\n"
    "os.kill(os.getpid(), signal.SIGSTOP)",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "its own folder": "import os\nos.chmod('.', 0) if os.getpid() > 1 else None\n"
    "os.rmdir(os.getcwd())",
}
HAS_ALL = """
import os, time
begin = time.process_time()
held = b"1" * (100 << 20)
for n in range(40): open(str(n), "w").write("x" * 100000)
# As many processes as there may be, each alone with its memory.
children = []
for n in range({processes}):
    child = os.fork()
    if child == 0:
        time.sleep(0.1)
        os._exit(0)
    children.append(child)
for child in children: os.waitpid(child, 0)
print("x" * 500000, len(os.listdir(".")), len(children))
"""


@pytest.mark.parametrize("name", TAKE_ALL)
def test_what_one_program_takes_the_next_one_has(
    name: str, kind: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(running, "WALL_FACTOR", 0.5)
        sandbox.run_program(named(mark, TAKE_ALL[name]), seconds=1, memory_gb=1)
    assert alive(mark) == []
    wanted = f"{'x' * 500000} 40 28\n"
    # Under landlock the processes of other tests count too.
    for _ in range(3 if kind == "landlock" else 1):
        execution = sandbox.run_program(HAS_ALL.replace("{processes}", "28"), 5, memory_gb=1)
        if execution.stdout == wanted.encode():
            break
        time.sleep(1)
    else:
        pytest.fail(
            f"{execution.stdout[-300:]!r}, {len(execution.stdout)} bytes, {execution}"[:600]
        )


HAVE = """
import os, sys, time
held = []
for _ in range({count}):
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    held.append(child)
print(flush=True)
sys.stdin.read()
for child in held: os.kill(child, 9)
for child in held: os.waitpid(child, 0)
"""
STARTS_SOME = """
import os
def f(x):
    children = []
    for _ in range(16):
        child = os.fork()
        if child == 0: os._exit(0)
        children.append(child)
    for child in children: os.waitpid(child, 0)
    return x * x
"""


# The judge's own two processes are left, and not those of the program; then none at all.
@pytest.mark.parametrize(("left", "seconds", "judge"), [(8, 0.4, STARTS_SOME), (0, 2.5, GOOD)])
def test_a_neighbour_who_has_all_processes_for_a_moment_costs_no_verdict(
    left: int, seconds: float, judge: str, kind: str
) -> None:
    del kind
    user = installation.as_user()
    landlock.processes_of(os.geteuid() if user is None else user)  # counted, for two seconds
    program = HAVE.replace("{count}", str(landlock.SPARE_PROCESSES - left))
    with subprocess.Popen(
        [str(installation.interpreter()), "-c", program],
        user=user,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as neighbour:
        assert neighbour.stdin is not None
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        threading.Timer(seconds, neighbour.stdin.close).start()
        verdict = judged(judge)
    assert (verdict.value, verdict.detail) == (1.0, "")


REACH = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
pids = {pids} + ([os.getppid()] if os.getppid() else [])
reached = []
def tried(name, act):
    try:
        if act() not in (-1, None): reached.append(name)
    except OSError: pass
def answered(act):
    act()
    return 1
for pid in pids:
    for number in (0, signal.SIGCONT, signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
        tried(f"signal {number}", lambda: answered(lambda: os.kill(pid, number)))
        if pid != os.getpgrp():  # its own
            tried(f"signal {number} of a group", lambda: answered(lambda: os.killpg(pid, number)))
    tried("a pidfd's signal", lambda: answered(
        lambda: signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)))
    tried("ptrace", lambda: libc.ptrace(16, pid, 0, 0))
    tried("memory", lambda: os.open(f"/proc/{pid}/mem", os.O_RDWR))
    tried("environment", lambda: os.open(f"/proc/{pid}/environ", os.O_RDONLY))
    tried("folder", lambda: answered(lambda: os.listdir(f"/proc/{pid}/root/")))
    tried("descriptors", lambda: answered(lambda: os.listdir(f"/proc/{pid}/fd")))
    tried("limits", lambda: libc.prlimit(pid, 7, (ctypes.c_ulong * 2)(3, 3), None))
    tried("reading memory", lambda: libc.process_vm_readv(pid, None, 0, None, 0, 0))
    tried("a descriptor of it", lambda: libc.syscall(438, os.pidfd_open(pid), 0, 0))
    tried("its priority", lambda: libc.setpriority(0, pid, 19))
    tried("its processors", lambda: answered(lambda: os.sched_setaffinity(pid, [0])))
    tried("its namespace", lambda: libc.setns(os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY), 0))
print(reached)
"""


@pytest.fixture
def guards() -> Iterator[list[int]]:
    """The processes between this one and its programs, as far as they are there already; all of
    them are there afterwards."""
    assert judged(GOOD).value == 1.0
    parent = warm.mine.parent
    found = [parent.process.pid, parent.pid] if parent else []
    yield found
    assert [pid for pid in found if pid not in supervisor.descendants(os.getpid())] == []


def test_who_watches_a_program_is_out_of_its_reach(guards: list[int]) -> None:
    # As the machine counts them: in a namespace of its own the program counts anew.
    assert said(REACH.replace("{pids}", str(guards))) == "[]\n"
    assert judged(GOOD).value == 1.0


RIGHTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, data) == 0
ambient = [n for n in range(41) if libc.prctl(47, 1, n, 0, 0) == 1]
bounding = [n for n in range(41) if libc.prctl(23, n, 0, 0, 0) == 1]
print(list(data), ambient, bounding, libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0))
"""


def test_a_program_has_no_capability_and_can_get_none(kind: str) -> None:
    held = said(RIGHTS)
    if kind == "landlock":
        # What a user may have is not changed; without new privileges it is of no use.
        held = re.sub(r"\[[\d, ]*\] 1 2$", "[] 1 2", held.strip())
    assert held.strip() == "[0, 0, 0, 0, 0, 0] [] [] 1 2"


MOUNTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
open("mine", "w").close()
def tried(name, result):
    if result == 0: done.append(name)
def stay(*places):
    for place in places:
        for _ in range(4):
            tried("unmounted " + place, libc.umount2(place.encode(), 2))
            tried("unmounted " + place, libc.umount2(place.encode(), 0))
stay("/tmp", "/proc", "/dev/shm", "/usr", "/")
tried("mounted", libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))
tried("bound", libc.mount(b"/usr", b"/tmp", None, 4096, None))
tried("moved", libc.mount(b"/proc", b"/tmp", None, 8192, None))
tried("remounted", libc.mount(None, b"/usr", None, 32 | 4096, None))
tried("new root", libc.chroot(b"/tmp"))
tried("new root", libc.syscall(155, b"/tmp", b"/tmp"))
tried("named", libc.sethostname(b"x", 1))
tried("opened a tree", min(0, libc.syscall(428, -100, b"/", 1)))
for flags in (0x20000, 0x20000000, 0x08000000, 0x40000000):
    tried("parted", libc.unshare(flags))
{more}
print(done)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of another machine")
def test_nothing_can_be_mounted_or_unmounted() -> None:
    assert said(MOUNTS.replace("{more}", 'tried("parted", libc.unshare(0x10020000))')) == "[]\n"


def test_randomness_is_a_programs_own() -> None:
    look = "import os, random, secrets, uuid\nprint(random.random(), os.urandom(4).hex(), uuid.uuid4())"
    assert len({word for _ in range(3) for word in said(look).split(" ")}) == 9


ENDS = {
    "print('a', end='')": (b"a", 0),
    "import sys\nprint('a')\nsys.exit(3)": (b"a\n", 3),
    "import sys\nsys.exit('words')": (b"", 1),
    "print('a')\nraise ValueError": (b"a\n", 1),
    "raise KeyboardInterrupt": (b"", None),
    "import os\nprint('a')\nos._exit(7)": (b"", 7),
    "import os\nprint('a', flush=True)\nos.abort()": (b"a\n", None),
    "import ctypes\nctypes.string_at(0)": (b"", None),
    "import atexit\natexit.register(print, 'last')\nprint('first')": (b"first\nlast\n", 0),
    "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()": (
        b"late\n",
        0,
    ),
    "import sys\nprint(sys.argv, __name__, sys.stdin.readline(), sys.stdin.read())": (
        b"['-c'] __main__ one\n two\nthree\n",
        0,
    ),
    "import sys\nprint(sys.stdout.line_buffering, sys.stdout.encoding, sys.stdin.seekable(), "
    "sys.stdout.seekable(), sys.stdin.buffer.raw.name, sys.flags.isolated, sys.flags.no_site)": (
        None,
        0,
    ),
    "import __main__\nprint(sorted(vars(__main__)))": (None, 0),
    "import os\nprint(sorted(os.environ), os.getsid(0) == os.getpid(), os.getcwd()[:4])": (None, 0),
    "import signal\nprint([(n, signal.getsignal(n)) for n in range(1, 32) if signal.getsignal(n)])": (
        None,
        0,
    ),
    "print(open('x', 'w').write('x' * (20 << 20)))": (b"", 1),
    "import resource\nprint([resource.getrlimit(n) for n in range(16) if n != 6])": (None, 0),
    "import numpy\nprint(numpy.arange(3).sum(), numpy.__file__)": (None, None),
}
"""Program -> what it prints and its exit code; None: the same as alone, whatever it is."""


@pytest.mark.parametrize("program", ENDS)
def test_a_program_ends_as_it_would_alone(
    program: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def told() -> tuple[bytes, int]:
        execution = sandbox.run_program(program, 5, standard_input=b"one\ntwo\nthree")
        assert (execution.timed_out, execution.took) == (False, "")
        return execution.stdout, execution.exit_code

    stdout, code = ENDS[program]
    found = told()
    assert stdout in (None, found[0])
    assert code in (None, found[1])
    monkeypatch.setenv(sandbox.CHOICE, f"{kind}, cold")
    alone = told()
    if "getsid" in program and kind == "landlock":
        # Alone it is in the session of its supervisor.
        found, alone = ((text.replace(b"True", b"False"), code) for text, code in (found, alone))
    assert found == alone


def test_a_program_may_call_as_deep_as_alone() -> None:
    look = (
        "def depth(n):\n    try: return depth(n + 1)\n    except RecursionError: return n\n"
        "print(depth(0))"
    )
    assert 995 <= int(said(look)) <= 1000


def test_a_fork_of_the_judge_has_a_sandbox_of_its_own(tmp_path: Path) -> None:
    sandbox.run_program("pass", seconds=5)
    child = os.fork()
    if child == 0:
        try:
            right = all(said(f"print({n})") == f"{n}\n" for n in range(5))
        finally:
            os._exit(0 if right else 1)
    assert all(said(f"print({-n})") == f"{-n}\n" for n in range(1, 6))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_program_that_never_reads_and_one_that_reads_much() -> None:
    much = b"x" * (3 << 20)
    first = sandbox.run_program("print('deaf')", 5, standard_input=much)
    second = sandbox.run_program("import sys\nprint(len(sys.stdin.read()))", 5, standard_input=much)
    assert (first.stdout, second.stdout) == (b"deaf\n", b"%d\n" % len(much))
    assert said("import sys\nprint(repr(sys.stdin.read()))") == "''\n"


def test_limits_are_those_of_each_program() -> None:
    look = (
        "import resource as r\nprint(r.getrlimit(r.RLIMIT_AS)[0] >> 30, r.getrlimit(r.RLIMIT_CPU))"
    )
    assert said(look, seconds=3, memory_gb=2) == "2 (3, 3)\n"
    assert said(look, seconds=9, memory_gb=1) == "1 (9, 9)\n"
    begin = time.monotonic()
    assert sandbox.run_program("while True: pass\nprint('on')", seconds=1).exit_code != 0
    assert time.monotonic() - begin < running.START_SECONDS
    assert said(look, seconds=4, memory_gb=3) == "3 (4, 4)\n"


def test_whoever_is_chosen_for_programs_is_this_user(kind: str) -> None:
    user = installation.as_user()
    assert said("import os\nprint(os.getuid(), os.getgid(), os.getgroups())").split()[0] == str(
        os.getuid() if user is None else user
    )
