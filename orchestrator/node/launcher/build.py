"""Compile the launcher: one static program that any Linux of this processor runs.

    python orchestrator/node/launcher/build.py [TARGET]

In: launcher.c and sha256.h beside this file. Out: the program, in its place beside them if no
target is named. Exit code 3 where there is no compiler. Called by `make launcher`, by the wheel's
build hook (hatch_build.py) and by the tests. musl is taken where it is installed: a tenth of the
size of glibc's, and a third less processor time a start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("launcher.c")
COMPILERS = ("musl-gcc", "cc", "gcc", "clang")
"""The first that is there, and can link a static program, is taken."""
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-static", "-s")
NO_COMPILER = 3


def compilers() -> list[str]:
    """Those that are installed."""
    return [name for name in COMPILERS if shutil.which(name)]


def build(target: Path, only: str = "") -> str:
    """Compile it, by the first compiler that can, or by this one; the compiler. FileNotFoundError
    says why none can; what lay there stays."""
    trouble = "no C compiler (cc) is installed"
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    for compiler in [only] if only else compilers():
        command = [compiler, *FLAGS, "-o", str(draft), str(SOURCE)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode == 0 and works(draft):
            draft.replace(target)
            return compiler
        trouble = f"{compiler}: {made.stderr.strip()[-500:]}"
    draft.unlink(missing_ok=True)
    raise FileNotFoundError(trouble)


def works(program: Path) -> bool:
    """Whether it runs on this machine."""
    return not subprocess.run([program, "--version"], capture_output=True, check=False).returncode


def main() -> int:
    """Compile it and say by what."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE.with_name("launcher")
    try:
        compiler = build(target)
    except FileNotFoundError as error:
        print(f"launcher: not built, Python starts all jobs: {error}")
        return NO_COMPILER
    print(f"launcher: {target}, {target.stat().st_size // 1024} kB, by {compiler}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
