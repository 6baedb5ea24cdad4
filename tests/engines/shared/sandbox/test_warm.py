"""The warm sandbox itself: when it breaks, when it does not hold, and how long it lives."""

import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.contract.config import ConfigError
from engines.shared.sandbox import (
    bubblewrap,
    installation,
    landlock,
    own_folder,
    running,
    seccomp,
    supervisor,
    warm,
)
from engines.shared.sandbox import execution as sandbox
from tests.support.judged_programs import GOOD, alive, judged, named
from tests.support.paths import ROOT


@pytest.fixture(params=["bubblewrap", "landlock"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Warm, and begun anew: nothing was tried."""
    name = str(request.param)
    if name == "bubblewrap" and shutil.which("bwrap") is None and os.environ.get("CI") != "true":
        pytest.skip("no bubblewrap")
    if name == "landlock" and (trouble := landlock.trouble()):
        pytest.skip(trouble)
    monkeypatch.setenv(sandbox.CHOICE, name)
    warm.forget()
    sandbox.tested.cache_clear()
    yield name
    warm.forget()
    sandbox.tested.cache_clear()


def said(program: str) -> str:
    """What a program prints in the warm sandbox, and in no other."""
    asked = running.Asked(program, 5, 1, b"", running.OUTPUT_BYTES, "")
    return sandbox.run_in(os.environ[sandbox.CHOICE], asked).stdout.decode()


def parent() -> warm.Parent:
    """That of this thread."""
    assert warm.mine.parent is not None
    return warm.mine.parent


def gone(pids: list[int]) -> bool:
    """Whether these processes end soon; one that nobody has waited for yet has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        states = [supervisor.content(f"/proc/{pid}/stat").rpartition(b")")[2][:2] for pid in pids]
        if all(state in (b"", b" Z") for state in states):
            return True
        time.sleep(0.02)
    return False


def test_one_parent_runs_them_all() -> None:
    found = {(said(f"print({n})"), parent().pid) for n in range(5)}
    assert {text for text, _ in found} == {f"{n}\n" for n in range(5)}
    assert len({pid for _, pid in found}) == 1
    assert judged(GOOD).value == 1.0
    with_prelude = parent().pid
    assert said("print('judge_asserts' in globals())") == "False\n"
    assert judged(GOOD).value == 1.0
    assert parent().pid == with_prelude


def test_a_parent_that_ended_between_programs_is_started_anew() -> None:
    assert said("print(1)") == "1\n"
    before = parent().pid
    os.kill(before, signal.SIGKILL)
    assert gone([before])
    # What met the broken one runs alone; the next one is in a new one.
    assert sandbox.run_program("print(2)", 5).stdout == b"2\n"
    assert warm.mine.parent is None
    assert said("print(3)") == "3\n"
    assert parent().pid != before


def test_a_parent_that_ends_under_a_program_costs_no_verdict(mark: str) -> None:
    assert judged(GOOD).value == 1.0
    before = parent().pid

    def break_it() -> None:
        while not alive(mark):
            time.sleep(0.005)
        os.kill(before, signal.SIGKILL)

    thread = threading.Thread(target=break_it, daemon=True)
    thread.start()
    program = named(mark, "import time\ndef f(x):\n    time.sleep(0.3)\n    return x * x")
    assert judged(program, "assert f(3) == 9").value == 1.0
    thread.join()
    assert judged(GOOD).value == 1.0
    assert judged(GOOD).value == 1.0
    assert parent().pid != before


def test_a_guard_that_was_killed_leaves_nothing(kind: str, mark: str) -> None:
    if kind == "bubblewrap":
        pytest.skip("it is the parent")
    said("pass")
    above = parent().pid

    def kill_it() -> None:
        while not alive(mark):
            time.sleep(0.005)
        os.kill(supervisor.children(above)[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_it, daemon=True)
    thread.start()
    # No death signal, and one that is nobody's child.
    leave = (
        "import ctypes, os, time\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nif os.fork() == 0:\n"
        "    os.setsid()\n    os.fork()\nprint('on', flush=True)\ntime.sleep(1)"
    )
    # The second time it is alone, and ends by itself.
    assert sandbox.run_program(named(mark, leave), seconds=5).stdout == b"on\n" * 3
    thread.join()


def test_where_no_parent_starts_programs_run_one_by_one(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "LOADER", "raise SystemExit('not today')")
    with pytest.raises(bubblewrap.SandboxError, match="not today"):
        said("print(1)")
    assert sandbox.run_program("print(1)", 5).stdout == b"1\n"
    assert sandbox.self_test().endswith(", cold")
    assert os.environ[sandbox.CHOICE] == f"{kind}, cold"
    assert judged(GOOD).value == 1.0


NOT_FRESH = {
    "bubblewrap": ("TEXT", warm.TEXT.replace("parent.main(", "parent.PLACES = ()\nparent.main(")),
    "landlock": ("own_folder", None),
}


def test_the_self_test_finds_what_one_program_leaves_for_the_next(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, value = NOT_FRESH[kind]
    with own_folder.own_folder(installation.as_user()) as shared:

        class Always:
            """The same folder for all."""

            def __init__(self, _: Any) -> None:
                pass

            def __enter__(self) -> str:
                return shared

            def __exit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(warm, name, value or Always)
        with pytest.raises(bubblewrap.SandboxError, match="files of another program"):
            sandbox.tested(kind)
        assert sandbox.self_test().endswith(", cold")


def test_the_self_test_finds_a_warm_sandbox_without_limits(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "landlock":
        pytest.skip("there its supervisor counts them")
    monkeypatch.setattr(
        warm, "LIMITS", bubblewrap.LIMITS.replace("RLIMIT_NPROC, processes", "RLIMIT_CORE, 0")
    )
    with pytest.raises(bubblewrap.SandboxError, match="any number of processes"):
        sandbox.tested(kind)


def test_a_sandbox_that_holds_neither_warm_nor_cold_is_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak = sandbox.PROBE.replace('"/home", ', '"/usr", "/home", ')
    monkeypatch.setattr(sandbox, "PROBE", leak)
    with pytest.raises(ConfigError, match=f"{kind}: does not hold: a program reaches"):
        sandbox.self_test()


def test_without_a_filter_of_calls_nothing_is_warm(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seccomp, "filter_program", lambda _: None)
    with pytest.raises(bubblewrap.SandboxError, match="libseccomp"):
        said("pass")
    if kind == "bubblewrap":
        assert sandbox.self_test().endswith(", cold")


ALLOW_ALL = struct.pack("HBBI", 6, 0, 0, seccomp.ALLOW)
UNDER = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
done = []
def tried(name, result):
    if result == 0: done.append(name)
def unmount():
    for place in ("/tmp", "/proc", "/dev/shm", "/usr", "/"):
        for flags in (2, 0):
            tried("unmounted " + place, libc.umount2(place.encode(), flags))
unmount()
tried("mounted", libc.mount(b"x", b"/tmp", b"tmpfs", 0, None))
tried("named", libc.sethostname(b"x", 1))
tried("joined", libc.setns(os.open("/proc/self/ns/pid", os.O_RDONLY), 0))
tried("parted", libc.unshare(0x20000))
print(done)
# A namespace of its own, in which it may mount, and unmount nothing that was there before.
print(libc.unshare(0x10020000))
done.clear()
unmount()
print(done, sorted(os.listdir("/tmp")), [name for name in os.listdir("/proc") if name.isdigit()])
"""


def test_the_namespaces_hold_without_a_filter_of_calls_too(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "landlock":
        pytest.skip("it makes no namespaces")
    monkeypatch.setattr(warm, "rules", lambda _: ALLOW_ALL)
    assert said("open('/tmp/left', 'w').close()\nopen('/dev/shm/left', 'w').close()") == ""
    assert said(UNDER) == "[]\n0\n[] [] ['1']\n"


LIVES = """
import os, sys
from engines.shared.sandbox import execution, warm
execution.run_program("pass", seconds=5)
print(warm.mine.parent.process.pid, warm.mine.parent.pid, flush=True)
{end}
"""


@pytest.mark.parametrize(
    "end", ["", "os._exit(0)", "os.kill(os.getpid(), 9)", "raise ValueError", "sys.exit(3)"]
)
def test_a_parent_ends_with_its_judge(end: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIVES.format(end=end)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout.split()
    assert len(found) == 2
    assert gone([int(pid) for pid in found])


def test_a_parent_ends_with_its_thread() -> None:
    found: list[int] = []

    def judge() -> None:
        assert said("print(1)") == "1\n"
        found.extend([parent().process.pid, parent().pid])

    thread = threading.Thread(target=judge)
    thread.start()
    thread.join()
    assert len(found) == 2
    assert gone(found)


def test_an_interrupted_judge_starts_anew(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said("pass")
    before = parent().pid

    def interrupted(self: running.Talk, *_: Any) -> str:
        while not self.has_started:
            self.turn(1.0)
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(running.Talk, "go_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            said(named(mark, "import time\ntime.sleep(60)"))
    assert gone([before])
    assert said("print('anew')") == "anew\n"


def test_nothing_of_a_program_enters_the_memory_of_its_parent() -> None:
    word = secrets.token_hex(20)
    program = f"def f(x):\n    return '{word}' if x else x"
    assert judged(program, f"assert f(1) == '{word}'").value == 1.0
    pid = parent().pid
    try:
        memory = Path(f"/proc/{pid}/mem").open("rb", buffering=0)  # noqa: SIM115
    except PermissionError:
        pytest.skip("not ours to read")
    seen = 0
    with memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            begin, end = (int(one, 16) for one in span.split("-"))
            memory.seek(begin)
            held = memory.read(end - begin)
            seen += held.count(b"judge_asserts")
            assert word.encode() not in held
    # It is able to find what is there.
    assert seen
