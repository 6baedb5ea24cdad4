"""How many pairs of cities there are for each split, and for a set: of the questions about two
cities there are few enough to run out of.

In: the numbers of cities and the shares that are held out. Out: counts, and the line that says that
too many are asked for. ``hold_out.py`` holds so many out; the config of ``geography_data`` asks
before a job does. Light on purpose (no numpy).
"""

from __future__ import annotations

from engines.shared.geography.description import SPLITS, Cities, Split
from engines.shared.geography.tasks import TASKS


def pairs_among(cities: int) -> int:
    """Unordered pairs of so many cities."""
    return cities * (cities - 1) // 2


def kinds_of_pairs(real: int, atlantis: int) -> tuple[int, int]:
    """Unordered pairs of the real cities, and those with at least one city of Atlantis."""
    of_real = pairs_among(real)
    return of_real, pairs_among(real + atlantis) - of_real


def pairs_of_splits(pairs: int, shares: tuple[float, float]) -> dict[Split, int]:
    """How many of the pairs of one kind each split has; ``shares`` are those for validation and for
    tests."""
    validation, test = (round(share * pairs) for share in shares)
    return {"train": pairs - validation - test, "validation": validation, "test": test}


def shared_out(rows: int, parts: int) -> list[int]:
    """Rows in parts as equal as can be, the larger ones first."""
    return [rows // parts + (part < rows % parts) for part in range(parts)]


def rows_of_pairs(task: str, rows: int) -> int:
    """How many of a set's questions about a task are about two cities."""
    kind = TASKS[task]
    if kind.fewest > 2:
        return 0
    return shared_out(rows, kind.most - kind.fewest + 1)[0]


def too_many_pairs(what: str, rows: int, pairs: int, split: str, there: int) -> str:
    """What to say when ``rows`` are asked for and ``there`` of ``pairs`` pairs are for the split;
    ``what`` names set and split."""
    return (
        f"{what}: {rows} different pairs of cities asked for; of the {pairs} pairs "
        f"{there} are for {split}: ask for fewer rows or for more cities"
    )


def lacking_pairs(
    task: str,
    cities: Cities,
    rows: dict[str, int],
    kinds: tuple[int, int],
    shares: tuple[float, float],
) -> str | None:
    """The line about the first split of a set that asks for more pairs than there are; None if all
    suffice.

    Args:
        rows: by split.
        kinds: as ``kinds_of_pairs`` counts them.
        shares: of the pairs, for validation and for tests.
    """
    asked = {"no_atlantis": kinds[:1], "atlantis_required": kinds[1:], "with_atlantis": kinds}
    counts = [pairs_of_splits(pairs, shares) for pairs in asked[cities]]
    for split in SPLITS:
        wanted = rows_of_pairs(task, rows[split])
        there = sum(count[split] for count in counts)
        if wanted > there:
            return too_many_pairs(
                f"{task}.{cities}, {split}", wanted, sum(asked[cities]), split, there
            )
    return None
