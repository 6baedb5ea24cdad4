"""A thousand answers in the spellings that people and models use, each with its verdict."""

from pathlib import Path

import pytest

from engines.shared.data.problems import make_problem, user
from engines.shared.scoring.registry import score
from tests.support.scores import boxed

PAIRS = Path(__file__).with_name("mathematics_pairs.txt").read_text()


def kinds() -> dict[str, list[tuple[str, str, float]]]:
    """Right answer, answer and verdict of each line, by the heading above it."""
    found = {}
    for section in PAIRS.split("\n# ")[1:]:
        heading, *lines = section.strip().splitlines()
        rows = [line.split(" @ ") for line in lines if line.strip()]
        found[heading] = [(gold, answer, float(value)) for gold, answer, value in rows]
    return found


@pytest.mark.parametrize("kind", kinds())
def test_every_spelling_has_its_verdict(kind: str) -> None:
    wrong = []
    for gold, answer, value in kinds()[kind]:
        verdict = score(make_problem("math__math_500", user("?"), gold), boxed(answer))
        if verdict.value != value:
            wrong.append((gold, answer, verdict))
    assert wrong == []


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        (r"\text{Evelyn}", False),
        (r"\frac{1}{2}", False),
        (r"(-\infty, 2)", False),
        (r"x^2 \star_{y} \heartsuit 3", True),
        (r"\{1, \mathcal{Q} \uplus 4\}", True),
    ],
)
def test_a_right_answer_that_only_its_text_can_meet_is_told(gold: str, told: bool) -> None:
    problem = make_problem("math__math_500", user("?"), gold)
    verdict = score(problem, boxed("17"))
    assert (verdict.value, verdict.status) == (0.0, "ok")
    assert ("cannot be read" in verdict.detail) == told
    assert score(problem, boxed(gold)).value == 1.0
