"""Work that is done a few pieces at a time, until one of them is refused.

In: pieces that do not hang on one another, and what does one of them. Out: what came of each, in
their order. Called by batches.py; the threads only wait for programs of the scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from orchestrator.clusters.batch import Batch
from orchestrator.errors import SubmitError

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def independent(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """The batches, parents before children, in groups of which none waits for another of its
    group."""
    group: list[Batch] = []
    names: set[str] = set()
    for batch in batches:
        if any(not names.isdisjoint(job.waits_for) for job in batch.jobs):
            yield group
            group, names = [], set()
        group.append(batch)
        names.update(job.name for job in batch.jobs)
    if group:
        yield group


def few_at_a_time(
    pieces: Sequence[Piece],
    do: Callable[[Piece], Done],
    at_once: int,
    take: Callable[[Piece, Done | SubmitError | None], None],
) -> None:
    """Do the pieces, and give ``take`` in their order what came of each: what ``do`` returned, the
    SubmitError that it raised, or None where it was not begun because another was refused before.

    What else ``do`` or ``take`` raise is raised here, once all that was begun has ended.
    """
    # Places of those that were refused; -1: nothing more is to be begun.
    refused = [len(pieces)]

    def one(place: int) -> Done | SubmitError | None:
        # What lies before the first that is refused is done, whichever thread is quick.
        if place > min(refused):
            return None
        try:
            return do(pieces[place])
        except SubmitError as error:
            refused.append(place)
            return error
        except BaseException:
            refused.append(-1)
            raise

    if min(at_once, len(pieces)) < 2:
        for place, piece in enumerate(pieces):
            take(piece, one(place))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(at_once, len(pieces))) as pool:
        try:
            for piece, done in zip(pieces, pool.map(one, range(len(pieces))), strict=True):
                take(piece, done)
        finally:
            refused.append(-1)
