"""What a second task leaves of the first: both directions, the share of the lead, the correction."""

from __future__ import annotations

import numpy as np
import pytest

from engines.geography_report.transfer.retention import Pair, kept_of


def pair(before: float, after: float, higher: bool, learned: float = 1.0, seeds: int = 3) -> Pair:
    random = np.random.default_rng(0)
    noise = 0.01 * before * random.standard_normal((2, seeds, 100))
    return Pair(
        first="compass" if higher else "distance",
        second="angle",
        before=before + noise[0],
        after=after + noise[1],
        constant=0.3 if higher else 470.0,
        learned=np.full(seeds, learned),
        higher_is_better=higher,
    )


def test_above_0_is_better_whatever_the_direction() -> None:
    kept = kept_of(
        [pair(0.9, 0.6, True), pair(70, 270, False), pair(270, 70, False), pair(0.9, 0.9, True)]
    )
    assert [one.verdict for one in kept] == ["worse", "worse", "better", "none"]
    shares = [one.share for one in kept]
    assert shares == pytest.approx([-0.5, -0.5, 1.0, 0.0], abs=0.02)
    changes = [one.change.interval.value for one in kept if one.change is not None]
    assert changes == pytest.approx([-0.3, -200, 200, 0], abs=1)


def test_a_base_that_learned_nothing_has_nothing_to_lose() -> None:
    (one,) = kept_of([pair(0.3, 0.1, True, learned=0.0)])
    assert (one.verdict, one.share, one.learned) == ("undefined", None, 0)


def test_one_seed_has_the_paired_interval_of_its_questions() -> None:
    only = pair(70, 71, False, seeds=1)
    (one,) = kept_of([only])
    assert one.change is not None
    gains = only.before[0] - only.after[0]
    half = 1.959964 * gains.std(ddof=1) / np.sqrt(100)
    assert one.change.interval.high - one.change.interval.value == pytest.approx(half, rel=1e-5)


def test_one_question_has_no_interval() -> None:
    whole = pair(70, 71, False)
    cut = Pair(**{**vars(whole), "before": whole.before[:, :1], "after": whole.after[:, :1]})
    (one,) = kept_of([cut])
    assert (one.change, one.verdict) == (None, "undefined")
