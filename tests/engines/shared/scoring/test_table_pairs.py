"""Answers about tables in the spellings that people and models use, each with its verdict."""

from pathlib import Path

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from tests.support.scores import boxed

PAIRS = Path(__file__).with_name("table_pairs.txt").read_text()


def test_every_spelling_has_its_verdict() -> None:
    wrong = []
    rows = [line.split(" @ ") for line in PAIRS.splitlines()[3:]]
    assert len(rows) > 150
    for gold, answer, value in rows:
        verdict = score(make_problem("table__hitab", user("?"), gold), boxed(answer))
        if verdict.value != float(value):
            wrong.append((gold, answer, verdict))
    assert wrong == []
