"""Scorers give the right verdict on what is known to be right and wrong."""

import gzip
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data.miniature import GENERATORS, problem
from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.registry import score
from tests.support.paths import DATA
from tests.support.scores import boxed

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no benchmark files (ORCH_TEST_DATA)")
needs_sandbox = pytest.mark.skipif(
    shutil.which("bwrap") is None and os.environ.get("CI") != "true",
    reason="bubblewrap missing",
)


def share_right(items: list[tuple[Problem, str]]) -> float:
    with ScoringPool(workers=2, seconds=20) as pool:
        return sum(verdict.value or 0.0 for verdict in pool.score_many(items)) / len(items)


@needs_data
def test_every_gold_answer_of_math500_passes_and_no_shuffled_one_does() -> None:
    problems = read_problems(DATA / "math500.jsonl")
    golds = [p.ground_truth for p in problems]
    assert len(problems) == 500
    assert share_right([(p, boxed(p.ground_truth)) for p in problems]) == 1.0
    order = list(range(500))
    random.Random(0).shuffle(order)
    # A shuffled answer that is the same answer is no wrong answer.
    wrong = [
        (p, boxed(golds[k]))
        for p, k in zip(problems, order, strict=True)
        if golds[k].strip() != p.ground_truth.strip()
    ]
    assert len(wrong) > 450
    assert share_right(wrong) == 0.0


@needs_data
@needs_sandbox
def test_canonical_solutions_of_human_eval_pass_and_cheats_fail() -> None:
    problems = read_problems(DATA / "HumanEval.jsonl.gz")
    rows = [
        json.loads(line)
        for line in gzip.decompress((DATA / "HumanEval.jsonl.gz").read_bytes()).splitlines()
    ]
    solved = [
        (p, f"```python\n{row['prompt']}{row['canonical_solution']}\n```")
        for p, row in zip(problems, rows, strict=True)
    ]
    assert len(solved) == 164
    assert share_right(solved) == 1.0
    empty = [
        (p, f"```python\n{row['prompt']}    return None\n```")
        for p, row in list(zip(problems, rows, strict=True))[:20]
    ]
    assert share_right(empty) == 0.0


@needs_data
@needs_sandbox
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.long)])
def test_reference_programs_of_mbpp_pass(every: int) -> None:
    problems = read_problems(DATA / "mbpp.jsonl")
    codes = {
        row["task_id"]: row["code"]
        for row in map(json.loads, (DATA / "mbpp.jsonl").read_text().splitlines())
    }
    assert len(problems) == 500
    assert (
        share_right(
            [(p, f"```python\n{codes[p.extra_info['task_id']]}\n```") for p in problems[::every]]
        )
        == 1.0
    )


@given(domain=st.sampled_from(sorted(GENERATORS)), seed=st.integers(0, 10**6))
def test_miniature_answer_scores_and_habit_does_not(domain: str, seed: int) -> None:
    drawn = GENERATORS[domain](random.Random(seed))
    asked = problem(domain, drawn)
    assert score(asked, drawn.answer).value == 1.0
    assert score(asked, f" {drawn.answer}\n").value == 1.0
    # 2 * 2 and 2 + 2 are the one case where the habit is right.
    assert score(asked, drawn.habit).value == float(drawn.habit == drawn.answer)


@given(text=st.text(alphabet="0123456789xFT+-*. ", max_size=6))
def test_a_wrong_miniature_answer_never_scores(text: str) -> None:
    drawn = GENERATORS["tabular"](random.Random(1))
    verdict = score(problem("tabular", drawn), text)
    assert verdict.value == float(text.strip() == drawn.answer)
    assert verdict == score(problem("tabular", drawn), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\\boxed{4\\sqrt{2}+8}", 0.0),
        ("\\boxed{8}", 1.0),
        ("\\boxed{-8}", 0.0),
        ("first \\boxed{8} then \\boxed{9}", 0.0),
        ("<think>\\boxed{8}", 0.0),
        ("<think>\\boxed{9}</think>\\boxed{\\frac{16}{2}}", 1.0),
        ("8", 0.0),
        ("\\boxed{", 0.0),
    ],
)
def test_boxed_answers(text: str, value: float) -> None:
    assert score(make_problem("math__math_500", user("?"), "8"), text).value == value


def test_unknown_source_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no scorer for the data source 'poetry__haiku'"):
        score(make_problem("poetry__haiku", user("?"), ""), "text")


@needs_sandbox
def test_an_item_that_hangs_costs_its_own_time_and_nothing_else() -> None:
    task: Any = make_problem("math__math_500", user("?"), "8")
    with ScoringPool(workers=1, seconds=20) as pool:
        assert [v.status for v in pool.score_many([(task, boxed("8"))])] == ["ok"]
        pool.seconds = 1.0
        slow = (task, boxed("\\int_0^1 x^x dx"))
        verdicts = pool.score_many([(task, boxed("8")), slow, (task, boxed("8"))])
    assert verdicts[0].value == verdicts[2].value == 1.0
    assert (verdicts[1].value, verdicts[1].status) == (None, "timeout")


@pytest.mark.parametrize(("version", "value"), [("strict", 0.0), ("guru", 1.0)])
def test_an_evaluation_scores_by_the_version_that_its_config_names(
    version: str, value: float, tmp_path: Path
) -> None:
    from engines.contract.program import Stop
    from engines.contract.progress import Progress
    from engines.evaluation.config import Config
    from engines.evaluation.inputs import Inputs, Model
    from engines.evaluation.sample_store import SampleStore
    from engines.evaluation.score import Scoring
    from engines.shared.suites.items import Item

    task = make_problem("table__finqa", user("?"), "0.075")
    folder = tmp_path / "generations" / "model"
    folder.mkdir(parents=True)
    line = {
        "item_id": task.item_id,
        "sample": 0,
        "text": boxed("7.5"),
        "tokens": 3,
        "finish_reason": "stop",
    }
    (folder / "finqa.jsonl").write_text(json.dumps(line) + "\n")
    config = Config.model_validate({"models": "m", "data": "d", "scoring": version})
    model = Model("model", tmp_path, None)
    inputs = Inputs(config, tmp_path, [model], [Item("finqa", task, (1,), "table")])
    store = SampleStore(tmp_path, inputs.models, inputs.items)
    scoring = Scoring(inputs, store, Stop(), Progress(tmp_path))
    assert [line["value"] for line in scoring.score(model, 1)] == [value]
