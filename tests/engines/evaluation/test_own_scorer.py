"""A suite's task names its scorer: planned with its source, told apart by it, and used for that task
alone."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engines.analysis.comparable import Conditions
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.evaluation.__main__ import programs_of, score_all
from engines.evaluation.config import Config
from engines.evaluation.coordinator import Coordinator
from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.reuse import content
from engines.evaluation.sample_store import SampleStore
from engines.evaluation.score import Scoring
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import make_problem, user
from engines.shared.suites.items import TaskFile, read_task, task_files
from engines.shared.suites.suite import PLAIN
from engines.shared.tiny_models.model import MAX_POSITIONS
from orchestrator.planning.planner import make_plan
from tests.support.paths import ROOT

LENGTH = """
def score(data_source, solution_str, ground_truth, extra_info=None):
    return {"score": len(solution_str) == int(ground_truth), "pred": len(solution_str)}
"""
SUITE = """
defaults: {scorer: %s}
tasks:
  haiku: {file: poetry__haiku_}
  sums: {file: poetry__sums_, scorer: mathematics}
"""


def write(folder: Path, scorer: str = "my_scorer:score", source: str = LENGTH) -> str:
    """A suite, its scorer and its data; the path of the suite."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for task in ("haiku", "sums"):
        problems = [make_problem(f"poetry__{task}", user(f"{task} {n}?"), str(n)) for n in (4, 5)]
        write_problems(folder / "data" / f"poetry__{task}_2.parquet", problems)
    (folder / "my_scorer.py").write_text(source)
    (folder / "suite.yaml").write_text(SUITE % scorer)
    return str(folder / "suite.yaml")


def config(folder: Path, **values: Any) -> Config:
    given = {"suite": str(folder / "suite.yaml"), "data": str(folder / "data"), **values}
    return Config.model_validate({"models": "m", **given})


class Letters:
    """A tokenizer with a token per letter."""

    chat_template = None
    bos_token_id = None

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


def inputs_of(made: Config, out: Path) -> tuple[Inputs, dict[str, dict[str, Any]]]:
    items, facts = [], {}
    for file in task_files(made):
        found, facts[file.task] = read_task(file, Letters(), None)
        items += found
    return Inputs(made, out, [Model("m", out, None)], items), facts


def answered(made: Config, out: Path, text: str) -> tuple[Inputs, SampleStore, dict[str, Any]]:
    """What an evaluation has when every response is ``text``, and the facts of its files."""
    inputs, facts = inputs_of(made, out)
    store = SampleStore(out, inputs.models, inputs.items)
    for item in inputs.items:
        path = store.path(inputs.models[0], item.task)
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {"item_id": item.problem.item_id, "sample": 0, "text": text}
        with path.open("a") as file:
            file.write(json.dumps({**line, "tokens": 3, "finish_reason": "stop"}) + "\n")
    return inputs, store, facts


def scored(made: Config, out: Path, text: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The lines of scores if every response is ``text``: by task and gold."""
    inputs, store, _ = answered(made, out, text)
    lines = Scoring(inputs, store, Stop(), Progress(out)).score(inputs.models[0], 0)
    gold = {item.problem.item_id: item.problem.ground_truth for item in inputs.items}
    return {(line["task"], gold[line["item_id"]]): line for line in lines}


def test_each_task_is_judged_by_the_scorer_that_it_names(tmp_path: Path) -> None:
    write(tmp_path)
    text = "\\boxed{4}"
    lines = scored(config(tmp_path), tmp_path / "out", text)
    assert {key: line["value"] for key, line in lines.items()} == {
        ("haiku", "4"): 0.0,
        ("haiku", "5"): 0.0,
        ("sums", "4"): 1.0,
        ("sums", "5"): 0.0,
    }
    assert lines["haiku", "4"]["extracted"] == str(len(text))
    found = scored(config(tmp_path), tmp_path / "other", "four")
    assert {key: line["value"] for key, line in found.items() if key[0] == "haiku"} == {
        ("haiku", "4"): 1.0,
        ("haiku", "5"): 0.0,
    }


@pytest.mark.parametrize(("scorer", "of_programs"), [("my_scorer:score", []), ("code", ["haiku"])])
def test_the_limits_of_programs_go_by_who_judges_and_ask_nothing_of_a_data_source(
    tmp_path: Path, scorer: str, of_programs: list[str]
) -> None:
    write(tmp_path, scorer)
    tests = json.dumps({"tests": "assert f() == 1"})
    problem = make_problem("poetry__haiku", user("?"), tests if scorer == "code" else "4")
    write_problems(tmp_path / "data" / "poetry__haiku_2.parquet", [problem])
    inputs, _ = inputs_of(config(tmp_path), tmp_path)
    found = programs_of(inputs.items)
    assert list(found.get("seconds", [])) == [f"poetry__{task}" for task in of_programs]


def test_the_log_says_how_many_samples_have_no_score_and_why_the_first_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        tmp_path, source="def score(ground_truth, **rest):\n    return 1 / (4 - int(ground_truth))"
    )
    inputs, _, facts = answered(config(tmp_path), tmp_path / "out", "four")
    coordinator = Coordinator(inputs, Stop(), Progress(tmp_path / "out"))
    score_all(inputs, coordinator, facts, [])
    said = capsys.readouterr().out
    assert said.startswith(
        "m: haiku: error: samples without a score: 2; the first: my_scorer:score"
    )
    assert said.count("\n") == 1


def test_the_scorer_is_planned_as_it_was_and_its_edit_is_another_evaluation(tmp_path: Path) -> None:
    write(tmp_path)
    planned = config(tmp_path)
    kept = json.loads(json.dumps(planned.model_dump(mode="json")))
    write(tmp_path, source="def score(**all): return 1.0\n")
    assert Config.model_validate(kept) == planned != config(tmp_path)
    values = [
        scored(made, tmp_path / name, "four")["haiku", "5"]["value"]
        for name, made in (("kept", Config.model_validate(kept)), ("new", config(tmp_path)))
    ]
    assert values == [0.0, 1.0]


def test_results_tell_scorers_apart_refuse_to_compare_them_and_share_the_samples(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    _, facts = inputs_of(config(tmp_path), tmp_path)
    _, again = inputs_of(config(tmp_path), tmp_path)
    write(tmp_path, source=LENGTH + "# the same, edited\n")
    made = config(tmp_path)
    _, edited = inputs_of(made, tmp_path)
    assert facts["haiku"]["settings"]["scorer"].startswith("my_scorer:score@")
    assert facts["sums"]["settings"]["scorer"] == "mathematics"
    assert content(facts["haiku"]) == content(edited["haiku"])

    def checked(*all_facts: dict[str, Any]) -> list[str]:
        conditions = Conditions()
        for job, tasks in zip("ab", all_facts, strict=True):
            document = {"facts": {"tasks": tasks, "must_be_equal": made.must_be_equal()}}
            conditions.add(job, {**document, "config": {}})
        return conditions.check()

    assert checked(facts, again) == []
    with pytest.raises(
        ConfigError, match=r"not comparable: scorer of haiku is 'my_scorer:score@\w+' in a and "
    ):
        checked(facts, edited)


def test_results_of_before_tasks_had_scorers_compare_with_those_of_plain_tasks(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    path = tmp_path / "data" / "poetry__sums_2.parquet"
    _, now = read_task(TaskFile("sums", path, PLAIN), Letters(), None)
    settings = {key: value for key, value in now["settings"].items() if key != "scorer"}
    before = {**now, "settings": settings}
    conditions = Conditions()
    for job, fact in (("a", before), ("b", now)):
        document: dict[str, Any] = {"facts": {"tasks": {"sums": fact}}, "config": {}}
        conditions.add(job, document)
    assert conditions.check() == []
    assert content(before) == content(now)


def test_a_scorer_lies_beside_the_suite_that_names_it_or_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "group")
    (tmp_path / "mine.yaml").write_text(
        "include: group/suite.yaml\ntasks:\n  haiku: {samples_per_prompt: 2}\n"
    )
    mine = str(tmp_path / "mine.yaml")
    found = config(tmp_path / "group", suite=mine).own_scorers()["my_scorer:score"]
    assert found.file == str(tmp_path / "group" / "my_scorer.py")
    (tmp_path / "here").mkdir()
    (tmp_path / "group" / "my_scorer.py").rename(tmp_path / "here" / "my_scorer.py")
    with pytest.raises(ValidationError, match=r"mine\.yaml: scorer of haiku: there is no my_scor"):
        config(tmp_path / "group", suite=mine)
    monkeypatch.chdir(tmp_path / "here")
    assert config(tmp_path / "group", suite=mine).own_scorers()["my_scorer:score"].source == LENGTH


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        ("mathematic", "scorer of haiku: we have no scorer 'mathematic'; did you mean 'mathematic"),
        ("my_score:score", r"scorer of haiku: there is no my_score\.py for 'my_score:score' in "),
        ("my_scorer:judge", r"my_scorer\.py: has no function 'judge'"),
        ("my_scorer", "a function of your own is written file.py:function"),
        ("3", "defaults.scorer: Input should be a valid string, got 3"),
    ],
)
def test_a_wrong_scorer_is_told_before_anything_is_submitted(
    tmp_path: Path, scorer: str, says: str
) -> None:
    write(tmp_path, scorer)
    with pytest.raises(ValidationError, match=says):
        config(tmp_path)


def test_a_scorer_of_ones_own_has_no_published_version(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ValidationError, match="scoring: guru: haiku is judged by my_scorer:score,"):
        config(tmp_path, scoring="guru")
    assert config(tmp_path, scoring="guru", tasks=["sums"]).scoring == "guru"


def test_a_data_file_of_the_right_name_and_of_another_kind_is_told_what_it_must_be(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    path = tmp_path / "data" / "poetry__haiku_2.parquet"
    path.rename(path.with_suffix(".csv"))
    with pytest.raises(
        ConfigError, match=r"haiku_\* .*\(poetry__haiku_2\.csv is neither a \.parquet nor"
    ):
        task_files(config(tmp_path))


def block(after: str) -> str:
    """The indented block of the how-to that follows these words."""
    _, found, text = (ROOT / "docs" / "howto" / "own-scorer.md").read_text().partition(after)
    assert found, after
    lines = text.partition("\n\n")[2].splitlines()
    end = next(n for n, line in enumerate(lines) if line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[:end]))


def test_the_files_in_the_how_to_can_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "my_scorer.py").write_text(block("works as it is. `my_scorer.py`:"))
    (tmp_path / "mine.yaml").write_text(block("and `mine.yaml` beside it:"))
    (tmp_path / "jobs" / "mine.yaml").write_text(
        block("`orch launch mine --cluster local --watch`:")
    )
    exec(block("`data/my_sums_1.parquet`, with pyarrow:"), {})
    (_, job) = make_plan(tmp_path / "jobs" / "mine.yaml").jobs
    planned = Config.model_validate({**job.config, "models": "m"})
    # Of the model that the experiment makes.
    assert (planned.max_prompt_tokens or 0) + (planned.max_response_tokens or 0) <= MAX_POSITIONS
    found = scored(planned, tmp_path / "out", "1 + 1 = 2")
    assert [line["value"] for (_, gold), line in found.items() if gold == "2"] == [1.0]
    assert [line["extracted"] for line in found.values()] == ["2"] * 100


def test_questions_and_answers_of_ones_own_are_judged_by_a_file_of_ones_own_without_a_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rewards.py").write_text(LENGTH)
    for task in ("haiku", "sums"):
        lines = [json.dumps({"question": f"{task} {n}?", "answer": str(n)}) for n in (4, 5)]
        (tmp_path / f"{task}.jsonl").write_text("\n".join(lines))
    files = {"haiku": "haiku.jsonl", "sums": "sums.jsonl"}
    made = config(tmp_path, suite=None, data=files, reward="rewards.py:score")
    lines = scored(made, tmp_path / "out", "four")
    assert {key: line["value"] for key, line in lines.items()} == {
        (task, gold): float(gold == "4") for task in files for gold in ("4", "5")
    }
    _, facts = inputs_of(made, tmp_path)
    assert facts["sums"]["settings"]["scorer"].startswith("rewards.py:score@")
    some = config(tmp_path, suite=None, data=files, reward={"haiku": "rewards.py:score"})
    assert [file.scorer for file in task_files(some)] == [
        facts["haiku"]["settings"]["scorer"],
        None,
    ]
    # What may be compared is said of each task; the key alone decides nothing.
    assert made.must_be_equal() == some.must_be_equal()
    with pytest.raises(
        ValidationError, match="reward: there is no task 'sum'; did you mean 'sums'"
    ):
        config(tmp_path, suite=None, data=files, reward={"sum": "rewards.py:score"})
    with pytest.raises(ValidationError, match=r"scoring: guru: reward names rewards\.py:score, of"):
        config(tmp_path, suite=None, data=files, reward="rewards.py:score", scoring="guru")


def test_the_reward_of_the_config_goes_before_the_scorers_of_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rewards.py").write_text("def score(**all): return 0.25\n")
    made = config(tmp_path, reward={"sums": "rewards.py:score"})
    lines = scored(made, tmp_path / "out", "four")
    assert {key: line["value"] for key, line in lines.items()} == {
        ("haiku", "4"): 1.0,
        ("haiku", "5"): 0.0,
        ("sums", "4"): 0.25,
        ("sums", "5"): 0.25,
    }
    with pytest.raises(
        ValidationError, match=r"reward: the suite .*suite\.yaml has no sum; it has"
    ):
        config(tmp_path, reward={"sum": "rewards.py:score"})
