"""Splits: no text on two sides, quartiles alike, the same for any order of the rows."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.polychromic_data.splitting import groups_of, quartile_bounds, same_text, split_rows
from engines.shared.replies.description import Split
from engines.shared.replies.rows import Reply

SHARES: dict[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
LONG = (
    "the city council has decided last night that the old tram depot becomes a library with a "
    "garden on its roof and forty small rooms for people who want to write or paint there"
)


def rows_of(texts: list[str], random: Random) -> list[Reply]:
    return [Reply(str(n), text, f"reply {n}", random.random()) for n, text in enumerate(texts)]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), texts=st.integers(30, 120))
def test_no_text_is_on_two_sides_and_nothing_is_lost(seed: int, texts: int) -> None:
    random = Random(seed)
    spoken = [f"Text number {random.randrange(texts)}" for _ in range(4 * texts)]
    rows = rows_of([random.choice([text, text.upper() + " !"]) for text in spoken], random)
    parts = split_rows(rows, SHARES, seed).rows
    sides = {split: {same_text(row.prompt) for row in part} for split, part in parts.items()}
    assert not sides["train"] & sides["validation"]
    assert not (sides["train"] | sides["validation"]) & sides["test"]
    assert Counter(row.id for part in parts.values() for row in part) == Counter(
        row.id for row in rows
    )
    again = list(rows)
    random.shuffle(again)
    assert split_rows(again, SHARES, seed).rows == parts
    assert split_rows(rows, SHARES, seed + 1).rows != parts


def test_quartiles_are_divided_alike() -> None:
    random = Random(0)
    rows = rows_of([f"text {n}" for n in range(400)], random)
    parts = split_rows(rows, SHARES, 0)
    assert parts.quartile_bounds == quartile_bounds(rows)
    for split, share in SHARES.items():
        counts = Counter(row.quartile for row in parts.rows[split])
        assert all(abs(counts[quartile] - 100 * share) <= 1 for quartile in range(4)), counts
    # Ten replies to a text or one: still nearly alike.
    rows = rows_of([f"text {min(n // 10, 20) + n % 7 * (n > 200)}" for n in range(400)], random)
    parts = split_rows(rows, SHARES, 0)
    for split, share in SHARES.items():
        assert abs(len(parts.rows[split]) - 400 * share) <= 20


def test_rows_without_likes_and_with_equal_ones() -> None:
    rows = [Reply(str(n), f"text {n}", "x", None if n % 2 else 0.0) for n in range(40)]
    parts = split_rows(rows, SHARES, 0)
    assert {row.quartile for part in parts.rows.values() for row in part} == {None, 0}
    few = split_rows(rows[:10], {"train": 0.4, "validation": 0.3, "test": 0.3}, 0)
    assert few.quartile_bounds == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Good morning!", "good   MORNING", True),
        ("Good morning https://t.co/a", "RT @ada: good morning https://t.co/b", True),
        ("\U0001f600", "\U0001f601", False),
        ("caf\u00e9", "cafe\u0301", True),
        ("https://t.co/a", "https://t.co/b", False),
        ("...", "!", False),
        ("good morning", "good evening", False),
    ],
)
def test_what_counts_as_the_same_text(one: str, other: str, same: bool) -> None:
    assert (same_text(one) == same_text(other)) is same


def test_near_copies_stay_together_and_same_rows_go() -> None:
    near = LONG.replace("last night", "this morning") + " https://t.co/b"
    rows = [
        Reply("a", LONG, "fine", 1.0),
        Reply("b", near, "great", 2.0),
        Reply("c", "something else entirely", "fine", 3.0),
        Reply("d", LONG.upper(), "  fine ", 4.0),
    ]
    groups, same, close = groups_of(rows)
    assert sorted(len(group) for group in groups) == [1, 3]
    assert (same, close) == (1, 3)
    many = rows + [Reply(str(n), f"text {n}", "x", 0.0) for n in range(20)]
    parts = split_rows(many, SHARES, 0)
    assert (parts.same_rows_dropped, parts.same_texts, parts.near_texts) == (1, 0, 2)
    sides = [{row.id for row in part} for part in parts.rows.values()]
    assert sum({"a", "b"} <= side for side in sides) == 1


def test_too_few_texts_are_refused() -> None:
    rows = [Reply(str(n), "one text", str(n), 1.0) for n in range(9)]
    with pytest.raises(
        ValueError, match=r"9 rows in 1 groups .* leave no row for validation, test"
    ):
        split_rows(rows, SHARES, 0)
