"""One rank inside the driver's own process, with the calls of ``ray_session.Actors``.

Saves what a Ray costs (seconds to start, half a gigabyte) where there is a single rank on a CPU.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from engines.ppo.watchdogs import Patience, hangs

HANGS = 1
"""Exit code of a run whose trainer hangs: an error, so that the job is not taken for done."""


class Ranks(Protocol):
    """The processes that train, as the driver sees them."""

    patience: Patience

    def __len__(self) -> int: ...

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of all with the same arguments; the answer of the first."""

    def each(
        self, method: str, arguments: Sequence[tuple[Any, ...]], work: str | None = None
    ) -> list[Any]:
        """Call a method of all, each with its own arguments; ``work`` names what it usually takes
        long for."""


class InProcess:
    """A rank whose methods are simply called. What takes longer than the patience with it ends this
    process: nothing else can end a call that hangs."""

    def __init__(self, rank: Any, patience: Patience) -> None:
        self.rank, self.patience = rank, patience

    def __len__(self) -> int:
        return 1

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method."""
        return self.each(method, [arguments])[0]

    def each(
        self, method: str, arguments: Sequence[tuple[Any, ...]], work: str | None = None
    ) -> list[Any]:
        """Call a method with the one tuple of arguments that there is."""
        (own,) = arguments
        kind, began = work or method, time.monotonic()
        limit = self.patience.seconds(kind)
        timer = threading.Timer(limit, end, [hangs(kind, limit, self.patience.usual(kind))])
        timer.daemon = True
        timer.start()
        try:
            answer = getattr(self.rank, method)(*own)
        finally:
            timer.cancel()
        self.patience.took(kind, time.monotonic() - began)
        return [answer]


def end(message: str) -> None:
    """Say it and end the process, whatever the main thread does."""
    print(f"RuntimeError: {message}", file=sys.stderr, flush=True)
    os._exit(HANGS)
