"""What a program may read of this machine: which Python runs it, and which of its folders.

No arguments go in; paths come out, for both sandboxes (``bubblewrap.py``, ``landlock.py``) and for
the self-test, which must know a bound folder from a leak."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path

from engines.contract.config import ConfigError

NOBODY = 65534
PARTS = ("bin", "lib", "lib64", "include")
"""The folders of a Python installation. Never the folder that holds them: it may be a home."""


def as_user() -> int | None:
    """Whose a program is: limits on processes do not hold for root, so root's run as nobody; else
    our own (None)."""
    return NOBODY if os.geteuid() == 0 else None


def own_python() -> Path:
    """The Python that this one is, or that its virtual environment was made from."""
    # In a virtual environment sys.executable may be a copy, which knows its library by a file
    # beside it that programs do not see.
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base if Path(base).exists() else sys.executable).resolve()


def interpreter() -> Path:
    """The Python that programs run with: this one, or the system's where the sandbox's user cannot
    reach this one."""
    python = own_python()
    # Root's programs run as nobody, who must be able to read and enter every folder on the way to
    # the interpreter: not so for a Python below /root.
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
    """What a program may read: the system's programs and libraries, and the folders of a Python of
    one's own, such as pyenv's or conda's."""
    # /lib and /bin are links into /usr on most systems, and folders of their own on some.
    found = [name for name in ("/usr", "/lib", "/lib64", "/bin") if Path(name).exists()]
    python = interpreter()
    if python.is_relative_to("/usr"):
        return found
    # A Python finds its library from where it lies; one that was moved, where it was made for.
    for prefix in (python.parent.parent, Path(sys.base_prefix), Path(sys.base_exec_prefix)):
        folders = [str(prefix / part) for part in PARTS]
        found += [name for name in folders if Path(name).is_dir() and name not in found]
    if not any(python.is_relative_to(name) for name in found):
        found.append(str(python))
    return found


def on_the_way(paths: list[str]) -> dict[str, list[str]]:
    """Every folder above these paths -> the names in it that lead to them: all that may be seen of
    it. Folders inside one of the paths are not among them."""
    names: dict[str, set[str]] = {}
    for path in paths:
        for place in Path(path).parents:
            inside = any(place.is_relative_to(other) for other in paths)
            if str(place) != "/" and not inside:
                below = Path(path).relative_to(place).parts[0]
                names.setdefault(str(place), set()).add(below)
    return {place: sorted(below) for place, below in names.items()}


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
    if python != own_python() and python.name != same_version:
        return ()
    folder = Path(spec.origin).parent
    if os.geteuid() == 0 and not open_to_others(folder):
        return ()
    libraries = folder.with_name("numpy.libs")
    return (str(folder), str(libraries)) if libraries.is_dir() else (str(folder),)


def open_to_others(folder: Path) -> bool:
    """Whether everybody may read and enter a folder and all above it."""
    return all(one.stat().st_mode & 0o005 == 0o005 for one in [folder, *folder.parents])
