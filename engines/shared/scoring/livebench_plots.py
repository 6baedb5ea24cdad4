"""Plots whose sentences are to be put in order: LiveBench's plot unscrambling.

In: the right plot and a response. Out: a value. ``livebench.py`` calls it, for both versions.
"""

from __future__ import annotations

import difflib

LONGEST_PLOT = 30_000
"""Characters; LiveBench's have some 3,000, and each sentence is compared with each."""


def order_of(truth: str, plot: str) -> float | None:
    """The value of a plot, in 0 to 1: 1 minus the edit distance of its sentences' order over their
    number; None if it has no sentence."""
    golds = split_sentences(truth)
    answers = list(dict.fromkeys(split_sentences(plot[-LONGEST_PLOT:])))
    if not answers:
        return None
    order = [
        answers.index(match)
        for gold in golds
        # The nearest one whatever its distance: models do not copy a sentence exactly.
        for match in difflib.get_close_matches(gold, answers, n=1, cutoff=0.0)
    ]
    return 1 - edit_distance(list(range(len(golds))), order) / len(golds)


def summary(text: str) -> str:
    """What stands between the tags ``PLOT_SUMMARY``, or after the first if it is never closed, or
    all."""
    _, opened, after = text.partition("<PLOT_SUMMARY>")
    if not opened:
        return text
    before, closed, _ = after.rpartition("</PLOT_SUMMARY>")
    return before if closed else after


def split_sentences(text: str) -> list[str]:
    """Parts between full stops."""
    parts = [part.strip() for part in text.split(".")]
    return [
        part for part in parts if part not in ("", "</PLOT_SUMMARY>", "**End of Plot Summary**")
    ]


def edit_distance(one: list[int], other: list[int]) -> int:
    """Levenshtein's distance."""
    # One row of the table at a time: row[j] is the distance of one[:i] and other[:j].
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        above, row = row, [i]
        for j, right in enumerate(other, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right)))
    return row[-1]
