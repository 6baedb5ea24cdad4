"""A scorer that a user brings: a Python function, named as ``rewards.py:score`` by its file, or as
``my_module:score``.

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
import hashlib
import inspect
import math
import multiprocessing
import numbers
import os
import re
import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError, EngineConfig, user_path
from engines.contract.own.modules import in_file, module_name, module_of, said
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
    """``rewards.py:score`` or ``my_module:score``, as the user wrote it."""
    folder: str
    """Where the module was found; what it imports is looked for there too."""
    file: str
    source: str

    @property
    def label(self) -> str:
        """Name and a hash of the source: two scorers are the same if their labels are."""
        return f"{self.name}@{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"


def find(name: str, folders: Sequence[str | Path]) -> OwnScorer:
    """The scorer ``file.py:function``, of a file below the first of the folders that has it; or
    ``module:function``, from the first of them, or else of ``sys.path``, that has the module.

    Nothing is imported. ConfigError, one line, if the name is no such name, the module is not
    there or no Python, or the function is not in it or takes other arguments.
    """
    named = in_file(name)
    if named is not None:
        return found_in_file(name, named[0], named[1], folders)
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name):
        raise ConfigError(
            f"'{name}' names no function; write file.py:function, such as rewards.py:score for the "
            "function score in rewards.py, or module:function"
        )
    module, _, function = name.partition(":")
    inside = module.replace(".", "/")
    for folder in [*map(Path, folders), *map(Path, sys.path)]:
        for path in (folder / f"{inside}.py", folder / inside / "__init__.py"):
            # Unlike Path's own, false also of a name that is too long and of a closed folder.
            if os.path.isfile(path):  # noqa: PTH113
                return checked(name, function, folder, path)
    looked = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    there = [path.stem for folder in looked for path in folder.glob("*.py")]
    raise ConfigError(
        f"there is no {inside}.py for '{name}' in {', '.join(map(str, looked))}, nor is such a "
        f"module installed{did_you_mean(module, there)}"
    )


def found_in_file(name: str, file: str, function: str, folders: Sequence[str | Path]) -> OwnScorer:
    """The scorer that is named by its file. ConfigError as of ``find``."""
    for folder in folders:
        path = Path(folder) / user_path(file)
        # False also of a path that is too long or holds a NUL, where it raises nothing.
        if "\0" not in file and os.path.isfile(path):  # noqa: PTH113
            return checked(name, function, path.parent, path)
    looked = list(dict.fromkeys(Path(folder).resolve() for folder in folders))
    there = [path.name for folder in looked for path in folder.glob("*.py")]
    raise ConfigError(
        f"there is no {file} for '{name}' in {', '.join(map(str, looked))}"
        f"{did_you_mean(file, there)}"
    )


def checked(name: str, function: str, folder: Path, path: Path) -> OwnScorer:
    """The scorer in a file that is there. ConfigError if it has no such function."""
    source = source_of(path)
    check_function(source, function, path)
    return OwnScorer(name=name, folder=str(folder), file=str(path), source=source)


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
    name, _, function = own.name.rpartition(":")
    if in_file(own.name) is not None:
        name = module_name(own.file)
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


def load(own: OwnScorer) -> None:
    """Run the module, unless that was done; what goes wrong is told by ``judge``."""
    with contextlib.suppress(BaseException):
        function_of(own)


def judge(own: OwnScorer, problem: Problem, text: str, any_number: bool = False) -> Verdict:
    """What a user's function says of a response, its thinking included. Whatever goes wrong is a
    verdict without a value that says what. ``any_number``: as of ``verdict_of``."""
    try:
        returned = function_of(own)(
            data_source=problem.data_source,
            solution_str=text,
            ground_truth=problem.ground_truth,
            extra_info=dict(problem.extra_info),
        )
        return verdict_of(own, returned, any_number)
    # A scorer may end its process as a script would, or raise what Ctrl-C raises.
    except BaseException as error:
        return Verdict(None, "error", detail=f"{own.name}: {said(error, own.file)}")


def verdict_of(own: OwnScorer, returned: Any, any_number: bool = False) -> Verdict:
    """What a function returned as a verdict: a number from 0 to 1, True or False; or a dict with
    it as ``score`` and perhaps the answer that was read as ``pred``, as verl's have it.

    ``any_number``: it is the reward of a training, which may be any finite number.
    """
    value, extracted = returned, None
    if isinstance(returned, dict):
        value, extracted = returned.get("score"), returned.get("pred")
    number = number_of(value)
    # Of NaN either is false.
    fits = number is not None and (math.isfinite(number) if any_number else 0 <= number <= 1)
    if not fits:
        kind = "a reward is a finite number" if any_number else "a score is a number from 0 to 1"
        return Verdict(
            None,
            "error",
            detail=f"{own.name} returned {reprlib.repr(returned)}; {kind}, True or False, or a "
            "dict with one as 'score'",
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
