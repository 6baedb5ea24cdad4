"""Attacks on both sandboxes, each as what must not come of it: a forged verdict, something left
behind, a machine's memory or limits taken from others, a file seen.

All are small: tens of files, about a gigabyte of memory for a moment, seconds."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.contract.config import ConfigError
from engines.shared.sandbox import bubblewrap, installation, landlock, running, seccomp, supervisor
from engines.shared.sandbox import execution as sandbox
from engines.shared.scoring import code
from tests.support.judged_programs import GOOD, alive, judged, named, printing
from tests.support.paths import ROOT

WRONG_IN_MAP = "for got, want in zip(map(f, [1, 2]), [1, 4]):\n    assert got == want"
RAISING = "def f(x): raise {}"
UNITTESTS_MAIN = """
import types
TAKE = '''
import os, sys
frame = sys._getframe()
while frame:
    if "secret" in frame.f_locals:
        os.write(frame.f_locals["out"], frame.f_locals["secret"].encode())
        os._exit(0)
    frame = frame.f_back
'''
open("test_taken.py", "w").write(TAKE)
f = types.ModuleType("unittest.__main__")
"""
RAW_REPLIES = """
import json, os
def say(reply):
    data = json.dumps(reply).encode()
    for n in range(3, 64):
        try: os.write(n, b"%010d" % len(data) + data)
        except OSError: pass
def f(x):
    for _ in range(8): say(["raised", {!r}, "0"])
"""
FORGERIES: dict[str, tuple[str, str]] = {
    **{
        f"{name} in a map": (RAISING.format(name), WRONG_IN_MAP)
        for name in (
            "StopIteration",
            "StopAsyncIteration",
            "GeneratorExit",
            "SystemExit(0)",
            "KeyboardInterrupt",
        )
    },
    **{
        f"a raw reply of {name}": (RAW_REPLIES.format(name), WRONG_IN_MAP)
        for name in ("StopIteration", "SystemExit", "GeneratorExit", "KeyboardInterrupt")
    },
    "a subclass": ("class Mine(StopIteration): pass\ndef f(x): raise Mine", WRONG_IN_MAP),
    "all of a map": (
        RAISING.format("StopIteration"),
        "assert all(map(lambda pair: f(pair[0]) == pair[1], [(1, 1), (2, 4)]))",
    ),
    "a filter": (
        RAISING.format("StopIteration"),
        "assert not list(filter(lambda x: f(x) != x * x, [1, 2]))",
    ),
    "iter with an end": (
        "def f(): raise StopIteration",
        "for x in iter(f, 0):\n    assert x == 7",
    ),
    "an attribute": (
        "class A:\n    def __getattr__(self, name): raise StopIteration\ndef f(): return A()",
        "assert all(map(lambda x: f().value == x, [1]))",
    ),
    "an item": (
        "class A:\n    def __getitem__(self, key): raise StopIteration\ndef f(): return A()",
        "assert all(map(lambda x: f()[0] == x, [1]))",
    ),
    "a length": (
        "class A:\n    def __len__(self): raise StopIteration\ndef f(): return A()",
        "assert all(map(lambda x: len(f()) == x, [1]))",
    ),
    "a function of the test's": (
        "def f(g):\n    while True: g()",
        "it = iter([1])\ndef g(): return next(it)\n"
        "for x in map(lambda n: f(g), [1, 2]):\n    assert x == 9",
    ),
    "a module of its own": (
        "class math:\n    isclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0",
        "assert math.isclose(f(2), 1.414)",
    ),
    "a module under an alias": (
        "class np:\n    allclose = staticmethod(lambda *a, **k: True)\ndef f(x): return 0",
        "assert np.allclose(f(2), 1.414)",
    ),
    "a module that runs what it finds": (UNITTESTS_MAIN, "assert f(3) == 9"),
    "an interrupt": (
        "import os, signal, time\ndef f(x):\n    os.kill(os.getppid(), signal.SIGINT)\n"
        "    time.sleep(0.2)\n    return 0",
        "import contextlib\nwith contextlib.suppress(KeyboardInterrupt):\n    assert f(3) == 9",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_verdict_is_forged(name: str) -> None:
    program, tests = FORGERIES[name]
    verdict = judged(program, tests)
    assert (verdict.value, verdict.status) == (0.0, "ok")


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        ("def f():\n    yield 1", "g = f()\nassert next(g) == 1\nassert next(g, 5) == 5"),
        ("def f(x): return x * x", WRONG_IN_MAP),
        ("def f(x): raise SystemExit(3)", "try:\n    f(1)\nexcept Exception:\n    pass\n"),
        ("import math\ndef f(x): return x ** 0.5", "assert math.isclose(f(4), 2)"),
        ("import os.path\ndef f(x): return x", "assert f(os.path.join('a', 'b')) == 'a/b'"),
        ("def bisect(x): return x + 1", "assert bisect(1) == 2"),
        ("def f(x): return x * 5_000_000", "assert len(f('ab')) == 10_000_000"),
    ],
)
def test_what_is_right_stays_right(program: str, tests: str) -> None:
    passing = tests if "assert" in tests else f"{tests}\nassert True"
    assert judged(program, passing).detail == ""


@pytest.mark.parametrize(
    "program",
    [
        "def f(x): return 'x' * (1 << 25)",
        "import os\ndef f(x):\n    for n in range(3, 64):\n        try: os.write(n, b'9999999999')\n"
        "        except OSError: pass",
        "import os\ndef f(x):\n    for n in range(3, 64):\n        try: os.write(n, b'-000000009')\n"
        "        except OSError: pass",
    ],
)
def test_a_reply_has_a_bound(program: str) -> None:
    verdict = judged(program, "assert f(3) == 9")
    assert verdict.value == 0.0
    assert "bytes, more than" in verdict.detail


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the folders of programs are made; afterwards none is left."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", place)
        yield Path(place)
        assert list(Path(place).iterdir()) == []
        monkeypatch.undo()


ABUSES = {
    "deep": "import os\nfor n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')",
    "deep, with files, and locked": "import os\nfor n in range(200):\n    open('f', 'w').close()\n"
    "    os.mkdir('d', 0o300)\n    os.mkdir('e', 0)\n    os.chdir('d')",
    "long names": "import os\nfor n in range(60):\n    os.mkdir('n' * 255)\n    os.chdir('n' * 255)",
    "names that are numbers": "import os\nfor n in range(1, 9): os.makedirs(f'{n}/{n + 1}/1')",
    "links out": "import os\nos.mkdir('d')\nos.symlink('/', 'd/a')\nos.symlink('..', 'd/b')\n"
    "os.symlink('/usr', 'c')\nos.mkfifo('p')",
}


@pytest.mark.parametrize("name", ABUSES)
def test_nothing_is_left_of_a_folder(name: str, folders: Path, mark: str) -> None:
    begin = time.monotonic()
    sandbox.run_program(named(mark, f"{ABUSES[name]}\nimport time\ntime.sleep(0.2)"), seconds=1)
    assert time.monotonic() - begin < running.START_SECONDS + 8


KEPT = "\nimport time\ntime.sleep(2)\nprint('kept')"
TAKING = {
    "files": "for n in range(6000): open(str(n), 'w').close()",
    "files without a name": "import os\nheld = []\nfor n in range(9):\n"
    "    held.append(os.open('f', os.O_RDWR | os.O_CREAT))\n    os.unlink('f')\n"
    "    os.posix_fallocate(held[-1], 0, 8 << 20)",
    "mapped files without a name": "import mmap, os\nheld = []\nfor n in range(9):\n"
    "    file = os.open('f', os.O_RDWR | os.O_CREAT)\n    os.unlink('f')\n"
    "    os.posix_fallocate(file, 0, 8 << 20)\n    held.append(mmap.mmap(file, 8 << 20))\n"
    "    os.close(file)",
    "memory of five processes": "import os\nhear, say = os.pipe()\nfor n in range(5):\n"
    "    if os.fork() == 0:\n        x = b'1' * (230 << 20)\n        os.write(say, b'!')\n"
    "        import time\n        time.sleep(9)\nheld = b''\nwhile len(held) < 5:\n"
    "    held += os.read(hear, 5)",
}


@pytest.mark.parametrize("name", TAKING)
def test_what_takes_too_much_is_ended(name: str, folders: Path, mark: str) -> None:
    # What goes wrong in it is an end too: bubblewrap's memory file system is full.
    program = named(mark, TAKING[name] + KEPT)
    execution = sandbox.run_program(program, seconds=5, memory_gb=1)
    assert (execution.stdout, execution.timed_out) == (b"", False)


def test_memory_that_processes_share_counts_once() -> None:
    program = (
        "import os, time\nx = b'1' * (300 << 20)\nfor n in range(4):\n    if os.fork() == 0:\n"
        "        time.sleep(1)\n        os._exit(0)\nfor n in range(4): os.wait()\nprint('shared')"
    )
    assert sandbox.run_program(program, seconds=3, memory_gb=1).stdout == b"shared\n"


HIDDEN = """
import ctypes, mmap, os
libc, found = ctypes.CDLL(None, use_errno=True), []
def tried(name, act):
    try: found.append(name) if act() != -1 else None
    except OSError: pass
tried("memfd", lambda: os.memfd_create("x"))
tried("System V", lambda: libc.shmget(0, 1 << 20, 0o1600))
tried("shared and no file's", lambda: bool(mmap.mmap(-1, 4096)))
tried("huge pages", lambda: libc.syscall(9, 0, 2 << 20, 3, 0x40022, -1, 0))
tried("/dev/zero", lambda: bool(mmap.mmap(os.open("/dev/zero", os.O_RDONLY), 4096, prot=1)))
tried("a namespace", lambda: libc.unshare(0x10020000))
tried("a message queue", lambda: libc.mq_open(b"/x", 0o102, 0o600, None))
tried("a watch", lambda: libc.inotify_init())
tried("a socket", lambda: libc.socket(2, 1, 0))
tried("a message with descriptors", lambda: libc.sendmsg(1, None, 0) if ctypes.get_errno() else -1)
print(found)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of another machine")
def test_there_is_no_memory_that_nobody_counts() -> None:
    assert seccomp.library() is not None
    assert sandbox.run_program(HIDDEN, seconds=3).stdout == b"[]\n"


def test_a_users_other_processes_do_not_take_a_programs() -> None:
    landlock.tasks_of.cache_clear()
    assert judged(GOOD).value == 1.0
    many = "import threading, time\nfor n in range(300):\n    threading.Thread(target=time.sleep, "
    many += "args=(60,), daemon=True).start()\nprint('up', flush=True)\ntime.sleep(60)"
    user = installation.as_user()
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", many],
        user=user,
        group=user,
        cwd="/",
        stdout=subprocess.PIPE,
    ) as others:
        assert others.stdout is not None
        try:
            assert others.stdout.readline() == b"up\n"
            assert judged(GOOD).value == 1.0
        finally:
            others.kill()


def test_a_fork_bomb_is_no_matter_to_the_programs_beside_it() -> None:
    bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    thread = threading.Thread(target=lambda: sandbox.run_program(bomb, seconds=1))
    thread.start()
    found = [judged(GOOD).value]
    thread.join()
    assert found == [1.0]


NO_PROCESS = """
import os, resource, sys
from engines.shared.sandbox import bubblewrap, installation, landlock
from engines.shared.scoring.code import by_secret
user = installation.as_user()
taken = landlock.tasks_of(os.geteuid() if user is None else user, 0)
resource.setrlimit(resource.RLIMIT_NPROC, (taken + {more}, taken + {more}))
try:
    print(by_secret("judge_asserts", 5.0, "def f(x): return x", "assert f(1) == 1").value)
except bubblewrap.SandboxError:
    print("no verdict")
"""


@pytest.mark.parametrize("more", [0, 2])
def test_a_judge_without_a_process_is_no_verdict(more: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", NO_PROCESS.format(more=more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # An ordinary user has more processes than are counted here: then it is right.
    assert said in ("no verdict\n", "1.0\n")


def test_a_death_that_nobody_here_caused_is_asked_again(mark: str) -> None:
    def kill_once() -> None:
        while not (found := alive(mark)):
            time.sleep(0.005)
        os.kill(int(found[0]), signal.SIGKILL)

    # Long enough to be found, and on two cores under load too.
    program = named(mark, "import time\ndef f(x):\n    time.sleep(0.3)\n    return x * x")
    thread = threading.Thread(target=kill_once, daemon=True)
    thread.start()
    assert judged(program, "assert f(3) == 9").value == 1.0
    thread.join()
    verdict = judged("import os\ndef f(x): os.kill(os.getpid(), 9)", "assert f(3) == 9")
    assert (verdict.value, verdict.status) == (0.0, "ok")
    assert "killed" in verdict.detail
    verdict = printing("import os\nos.kill(os.getpid(), 9)", ["1"], ["1"])
    assert (verdict.value, verdict.status) == (0.0, "ok")


def test_a_caller_that_is_interrupted_ends_the_program_at_once(
    mark: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: running.Talk, *_: Any) -> str:
        while not self.has_started:
            self.turn(1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(running.Talk, "go_on", interrupted)
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        sandbox.run_program(named(mark, "import time\ntime.sleep(60)"), seconds=30)
    assert time.monotonic() - begin < running.START_SECONDS


def test_a_supervisor_ends_all_also_when_a_job_is_told_to_end(mark: str) -> None:
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    program = named(mark, deaf + "print('up', flush=True)\ntime.sleep(1.5)")

    def tell() -> None:
        while not alive(mark):
            time.sleep(0.01)
        below = supervisor.descendants(os.getpid())
        for pid in below:
            os.kill(pid, signal.SIGTERM)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    sandbox.run_program(program, seconds=1)
    thread.join()


@pytest.mark.long
def test_a_judge_that_is_stopped_gives_no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "RUN_SECONDS", 1)
    monkeypatch.setattr(code, "ALL_RUNS_SECONDS", 2.1)
    program = "import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(9)"
    assert printing(program, ["1"], ["1"]).value == 0.0


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a Python installed right into it, and a secret beside it."""
    system = Path("/usr/bin/python3").resolve()
    library = Path("/usr/lib") / system.name
    if not library.is_dir():
        pytest.skip(f"no {library} to make an installation of")
    with tempfile.TemporaryDirectory() as place:
        found = Path(place)
        found.chmod(0o755)
        (found / "bin").mkdir()
        (found / "lib").mkdir()
        (found / "lib" / system.name).symlink_to(library)
        shutil.copy2(system, found / "bin")
        (found / "secret").write_text("secret")
        monkeypatch.setattr(sys, "_base_executable", str(found / "bin" / system.name))
        monkeypatch.setattr(sys, "base_prefix", str(found))
        monkeypatch.setattr(sys, "base_exec_prefix", str(found))
        forget()
        yield found
    forget()


def forget() -> None:
    """What was found out about this Python."""
    for known in (bubblewrap.command, sandbox.tested, sandbox.numpy_version):
        known.cache_clear()
    installation.numpy_folders.cache_clear()


def test_of_a_python_in_a_home_the_home_is_not_seen(home: Path, kind: str) -> None:
    assert installation.readable()[-2:] == [str(home / "bin"), str(home / "lib")]
    assert sandbox.self_test().startswith(kind)
    program = (
        f"import os, sys\nprint(sys.prefix)\ntry: open({str(home / 'secret')!r}); print('read')\n"
        f"except OSError: print('held')\ntry: print(sorted(os.listdir({str(home)!r})))\n"
        "except OSError: print(['bin', 'lib'])"
    )
    said = sandbox.run_program(program, seconds=3).stdout.decode().splitlines()
    assert said == [str(home), "held", "['bin', 'lib']"]


def test_the_self_test_knows_what_is_bound_from_a_leak(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    if kind == "landlock":
        monkeypatch.setattr(landlock, "readable", lambda: [*installation.readable(), str(home)])
    else:
        monkeypatch.setattr(bubblewrap, "readable", lambda: [*installation.readable(), str(home)])
    with pytest.raises(ConfigError, match=f"a program reaches .*{home.name}"):
        sandbox.self_test()


def test_what_leads_to_a_folder_is_named() -> None:
    assert installation.on_the_way(["/usr", "/opt/conda/bin", "/opt/conda/lib", "/usr/lib"]) == {
        "/opt": ["conda"],
        "/opt/conda": ["bin", "lib"],
    }


ORDINARY = """
from engines.shared.sandbox import execution
from engines.shared.scoring.code import by_secret
verdict = by_secret("judge_asserts", 5.0, "def f(x): return x", "assert f(1) == 1")
print(execution.self_test().split()[0], verdict.value)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user")
def test_an_ordinary_user_has_the_same_sandboxes(kind: str) -> None:
    python = Path("/usr/bin/python3").resolve()
    libraries = Path(sys.modules["pydantic"].__file__ or "").parent.parent
    same = python.name == f"python3.{sys.version_info.minor}"
    if not same or not all(map(installation.open_to_others, (ROOT, libraries))):
        pytest.skip("a user without rights cannot run this Python or read these files")
    with tempfile.TemporaryDirectory() as place:
        os.chown(place, installation.NOBODY, installation.NOBODY)
        found = subprocess.run(
            [python, "-B", "-c", ORDINARY],
            cwd=ROOT,
            user=installation.NOBODY,
            group=installation.NOBODY,
            extra_groups=[],
            env={
                "PYTHONPATH": f"{ROOT}:{libraries}",
                "PATH": "/usr/bin",
                "TMPDIR": place,
                sandbox.CHOICE: os.environ[sandbox.CHOICE],
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert found.stdout == f"{kind} 1.0\n", found.stderr[-600:]
