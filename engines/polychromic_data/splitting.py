"""Cut rows into splits: no text on two sides, and the quartiles of likes divided alike.

In: rows as they were read, shares, a seed. Out: the rows of each split with their quartiles, and
what was dropped or kept together. ``making.py`` calls it. Where a row goes hangs on the seed and on
the rows, not on their order in the file.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles

from engines.shared.data.near_copies import near_pairs
from engines.shared.replies.checker import said
from engines.shared.replies.description import Split
from engines.shared.replies.rows import Reply

LINK = re.compile(r"https?://\S+")
REPEATED_BY = re.compile(r"^\s*RT @\w+:\s*", re.IGNORECASE)

Stratum = int | None
"""A quartile, or None for rows without likes."""


@dataclass(frozen=True)
class Parts:
    """Rows of each split, and how they came there."""

    rows: dict[Split, list[Reply]]
    quartile_bounds: list[float] | None
    same_rows_dropped: int
    """Rows whose text and reply another row has."""
    same_texts: int
    """Rows whose text an earlier row has, but for case, punctuation, links and white space."""
    near_texts: int
    """Other rows whose text is nearly that of another one."""


def split_rows(rows: Sequence[Reply], shares: Mapping[Split, float], seed: int) -> Parts:
    """Cut the rows. ValueError if a split would get none."""
    kept = without_same(rows)
    bounds = quartile_bounds(kept)
    with_quartiles = [replace(row, quartile=quartile(row, bounds)) for row in kept]
    groups, same, near = groups_of(with_quartiles)
    parts = divided(groups, shares, seed)
    empty = [split for split, part in parts.items() if not part]
    if empty:
        raise ValueError(
            f"{len(kept)} rows in {len(groups)} groups of one text each leave no row for "
            f"{', '.join(empty)}; give more rows or another share"
        )
    return Parts(parts, bounds, len(rows) - len(kept), same, near)


def without_same(rows: Sequence[Reply]) -> list[Reply]:
    """The rows, the first of each text and reply alone, sorted by what they say."""
    kept: dict[tuple[str, str], Reply] = {}
    # Of two that are the same the smaller id stays, whichever comes first in the file.
    for row in sorted(rows, key=lambda row: (row.id, row.quantity or 0.0)):
        kept.setdefault((same_text(row.prompt), " ".join(row.reply.split())), row)
    return list(kept.values())


def same_text(text: str) -> str:
    """What two copies of a text have in common: its words and emoji, without links, case,
    punctuation and white space. A text of links alone stays as it is."""
    return " ".join(said(without_links(text))) or text.strip()


def without_links(text: str) -> str:
    """The text that somebody wrote: whoever repeats it gets another short link."""
    return LINK.sub(" ", REPEATED_BY.sub("", text))


def quartile_bounds(rows: Sequence[Reply]) -> list[float] | None:
    """The three values between the quartiles; None if fewer than four rows have likes."""
    known = [row.quantity for row in rows if row.quantity is not None]
    if len(known) < 4:
        return None
    return quantiles(known, n=4, method="inclusive")


def quartile(row: Reply, bounds: Sequence[float] | None) -> Stratum:
    """0 to 3; rows of equal likes share one, so that with many ties the four are not of one
    size."""
    if row.quantity is None or bounds is None:
        return None
    return bisect_left(bounds, row.quantity)


def groups_of(rows: Sequence[Reply]) -> tuple[list[list[Reply]], int, int]:
    """Rows that must stay on one side; how many of them for the same text, how many for a near
    one."""
    by_text: dict[str, list[Reply]] = defaultdict(list)
    for row in rows:
        by_text[same_text(row.prompt)].append(row)
    texts = list(by_text)
    group_of = list(range(len(texts)))

    def root(number: int) -> int:
        while group_of[number] != number:
            group_of[number] = group_of[group_of[number]]
            number = group_of[number]
        return number

    near = set()
    for first, second in near_pairs([without_links(by_text[text][0].prompt) for text in texts]):
        near |= {first, second}
        group_of[root(first)] = root(second)
    groups: dict[int, list[Reply]] = defaultdict(list)
    for number, text in enumerate(texts):
        groups[root(number)] += by_text[text]
    near_rows = sum(len(by_text[texts[number]]) for number in near)
    return list(groups.values()), len(rows) - len(texts), near_rows


def divided(
    groups: Sequence[list[Reply]], shares: Mapping[Split, float], seed: int
) -> dict[Split, list[Reply]]:
    """Each group to the split that misses most of its quartiles, the largest groups first
    (Sechidis et al. 2011, iterative stratification, with groups in place of single rows)."""
    totals = Counter(row.quartile for group in groups for row in group)
    missing = {
        split: {stratum: share * total for stratum, total in totals.items()}
        for split, share in shares.items()
    }
    parts: dict[Split, list[Reply]] = {split: [] for split in shares}
    for group in sorted(groups, key=lambda group: (-len(group), draw(group, seed))):
        counts = Counter(row.quartile for row in group)
        wants = {
            split: sum(count * of_split[stratum] for stratum, count in counts.items())
            for split, of_split in missing.items()
        }
        chosen = max(wants, key=lambda split: wants[split])
        parts[chosen] += group
        for stratum, count in counts.items():
            missing[chosen][stratum] -= count
    return {split: sorted(part, key=lambda row: draw([row], seed)) for split, part in parts.items()}


def draw(group: Sequence[Reply], seed: int) -> str:
    """A random place in an order that hangs on the seed and the rows alone."""
    names = "/".join(sorted(row.id for row in group))
    return hashlib.sha256(f"{seed}/{names}".encode()).hexdigest()
