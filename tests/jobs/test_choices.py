"""Which of several jobs is the best one, and when that can be said."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from jobs.choices import Choice, choose
from jobs.gates import Finding


def choice(higher: bool, count: int) -> Choice:
    names = tuple(f"a/n={n}" for n in range(count))
    return Choice(metric="loss", stage="a", jobs=names, higher=higher, where={})


def findings(values: list[float | None], state: str) -> list[Finding]:
    return [
        Finding(job=f"a/n={n}", value=value, state="" if value is not None else state)
        for n, value in enumerate(values)
    ]


VALUES = st.lists(st.sampled_from([0.1, 0.5, 0.9, None]), min_size=1, max_size=6)


@given(VALUES, st.booleans())
def test_nothing_is_chosen_while_a_value_can_come_and_else_the_best_that_is_there(
    values: list[float | None], higher: bool
) -> None:
    found = choice(higher, len(values))
    missing = sum(value is None for value in values)
    waiting = choose(found, findings(values, "RUNNING"), missing)
    assert (waiting.job is None) == bool(missing)
    died = choose(found, findings(values, "FAILED"), 0)
    there = [value for value in values if value is not None]
    if not there:
        assert died.job is None
        assert died.final
        return
    best = max(there) if higher else min(there)
    # Of equals the first one.
    assert died.job == f"a/n={values.index(best)}"


@given(st.permutations([0.1, 0.2, 0.3]))
def test_which_one_wins_changes_no_identity_and_every_candidate_does(order: list[float]) -> None:
    found = choice(True, 3)
    choose(found, findings(list(order), ""), 0)
    known = {name: name * 2 for name in found.jobs}
    same = found.identity(known)
    assert all(
        found.identity(dict(zip(found.jobs, other, strict=True))) == same
        for other in itertools.permutations(known.values())
    )
    for name in found.jobs:
        assert found.identity({**known, name: "other"}) != same
    assert choice(False, 3).identity(known) != same


def test_a_person_takes_another_one_or_what_is_there() -> None:
    some = findings([0.3, None, 0.1], "RUNNING")
    assert choose(choice(False, 3), some, 1, taken="a/n=0").job == "a/n=0"
    assert choose(choice(False, 3), some, 1, now=True).job == "a/n=2"
    text = choose(choice(False, 3), findings([0.3, None, 0.1], "FAILED"), 0).text
    assert text == "lowest loss of a (3 jobs): a/n=2, 0.1; 2 of 3 values; 1 FAILED"
