"""Lines that come once for each job or batch, of which a terminal shows the first few.

In: what has become of one job. Out: a line of its own type, so that whoever shows it knows without
reading it that thousands may follow. Called by what submits and cancels.
"""

from __future__ import annotations


class EachJob(str):
    """One of as many lines as there are jobs."""

    __slots__ = ()
