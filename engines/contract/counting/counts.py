"""How far long work is: the work counts its pieces here, and a listener may show them.

In: the pieces, or how many there are. Out: for the listener, an ``Amount`` after each piece. Called
by what can keep a person waiting at a command: files of thousands of jobs and their submission,
weights that are hashed, data, archives. The listener is a context variable and no argument, because
between a command and its pieces lie six functions that have nothing to do with it. Nobody listens
in a job or behind a pipe, and then a piece costs a call of an empty function. Threads of their own
count for nobody: they begin with an empty context.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeVar

Piece = TypeVar("Piece")

BYTES = "bytes"
"""The unit of what is read or written; everything else is counted in pieces."""


class Amount(NamedTuple):
    """How much of one kind of work is done."""

    words: str
    """What is being done: ``writing jobs``."""
    done: int
    total: int
    unit: str = ""
    """``BYTES``, or nothing for a number of pieces."""


Listener = Callable[[Amount], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Let a listener hear what is counted while the block runs."""
    before = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(before)


def heard(amount: Amount) -> None:
    """Let whoever listens hear an amount that was counted elsewhere."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(amount)


def counter(words: str, total: int, unit: str = "") -> Callable[[int], None]:
    """Begin to count; what is returned takes how much more was done. Of one piece there is nothing
    to count."""
    listener = _LISTENER.get()
    if listener is None or total < 2:
        return lambda _: None
    done = 0

    def more(amount: int) -> None:
        nonlocal done
        done += amount
        listener(Amount(words, done, total, unit))

    more(0)
    return more


def counted(words: str, pieces: Collection[Piece]) -> Iterator[Piece]:
    """The pieces, each counted when the next one is asked for."""
    more = counter(words, len(pieces))
    for piece in pieces:
        yield piece
        more(1)
