"""Patterns, compiled when the first log is read: most commands read none, and compiling all of them
takes longer than such a command. Called by the rest of this package.
"""

from __future__ import annotations

import functools
import re


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled once."""
    return re.compile(pattern)


def any_of(*patterns: str) -> str:
    """A pattern that matches what one of these matches."""
    return "|".join(patterns)
