"""Modules of a user's own: named by people, run once in a process, and told in one line when they
fail.

In: a name such as ``rewards.py:score``; the source of a module. Out: the parts of the name; the
module. Called for a user's scorers (engines/shared/scoring/own.py) and engines (engine.py).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import sys
import traceback
import types

from engines.contract.config import ConfigError

NAME = re.compile(r"(?P<file>.*\.py):(?P<function>[^\W\d]\w*)", re.DOTALL)
"""``path/file.py:function``."""


def in_file(name: str) -> tuple[str, str] | None:
    """The file and the function of ``path/file.py:function``; None of any other name."""
    found = NAME.fullmatch(name)
    return (found["file"], found["function"]) if found is not None else None


def module_name(file: str) -> str:
    """What the module of a file is called: without a folder or a dot, which would mean a
    package."""
    return os.path.basename(file).removesuffix(".py").replace(".", "_")  # noqa: PTH119


@functools.cache
def module_of(name: str, folder: str, file: str, source: str) -> types.ModuleType:
    """A module made of a source text; once per process."""
    # Behind what is installed: no file beside it may hide a module of the same name.
    if os.path.abspath(folder) not in sys.path:  # noqa: PTH100 - resolve() follows links
        sys.path.append(os.path.abspath(folder))  # noqa: PTH100
    package = name.rpartition(".")[0]
    if package:
        importlib.import_module(package)
    known_as = f"{name} of {file}" if is_taken(name, file) else name
    module = types.ModuleType(known_as)
    module.__file__ = file
    module.__package__ = package
    # Dataclasses and pickle look their module up.
    sys.modules[known_as] = module
    # The user's own program, as `python my_module.py` would run it; no model has written it.
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102
    return module


def is_taken(name: str, file: str) -> bool:
    """Whether a name means another module than the one in ``file``: a user's statistics.py must not
    take the place of Python's own."""
    if name in sys.modules:
        return True
    found = importlib.util.find_spec(name)
    return found is not None and found.origin != os.path.abspath(file)  # noqa: PTH100


def said(error: BaseException, file: str) -> str:
    """An exception in one line, with the line of the user's file that it came through."""
    if isinstance(error, ConfigError):
        return str(error)
    text = traceback.format_exception_only(error)[-1].strip().replace("\n", " ")[:300]
    # Its last line leaves out where: in a module that the user's imports.
    if isinstance(error, SyntaxError):
        text = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == file]
    return f"{text} ({file}, line {lines[-1]})" if lines else text
