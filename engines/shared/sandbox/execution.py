"""Model-written code runs here and nowhere else: no network, no files, limited time, memory and
processes.

Three kinds, found out once per job and said in its results: ``bubblewrap``; where it does not work
``landlock`` (with seccomp, rlimits and a supervisor, ``engines.shared.sandbox.landlock``); and only
if the config allows it ``limits``: what of the second this kernel has. The first two are warm
(``warm.py``), or with ``, cold`` behind the name a process of its own for each program
(``cold.py``). ``running.py`` runs a program in one of them.

Of the machine only ``/usr`` and the folders of the Python installation can be read. In bubblewrap
``/tmp`` and ``/dev/shm`` are empty memory file systems of 64 MiB; else an empty folder of a
program's own is all that can be written. The sandbox dies with its parent, with all it has started.
"""

from __future__ import annotations

import functools
import os
import subprocess

from engines.contract.config import ConfigError
from engines.shared.sandbox import landlock, seccomp, warm
from engines.shared.sandbox.bubblewrap import SandboxError
from engines.shared.sandbox.bubblewrap import program as bubblewrap_program
from engines.shared.sandbox.cold import run_cold
from engines.shared.sandbox.installation import numpy_folders, on_the_way, readable
from engines.shared.sandbox.running import OUTPUT_BYTES, Asked, Execution
from engines.shared.sandbox.warm import run_warm

COLD = ", cold"
WARM = ("bubblewrap", "landlock")
KINDS = ("bubblewrap", f"bubblewrap{COLD}", "landlock", f"landlock{COLD}", "limits")
"""The strongest first; of the same strength, the fastest."""
CHOICE = "ORCH_SANDBOX"
"""The environment variable with the kind that was chosen, for the processes that score; one may
also set it to try no other."""


def run_program(
    program: str,
    seconds: float,
    memory_gb: int = 4,
    standard_input: bytes = b"",
    output_bytes: int = OUTPUT_BYTES,
    prelude: str = "",
) -> Execution:
    """Run a Python program. CPU time is limited to ``seconds``, wall time to
    ``running.WALL_FACTOR`` times that; memory to ``memory_gb`` for all its processes together.
    SandboxError if it did not start.

    Output beyond ``output_bytes`` ends the program; what it wrote until then is returned.
    ``prelude`` runs before it, in the same names: where many programs have one, it is read once.
    """
    kind = chosen()
    asked = Asked(program, seconds, memory_gb, standard_input, output_bytes, prelude)
    try:
        return run_in(kind, asked)
    except SandboxError:
        if kind not in WARM:
            raise
    # Alone, so that what it may have done to the warm one costs its verdict alone.
    return run_in(f"{kind}{COLD}", asked)


def run_in(kind: str, asked: Asked) -> Execution:
    """Run a program in this kind of sandbox and in no other. SandboxError if it did not start, or
    the sandbox broke."""
    return run_warm(kind, asked) if kind in WARM else run_cold(means(kind), asked)


def means(kind: str) -> str:
    """What holds a program, warm or cold."""
    return kind.removesuffix(COLD)


def shares_processes() -> bool:
    """Whether the limit of processes counts all that the user runs, other programs that are judged
    among them; in bubblewrap it counts the program's own."""
    return means(chosen()) != "bubblewrap"


# 192.0.2.1 is an address for documentation, which no host has: a time-out says that packets leave
# the machine, an error at once that there is no way out.
PROBE = """
import os, socket
found = []
# What may be seen of a folder: the names that lead to what may be read.
seen = {seen!r}
for path in ("/home", "/root", "/var", "/opt", "/srv", "/mnt", "/etc", *seen):
    try:
        names = set(os.listdir(path))
    except OSError:
        continue
    if names - set(seen.get(path, ())):
        found.append(path)
try:
    if any(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc")):
        found.append("/proc")
except OSError:
    pass
for path in ("/etc/passwd", "/etc/hostname"):
    try:
        open(path)
        found.append(path)
    except OSError:
        pass
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
    found.append("network")
except TimeoutError:
    found.append("network")
except OSError:
    pass
try:
    if os.getppid():
        os.kill(os.getppid(), 0)
        found.append("other processes")
except OSError:
    pass
try:
    open("/usr/written", "w")
    found.append("/usr for writing")
except OSError:
    pass
if set(os.listdir(".")) - set(seen.get(os.getcwd(), ())):
    found.append("files of another program")
with open("own", "w") as file:
    file.write("x")
os.write(1, repr(found).encode())
os._exit(0)
"""
"""Prints the list of what it reaches and must not."""


MANY = """
import os, time
try:
    for _ in range(64):
        if os.fork() == 0:
            time.sleep(60)
    time.sleep(2)
    os.write(1, b"any number of processes")
except OSError:
    os._exit(0)
os._exit(0)
"""
"""Says so if it may have many processes; where it may not, it cannot make them or is killed for
them."""


def reached(kind: str) -> str | None:
    """What a program can do in this kind of sandbox that it must not; None if it holds.
    SandboxError if it does not start."""
    if means(kind) == "landlock" and (trouble := landlock.trouble()):
        raise SandboxError(trouble)

    def tried(program: str) -> Execution:
        return run_in(kind, Asked(program, 5, 4, b"", OUTPUT_BYTES, ""))

    # In bubblewrap numpy lies in a place of its own; else it is read where it is.
    paths = readable() if means(kind) == "bubblewrap" else [*readable(), *numpy_folders()]
    # The second finds what the first has left.
    for _ in range(2 if kind in WARM else 1):
        execution = tried(PROBE.format(seen=on_the_way(paths)))
        if execution.stdout != b"[]" and kind != "limits":
            return (
                f"a program reaches {execution.stdout[-200:].decode(errors='replace')}, exit code "
                f"{execution.exit_code}"
            )
    return tried(MANY).stdout.decode() or None


@functools.cache
def tested(kind: str) -> str:
    """Name and version of a kind of sandbox that holds on this machine. SandboxError says why it
    does not."""
    # Not the one that is there, but one as it starts now; and who tries is not who judges.
    warm.forget()
    try:
        if why := reached(kind):
            raise SandboxError(f"does not hold: {why}")
    finally:
        warm.forget()
    manner = COLD if kind.endswith(COLD) else ""
    if means(kind) == "bubblewrap":
        asked = [bubblewrap_program() or "bwrap", "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        seccomps = "" if seccomp.library() else ", no seccomp"
        return f"{said or 'bubblewrap'}{seccomps}{manner}"
    parts = (
        f"landlock {landlock.landlock_version()}, "
        f"{'seccomp' if seccomp.library() else 'no seccomp'}, rlimits{manner}"
    )
    return f"weak: {parts}" if kind == "limits" else parts


@functools.cache
def numpy_version() -> str:
    """The version of numpy that programs find in the sandbox; "absent" if they find none."""
    program = "import numpy\nprint(numpy.__version__, end='')"
    said = run_program(program, seconds=10).stdout.decode()
    # Who asks is mostly not who judges, and lives long.
    warm.forget()
    return said or "absent"


def chosen() -> str:
    """The kind in use here: what a process before this one found out, else found out now.
    SandboxError if none holds."""
    # Environment variables reach the processes that score, however they are started.
    kind = os.environ.get(CHOICE)
    if kind is None:
        try:
            self_test()
        except ConfigError as error:
            raise SandboxError(str(error)) from error
        return os.environ[CHOICE]
    if kind not in KINDS:
        raise SandboxError(f"{CHOICE}={kind}: no such sandbox; there are {', '.join(KINDS)}")
    return kind


def self_test(allow_weak: bool = False) -> str:
    """Choose a sandbox that holds on this machine, for this process and those that it starts; its
    name and version.

    It must run a program, and the program must reach no file, network, process or writable folder,
    and be few processes only; ``allow_weak``: one of which only the last is true is better than
    none. ConfigError if there is none.
    """
    reasons: dict[str, str] = {}
    for kind in kinds_to_try(os.environ.get(CHOICE)):
        if kind == "limits" and not allow_weak:
            continue
        try:
            name = tested(kind)
        except SandboxError as error:
            # Warm and cold mostly fail for the same reason.
            if str(error) not in reasons.get(means(kind), ""):
                reasons[kind] = f"{kind}: {error}"
            continue
        os.environ[CHOICE] = kind
        return name
    raise ConfigError(
        "model-written code cannot be run safely on this machine "
        f"({'; '.join(reasons.values()) or 'no sandbox but limits'}): install "
        "bubblewrap or ask for user namespaces, score on another node, or set allow_weak_sandbox"
    )


def kinds_to_try(set_before: str | None) -> tuple[str, ...]:
    """The kinds to try, the best first; one that was chosen before, then the same one cold."""
    if set_before is None:
        return KINDS
    return (set_before, f"{set_before}{COLD}") if set_before in WARM else (set_before,)
