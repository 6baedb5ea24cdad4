"""Model-written code runs here and nowhere else: bubblewrap, no network, no files, limited time, memory and processes.

Everything of the machine but ``/usr`` and the Python installation is out of sight; ``/tmp`` and ``/dev/shm`` are empty memory file
systems of 64 MiB, and nothing else can be written. The
sandbox dies with its parent, with all it has started.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engines.io import ConfigError

NOBODY = 65534

OUTPUT_BYTES = 1 << 20
"""More output than this ends a program; what it wrote until then is returned."""

STARTED = b"started\n"
"""The first thing on standard output: what comes before it is the sandbox's doing, what comes after is the program's."""

WALL_FACTOR = 3
"""Wall time allowed, in CPU time allowed: a busy machine is slow, a program that sleeps is stopped all the same."""

LIMITS = """
import builtins, os, resource, sys
builtins.exit = builtins.quit = sys.exit  # as in any script; the start without site-packages leaves them out
os.write(1, b"started\\n")
os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
for kind, value in ((resource.RLIMIT_AS, {memory}), (resource.RLIMIT_CPU, {cpu}), (resource.RLIMIT_FSIZE, 1 << 24),
                    (resource.RLIMIT_NPROC, 32), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(kind, (value, value))
def take(size):
    data = b""
    while len(data) < size:
        data += os.read(0, size - len(data)) or exit("input ended")
    return data
exec(compile(take(int(take(10))).decode(), "program", "exec"), {{"__name__": "__main__"}})
"""
"""Sets the limits and runs the program: ten digits of length and the text, read without buffering, so that what follows on standard
input is the program's own to read."""


class SandboxError(RuntimeError):
    """The sandbox did not start; nothing is known about the program."""


@dataclass(frozen=True)
class Execution:
    """What a program did."""

    stdout: bytes
    exit_code: int
    timed_out: bool


def interpreter() -> Path:
    """The Python that programs run with: this one, or the system's where the sandbox's user cannot reach this one."""
    python = Path(sys.executable).resolve()
    if os.geteuid() != 0 or all(folder.stat().st_mode & 0o005 == 0o005 for folder in [python.parent, *python.parents]):
        return python
    system = Path("/usr/bin/python3")
    if not system.exists():
        raise ConfigError(f"run as root, the sandbox needs a Python that others may read: {python} is not, and there is no {system}")
    return system.resolve()


@functools.cache
def command(memory_gb: int, cpu_seconds: int) -> tuple[str, ...]:
    """The bubblewrap call around a fresh Python. ConfigError if bubblewrap is not installed."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ConfigError("bubblewrap is needed to run model-written code and is not here; install the package bubblewrap on the nodes")
    python = interpreter()
    binds = ["--ro-bind", "/usr", "/usr"]
    for name in ("/lib", "/lib64", "/bin"):
        if Path(name).exists():
            binds += ["--ro-bind", name, name]
    if not python.is_relative_to("/usr"):  # a Python of one's own, such as pyenv's or conda's
        binds += ["--ro-bind", sys.base_prefix, sys.base_prefix]
    limits = LIMITS.format(memory=memory_gb << 30, cpu=cpu_seconds)
    return (bwrap, "--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
            "--setenv", "PATH", "/usr/bin", "--setenv", "OMP_NUM_THREADS", "1", "--setenv", "OPENBLAS_NUM_THREADS", "1",
            *binds, "--proc", "/proc", "--dev", "/dev", "--size", str(64 << 20), "--tmpfs", "/dev/shm",  # noqa: S108
            "--size", str(64 << 20), "--tmpfs", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp",  # noqa: S108
            str(python), "-I", "-S", "-c", limits)


def run_program(program: str, seconds: float, memory_gb: int = 4, standard_input: bytes = b"",
                output_bytes: int = OUTPUT_BYTES) -> Execution:
    """Run a Python program. CPU time is limited to ``seconds``, wall time to ``WALL_FACTOR`` times that. SandboxError if it did not start.

    Output beyond ``output_bytes`` ends the program; what it wrote until then is returned.
    """
    arguments = command(memory_gb, max(1, round(seconds)))
    # `head` ends the pipe after the limit, so endless output cannot fill our memory; the writer then dies of SIGPIPE.
    # The limit on processes does not hold for root, so root's programs run as nobody.
    user = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryFile() as complaints, \
            subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, user=user, group=user,
                             extra_groups=None if user is None else [], cwd="/") as process, \
            subprocess.Popen(["head", "-c", str(len(STARTED) + output_bytes)], stdin=process.stdout, stdout=subprocess.PIPE) as reader:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        text = program.encode(errors="replace")
        feeder = threading.Thread(target=feed, args=(process.stdin, b"%010d" % len(text) + text + standard_input), daemon=True)
        feeder.start()
        timed_out = False
        try:
            stdout, _ = reader.communicate(timeout=WALL_FACTOR * seconds)
            process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            timed_out = True
            process.kill()
            stdout, _ = reader.communicate()
        process.wait()
        feeder.join()
        if not stdout.startswith(STARTED):
            complaints.seek(0)
            reason = complaints.read(2000).decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            raise SandboxError(f"the sandbox does not start here: {reason[-1][:200]}")
        return Execution(stdout[len(STARTED):], process.returncode, timed_out)


def feed(pipe: IO[bytes], data: bytes) -> None:
    """Write to a program that may end without reading; its output then says why."""
    try:
        pipe.write(data)
        pipe.close()
    except OSError:
        with contextlib.suppress(OSError):
            pipe.close()


PROBE = """
import os, socket
found = [name for name in ("/home", "/var", "/etc/passwd") if os.path.exists(name)]
try:
    socket.create_connection(("192.0.2.1", 9), timeout=1)
    found.append("network")
except TimeoutError:
    found.append("network")
except OSError:
    pass
if os.getpid() != 1:
    found.append("other processes")
try:
    open("/usr/written", "w")
    found.append("/usr for writing")
except OSError:
    pass
children = 0
try:
    while children < 64:
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
        children += 1
    found.append("any number of processes")
except OSError:
    pass
os.write(1, repr(found).encode())
os._exit(0)
"""


@functools.cache
def self_test() -> str:
    """Name and version of the sandbox if it holds on this machine, found out once per process; ConfigError if it does not.

    It must run a program, and the program must reach no file, network, process or writable folder, and be few processes only.
    """
    try:
        execution = run_program(PROBE, seconds=5)
    except SandboxError as error:
        raise ConfigError(f"model-written code cannot be run safely on this machine: {error}; user namespaces may be switched off for "
                          "bubblewrap here (ask for them, or score on another node)") from error
    if execution.stdout != b"[]":
        raise ConfigError(f"the sandbox does not hold on this machine: a program reaches {execution.stdout[-200:]!r}, exit code "
                          f"{execution.exit_code}; nothing is run")
    version = subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return version or "bubblewrap"
