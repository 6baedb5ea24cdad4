"""The edit distance of two orders, for LiveBench's unscrambled plots in both versions."""

from __future__ import annotations


def edit_distance(one: list[int], other: list[int]) -> int:
    """Levenshtein's distance."""
    # One row of the table at a time: row[j] is the distance of one[:i] and other[:j].
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        above, row = row, [i]
        for j, right in enumerate(other, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right)))
    return row[-1]
