"""Words of messages: the nearest known word to a misspelt one, and numbers with their runs joined.

Called wherever a person may misspell a name (keys of a file, stages, engines, suites, profiles,
runs), by the ids of Slurm's arrays, and by the numbered sources of a report. Standard library only,
and ``difflib`` is loaded when there is a mistake to explain, not before.
"""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: object, known: Iterable[str], most: int = 1, likeness: float = 0.6) -> list[str]:
    """At most ``most`` known words that are at least so like ``word`` (0 to 1), the likest
    first."""
    import difflib

    return difflib.get_close_matches(str(word), sorted(known), n=most, cutoff=likeness)


def did_you_mean(word: object, known: Iterable[str], sign: str = ";") -> str:
    """``; did you mean 'epochs'?`` or nothing, to be put behind an error after ``sign``."""
    found = nearest(word, known)
    return f"{sign} did you mean '{found[0]}'?" if found else ""


def near(word: object, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known word, or else all of them."""
    names = sorted(known)
    return did_you_mean(word, names) or f"; known: {', '.join(names) or 'none'}"


def ranges(numbers: Iterable[int], separator: str = ",") -> str:
    """``0-3,7`` for 0, 1, 2, 3 and 7; "" for none. Slurm writes the elements of an array so."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return separator.join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs)
