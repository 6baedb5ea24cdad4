"""Training on what the evaluation uses is an error unless it is meant, and then the results say
so."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engines.contract.config import ConfigError
from engines.ppo.config import Config
from engines.ppo.data.contamination import check_test_data, refuse_shared
from engines.shared.data.contamination import test_files as files_of_test_data
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import Problem, make_problem, user


def asked(*questions: str, source: str = "math__x") -> list[Problem]:
    return [make_problem(source, user(question), "1") for question in questions]


def config(**changes: Any) -> Config:
    return Config.model_validate({"model": "m", "data": "d", "validation_data": "d"} | changes)


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """A folder whose evaluation asks for three problems."""
    write_problems(tmp_path / "math.test.parquet", asked("What is 1+1?", "What is 2+2?"))
    write_problems(tmp_path / "code.test.parquet", asked("Write f.", source="codegen__x"))
    write_problems(tmp_path / "math.train.parquet", asked("What is 5+5?"))
    return tmp_path


def test_a_training_problem_of_the_evaluation_is_an_error_even_rewritten_in_case_and_space_and_in_another_task(
    tested: Path,
) -> None:
    train = {"code": asked("WHAT  is\n1+1?", "else"), "math": asked("What is 3+3?")}
    with pytest.raises(
        ConfigError, match=r"\(test_data\): code 1; such as 'WHAT is 1\+1\?'.*allow_test_data: true"
    ):
        check_test_data(config(test_data=str(tested)), train, {})


def test_allowed_it_is_counted_and_told(tested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = {"code": asked("write F.", "what is 2+2?"), "math": asked("What is 3+3?")}
    found = check_test_data(
        config(test_data=str(tested), allow_test_data=True),
        train,
        {"code": asked("What is 1+1?", "new")},
    )
    assert found == {
        "problems": 3,
        "in_training": {"code": 2, "math": 0},
        "in_validation": {"code": 1},
    }
    assert (
        "trained on although the evaluation uses them (allow_test_data): code 2"
        in capsys.readouterr().out
    )


def test_without_overlap_nothing_is_said_and_without_test_data_nothing_is_checked(
    tested: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = {"math": asked("What is 5+5?")}
    found = check_test_data(
        config(test_data={"math": [str(tested / "math.test.parquet")]}), train, {}
    )
    assert found == {"problems": 2, "in_training": {"math": 0}, "in_validation": {}}
    assert check_test_data(config(), train, {}) is None
    assert "trained on" not in capsys.readouterr().out


def test_a_folder_of_test_data_is_all_that_an_evaluation_reads_there(tested: Path) -> None:
    (tested / "math500.jsonl").touch()
    (tested / "notes.txt").touch()
    (tested / "math__amc_83.parquet").touch()
    assert [path.name for path in files_of_test_data(str(tested))] == [
        "code.test.parquet",
        "math.test.parquet",
        "math500.jsonl",
        "math__amc_83.parquet",
    ]
    for path in tested.iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match=r"has no <task>\.test\.parquet"):
        files_of_test_data(str(tested))
    with pytest.raises(ConfigError, match="is no folder"):
        files_of_test_data(str(tested / "absent"))


def test_training_and_validation_may_not_share_a_problem_across_tasks() -> None:
    with pytest.raises(
        ConfigError,
        match=r"task math: 1 validation problems are in training too, such as '1\+1=' in task code",
    ):
        refuse_shared(
            {"code": asked("1+1=\n"), "math": asked("1+2=")}, {"math": asked("1+1=", "1+3=")}
        )
    refuse_shared({"code": asked("1+1=")}, {"math": asked("1+3=")})


@pytest.mark.parametrize("value", [{}, {"math": []}, {"math": ["a"], "code": ""}])
@pytest.mark.parametrize("key", ["data", "validation_data", "test_data"])
def test_a_mapping_without_tasks_or_a_task_without_files_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{key} names no task, or a task without files"):
        config(**{key: value})


def settings(folder: Path, **changes: Any) -> Path:
    """The config of a short training in ``folder`` on two tasks, one of them of two files."""
    small = {
        "epochs": 1,
        "prompts_per_task": 2,
        "samples_per_prompt": 2,
        "max_prompt_tokens": 16,
        "max_response_tokens": 4,
        "micro_batch_tokens": 256,
        "cpu_threads": 2,
        "device": "cpu",
        "early_stopping": None,
    }
    data = {
        "a": [str(folder / "a1.parquet"), str(folder / "a2.parquet")],
        "b": str(folder / "b.parquet"),
    }
    validation = {"a": str(folder / "va.parquet"), "b": str(folder / "vb.parquet")}
    values = (
        small
        | {"model": str(folder / "model"), "data": data, "validation_data": validation}
        | changes
    )
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return path


def write_tasks(folder: Path) -> None:
    for name, numbers in (
        ("a1", range(2)),
        ("a2", range(2, 4)),
        ("b", range(10, 14)),
        ("va", range(20, 22)),
        ("vb", range(30, 32)),
    ):
        write_problems(
            folder / f"{name}.parquet",
            [
                make_problem("math__miniature", user(f"{number}="), "1", apply_chat_template=False)
                for number in numbers
            ],
        )
    write_problems(
        folder / "test.parquet",
        [make_problem("science__other", user(" 3= "), "1"), make_problem("x__y", user("99="), "1")],
    )


def train(path: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "engines.ppo",
        str(path),
        "--out",
        str(path.parent / "out"),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=170)


@pytest.mark.long
@pytest.mark.engine
def test_a_training_stops_before_it_begins_and_allowed_it_puts_the_counts_into_its_results(
    tmp_path: Path,
) -> None:
    from engines.miniature.config import Config as Miniature
    from engines.miniature.tokenizer import make_tokenizer
    from engines.shared.tiny_models.model import make_model

    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    make_model(Miniature(hidden_size=32, heads=1, layers=1), tokenizer).save_pretrained(
        tmp_path / "model"
    )
    write_tasks(tmp_path)
    tested = {"all": str(tmp_path / "test.parquet")}
    refused = train(settings(tmp_path, test_data=tested))
    assert refused.returncode == 2, refused.stderr
    (said,) = [line for line in refused.stderr.splitlines() if line.startswith("engines.ppo: ")]
    assert "(test_data): a 1; such as '3='" in said
    allowed = train(settings(tmp_path, test_data=tested, allow_test_data=True))
    assert allowed.returncode == 0, allowed.stderr[-3000:]
    facts = json.loads((tmp_path / "out" / "results.json").read_text())["facts"]
    assert facts["test_data"] == {
        "problems": 2,
        "in_training": {"a": 1, "b": 0},
        "in_validation": {"a": 0, "b": 0},
    }
    assert facts["problems"] == {"a": 4, "b": 4}


def test_the_comparison_checks_its_training_against_what_it_evaluates() -> None:
    from orchestrator.description.catalogue import known_experiments
    from orchestrator.planning.planner import make_plan

    for preset in (None, "smoke"):
        plan = make_plan(known_experiments()["mtl-comparison"], preset)
        trained = {json.dumps(job.config["test_data"]) for job in plan.jobs if job.stage == "train"}
        assert trained == {
            json.dumps(job.config["data"]) for job in plan.jobs if job.stage == "evaluate"
        }
        assert not any(job.config["allow_test_data"] for job in plan.jobs if job.stage == "train")
