"""What long work says of how far it is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from engines.contract.counting.counts import Amount, heard_by


def ends_of(work: Callable[[], object]) -> dict[str, tuple[int, int]]:
    """Do the work; of each kind of it how much was done at last, and of how much."""
    heard: list[Amount] = []
    with heard_by(heard.append):
        work()
    steps = list(pairwise(heard))
    assert all(one.done <= two.done for one, two in steps if one.words == two.words)
    return {one.words: (one.done, one.total) for one in heard}
