"""A scorer that a user brings: a Python function, named as ``my_module:score``.

In: the name and the folders where the module may lie. Out: an ``OwnScorer`` with the module's
source, found and checked without running it, so that the login node can do it and an edit changes
nothing that was planned; later, in a process that can be killed, verdicts. The function takes what
verl's reward functions take::

    def score(data_source, solution_str, ground_truth, extra_info=None):
        return 1.0 if ground_truth in solution_str else 0.0

The configs of evaluation and training find scorers, their programs try to load them before a GPU
is busy, ``pool.py`` judges with them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import multiprocessing
import numbers
import os
import re
import reprlib
import sys
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError, EngineConfig
from engines.contract.words import did_you_mean
from engines.shared.data.problems import Problem
from engines.shared.scoring.own_source import ARGUMENTS, check_function, source_of
from engines.shared.scoring.registry import check_kind, is_own
from engines.shared.scoring.verdict import Verdict

LOAD_SECONDS = 300.0
"""How long a module may take to load: it may import torch from a slow disk."""


class OwnScorer(EngineConfig):
    """A user's function, and the source of its module as it was when it was found."""

    name: str
    """``my_module:score``, as the user wrote it."""
    folder: str
    """Where the module was found; what it imports is looked for there too."""
    file: str
    source: str

    @property
    def label(self) -> str:
        """Name and a hash of the source: two scorers are the same if their labels are."""
        return f"{self.name}@{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"


def find(name: str, folders: Sequence[str | Path]) -> OwnScorer:
    """The scorer ``module:function``, from the first of the folders, or else of ``sys.path``, that
    has the module.

    Nothing is imported. ConfigError, one line, if the name is no such name, the module is not
    there or no Python, or the function is not in it or takes other arguments.
    """
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name):
        raise ConfigError(
            f"'{name}' names no function; write module:function, such as my_module:score for the "
            "function score in my_module.py"
        )
    module, _, function = name.partition(":")
    if module.endswith(".py"):
        raise ConfigError(
            f"'{name}': a module is named without its .py; write "
            f"{module.removesuffix('.py')}:{function}"
        )
    inside = module.replace(".", "/")
    for folder in [*map(Path, folders), *map(Path, sys.path)]:
        for path in (folder / f"{inside}.py", folder / inside / "__init__.py"):
            # Unlike Path's own, false also of a name that is too long and of a closed folder.
            if os.path.isfile(path):  # noqa: PTH113
                source = source_of(path)
                check_function(source, function, path)
                return OwnScorer(name=name, folder=str(folder), file=str(path), source=source)
    looked = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    there = [path.stem for folder in looked for path in folder.glob("*.py")]
    raise ConfigError(
        f"there is no {inside}.py for '{name}' in {', '.join(map(str, looked))}, nor is such a "
        f"module installed{did_you_mean(module, there)}"
    )


def sources_of(scorers: Mapping[str, str], folders: Sequence[str | Path]) -> dict[str, OwnScorer]:
    """The users' own among the scorers of some tasks (task -> scorer), by name. ConfigError names
    the task whose scorer is neither a function that is there nor one of ours."""
    found = {}
    for task, name in scorers.items():
        try:
            if is_own(name):
                found[name] = find(name, folders)
            else:
                check_kind(name)
        except ConfigError as error:
            raise ConfigError(f"scorer of {task}: {error}") from error
    return found


def function_of(own: OwnScorer) -> Callable[..., Any]:
    """The function itself: runs the module. Raises what the module raises, and ConfigError if the
    function is not there or cannot be called."""
    name, _, function = own.name.partition(":")
    found = getattr(module_of(name, own.folder, own.file, own.source), function, None)
    if not callable(found):
        raise ConfigError(f"{own.file}: has no function '{function}'")
    if inspect.isclass(found) or not returns_at_once(found):
        raise ConfigError(
            f"{own.file}: {function} is a class, a coroutine or a generator; name a function that "
            "returns a score"
        )
    try:
        inspect.signature(found).bind(**dict.fromkeys(ARGUMENTS))
    except TypeError as error:
        raise ConfigError(
            f"{own.file}: {function}{inspect.signature(found)}: {error}; it is called with the "
            f"named arguments {', '.join(ARGUMENTS)}"
        ) from error
    return found  # type: ignore[no-any-return]


def returns_at_once(function: Callable[..., Any]) -> bool:
    """Whether a call gives the value itself, and nothing that has to be awaited or gone through."""
    return not (inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function))


@functools.cache
def module_of(name: str, folder: str, file: str, source: str) -> types.ModuleType:
    """A module made of a source text; once per process."""
    # Behind what is installed: no file beside the scorer may hide a module of the same name.
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


def load(own: OwnScorer) -> None:
    """Run the module, unless that was done; what goes wrong is told by ``judge``."""
    with contextlib.suppress(BaseException):
        function_of(own)


def judge(own: OwnScorer, problem: Problem, text: str) -> Verdict:
    """What a user's function says of a response, its thinking included. Whatever goes wrong is a
    verdict without a value that says what."""
    try:
        returned = function_of(own)(
            data_source=problem.data_source,
            solution_str=text,
            ground_truth=problem.ground_truth,
            extra_info=dict(problem.extra_info),
        )
        return verdict_of(own, returned)
    # A scorer may end its process as a script would, or raise what Ctrl-C raises.
    except BaseException as error:
        return Verdict(None, "error", detail=f"{own.name}: {said(error, own.file)}")


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


def verdict_of(own: OwnScorer, returned: Any) -> Verdict:
    """What a function returned as a verdict: a number from 0 to 1, True or False; or a dict with
    it as ``score`` and perhaps the answer that was read as ``pred``, as verl's have it."""
    value, extracted = returned, None
    if isinstance(returned, dict):
        value, extracted = returned.get("score"), returned.get("pred")
    number = number_of(value)
    # Also of NaN this is false.
    if number is None or not 0 <= number <= 1:
        return Verdict(
            None,
            "error",
            detail=f"{own.name} returned {reprlib.repr(returned)}; a score is a number from 0 to "
            "1, True or False, or a dict with one as 'score'",
        )
    shown = None if extracted is None else str(extracted)
    return Verdict(number, "ok", shown)


def number_of(value: Any) -> float | None:
    """A number as a float, also one of numpy or torch; None if it is none."""
    try:
        # Their scalars are no numbers to Python, and have this to become one.
        if type(value).__module__.partition(".")[0] in ("numpy", "torch"):
            value = value.item()
        return float(value) if isinstance(value, numbers.Real | Decimal) else None
    # Of several elements, or too large.
    except (ValueError, RuntimeError, OverflowError):
        return None


def silence() -> None:
    """Drop what this process prints: a scorer called a hundred thousand times would bury the job's
    log, and its words would be taken for the job's own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def check_loading(scorers: Sequence[OwnScorer]) -> None:
    """ConfigError, one line, if a module cannot be loaded here or lacks its function; loads them in
    a process of their own."""
    if not scorers:
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=load_and_tell, args=(theirs, scorers))
    process.start()
    theirs.close()
    try:
        for own in scorers:
            wrong = told_by(ours, process)
            if wrong:
                raise ConfigError(f"scorer: {own.name} cannot be loaded: {wrong}")
    finally:
        process.kill()
        process.join()


def told_by(loader: Connection, process: BaseProcess) -> str:
    """What went wrong with the scorer that the loading process is at; "" if nothing did."""
    try:
        if not loader.poll(LOAD_SECONDS):
            return f"its module has not come to its end after {LOAD_SECONDS:g} s"
        return str(loader.recv())
    except EOFError:
        process.join()
        return f"its module ends the process (exit code {process.exitcode})"


def load_and_tell(connection: Connection, scorers: Sequence[OwnScorer]) -> None:
    """The process of ``check_loading``: of each scorer what went wrong, "" if nothing did."""
    silence()
    for own in scorers:
        wrong = ""
        try:
            function_of(own)
        except BaseException as error:
            wrong = said(error, own.file)
        connection.send(wrong)
