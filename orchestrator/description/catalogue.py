"""Which experiments and engines there are: names in, files and programs out.

Light: the shell asks for these names while a person waits, and reading what is in the files takes
pydantic and the engines' configs; no engine is imported before it is asked for. Called by the
commands that plan, by completion, by the readers of descriptions, by the checks before a launch and
by the preparation of a pack.
"""

from __future__ import annotations

import importlib
import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING

import engines
from engines.contract.files import there
from engines.contract.words import near
from jobs.spec import is_own_engine
from orchestrator.errors import DescriptionError

if TYPE_CHECKING:
    from engines.contract.config import EngineConfig

OWN = "engines.contract.own.engine"
"""Loads the engines of users' own."""
WHOLE = "full"
"""The experiment without a preset; the word stands in the run's name."""


def known_experiments() -> dict[str, Path]:
    """Experiments by name: those of ``./jobs`` hide packaged ones of the same name."""
    packaged = Path(str(importlib.resources.files("jobs")))
    found = {
        path.stem: path
        # The folder here comes last, so its files win in the mapping.
        for folder in (packaged, Path("jobs"))
        for path in sorted(folder.glob("*.yaml"))
    }
    return dict(sorted(found.items()))


def find_experiment(name: str) -> Path:
    """The file of an experiment given by name or path. DescriptionError lists the known ones."""
    path = Path(name)
    # Not expanded here: a shell has done that.
    if there(name) is not None and path.is_file():
        return path
    # Who writes an ending means a file, so no experiment of a like name is suggested.
    if path.suffix in (".yaml", ".yml"):
        raise DescriptionError(
            f"{name}: no such file; `orch list` and jobs/*.yaml show what there is"
        )
    known = known_experiments()
    if name not in known:
        raise DescriptionError(
            f"no experiment '{name}' in ./jobs or among the packaged ones{near(name, known)}"
        )
    return known[name]


def known_engines() -> list[str]:
    """Names of the installed engines: the packages below ``engines`` that are programs."""
    return sorted(
        path.parent.name
        # By the files alone: importing an engine to ask for its name would take time.
        for folder in engines.__path__
        for path in Path(folder).glob("*/__main__.py")
    )


def refusal(engine: str) -> str:
    """Why a stage cannot have this engine, in words; empty if it can."""
    if not is_own_engine(engine):
        known = known_engines()
        return "" if engine in known else f"unknown engine '{engine}'{near(engine, known)}"
    try:
        config_class(engine)
    # The ConfigError of the engines, which would take pydantic to import.
    except ValueError as error:
        return str(error)
    return ""


def config_class(engine: str) -> type[EngineConfig]:
    """The ``Config`` of an engine; its import is light. ConfigError for one of the user's own that
    cannot be loaded."""
    if is_own_engine(engine):
        own: type[EngineConfig] = importlib.import_module(OWN).own_engine(engine).config
        return own
    kind: type[EngineConfig] = importlib.import_module(f"engines.{engine}").Config
    return kind


def warm_modules(engine: str) -> list[str]:
    """What a process may import once and then fork for each job of a pack
    (``engines.<name>.WARM``); nothing where that is not safe."""
    # What a user's own file leaves running nobody knows.
    if is_own_engine(engine):
        return []
    return list(getattr(importlib.import_module(f"engines.{engine}"), "WARM", ()))
