"""An engine outside of this package: a file of a user's own with a ``Config`` and a function.

In: ``path/file.py:function``, as a stage's ``engine`` says it. Out: the class of its config and the
function, which takes the config, the folder to write into, and a ``Stop``, as every engine's does::

    from engines.contract.config import EngineConfig

    class Config(EngineConfig):
        steps: int = 10

    def run(config, out, stop): ...

The file is run where it is loaded: on the login node, to check configs, and on the node of the job,
so it imports what is large inside its function. ``orch`` loads it by the catalogue of engines, a
job by ``python -m engines.contract.own``.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engines.contract.config import ConfigError, EngineConfig, user_path
from engines.contract.own.modules import in_file, module_name, module_of, said
from engines.contract.program import Stop
from engines.contract.words import did_you_mean

CONFIG = "Config"
"""What the class of the config is called in every engine."""


class OwnEngine(NamedTuple):
    """What a file holds."""

    config: type[EngineConfig]
    run: Callable[[Any, Path, Stop], None]


def own_engine(engine: str) -> OwnEngine:
    """The engine of a file below the working folder. ConfigError, one line, if there is none."""
    named = in_file(engine)
    if named is None:
        raise ConfigError(f"'{engine}' names no function; write path/file.py:function")
    file, function = named
    path = user_path(file)
    module = loaded(path)
    kind = getattr(module, CONFIG, None)
    if not (inspect.isclass(kind) and issubclass(kind, EngineConfig)):
        raise ConfigError(
            f"{path}: has no class {CONFIG} of engines.contract.config.EngineConfig, which says "
            "the keys of its config"
        )
    run = getattr(module, function, None)
    if not inspect.isfunction(run):
        names = [name for name, one in vars(module).items() if inspect.isfunction(one)]
        raise ConfigError(f"{path}: has no function '{function}'{did_you_mean(function, names)}")
    try:
        inspect.signature(run).bind(None, None, None)
    except TypeError as error:
        raise ConfigError(
            f"{path}: {function}{inspect.signature(run)}: {error}; an engine is called with its "
            "config, the folder to write into, and a Stop"
        ) from error
    return OwnEngine(kind, run)


def loaded(path: Path) -> Any:
    """The module of a file, which is run. ConfigError if it is not there or fails."""
    # False also of a path that is too long, where a Path's own raises.
    if not os.path.isfile(path):  # noqa: PTH113
        there = [other.name for other in Path().glob("*.py")]
        raise ConfigError(f"there is no file {path}{did_you_mean(str(path), there)}")
    whole = str(path.absolute())
    try:
        # As an import reads it: with a byte order mark, or in the encoding that it names.
        source = importlib.util.decode_source(path.read_bytes())
        return module_of(module_name(whole), str(path.parent), whole, source)
    # The user's file, which may raise anything, or end its process as a script would.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ConfigError(f"{path} cannot be loaded: {said(error, whole)}") from error
