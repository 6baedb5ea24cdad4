"""What a job of an engine will take, asked before it is queued.

An engine that can tell has a module ``engines/<name>/estimates.py`` with the functions of
``Estimates``; it is optional, and as light as the engine's ``Config``, because the login node
imports it. In: the checked config of a job. Out: a line for people, and GB of disk. ``orch plan``
shows the one, the checks before a launch hold the other against the free disk.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Protocol, cast


class Estimates(Protocol):
    """The functions of ``engines/<name>/estimates.py``. ``config`` is the engine's own ``Config``.

    None means that it is not known, such as for a model whose files are not here yet.
    """

    def estimate(self, config: Any, gpus: int, minutes: int) -> str | None:
        """What a job with so many GPUs and this time limit takes, in one line."""

    def disk_gb(self, config: Any) -> float | None:
        """Disk that a job takes at most, GB (10^9 bytes)."""


def estimates_of(engine: str) -> Estimates | None:
    """The estimates of an installed engine; None if it has none, as those of a user's own."""
    if ":" in engine:
        return None
    name = f"engines.{engine}.estimates"
    # Not by catching ImportError: one inside an existing module would pass for "has none".
    if importlib.util.find_spec(name) is None:
        return None
    return cast(Estimates, importlib.import_module(name))
