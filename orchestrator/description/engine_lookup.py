"""Which engines are installed, and what the orchestrator takes from one by name.

Light: nothing is imported before an engine is asked for. Called by the readers of descriptions, by
the checks before a launch and by the preparation of a pack.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import engines

if TYPE_CHECKING:
    from pydantic import BaseModel


def known_engines() -> list[str]:
    """Names of the installed engines: the packages below ``engines`` that are programs."""
    return sorted(
        path.parent.name
        for folder in engines.__path__
        for path in Path(folder).glob("*/__main__.py")
    )


def config_class(engine: str) -> type[BaseModel]:
    """The ``Config`` of a known engine; its import is light."""
    kind: type[BaseModel] = importlib.import_module(f"engines.{engine}").Config
    return kind


def warm_modules(engine: str) -> list[str]:
    """What a process may import once and then fork for each job of a pack
    (``engines.<name>.WARM``); nothing where that is not safe."""
    return list(getattr(importlib.import_module(f"engines.{engine}"), "WARM", ()))
