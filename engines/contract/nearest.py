"""The nearest known word to a misspelt one, for error messages.

What goes in: the word that was written and the words that are known. What comes out: the nearest of
them, or the end of an error line. Called wherever a person may misspell a name: keys of a file,
stages, engines, suites, profiles, runs. Standard library only, and ``difflib`` is loaded when
there is a mistake to explain, not before.
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
