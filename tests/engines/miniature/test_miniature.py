"""The miniature domains: different problems, the same for the same seed, and an engine that runs
once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract import checkpoints
from engines.contract.config import ConfigError
from engines.shared.data.miniature import GENERATORS, splits
from engines.shared.data.problems import (
    make_problem,
    problem_of,
    prompt_token_ids,
    read_problems,
    user,
    write_problems,
)


@settings(max_examples=20, deadline=None)
@given(domain=st.sampled_from(sorted(GENERATORS)), seed=st.integers(0, 1000))
def test_splits_are_disjoint_and_hang_on_the_seed_alone(domain: str, seed: int) -> None:
    sizes = {"train": 20, "validation": 10, "test": 10}
    made = splits(domain, sizes, seed)
    ids = [p.item_id for part in made.values() for p in part]
    assert len(set(ids)) == len(ids) == 40
    assert made == splits(domain, sizes, seed)
    assert made != splits(domain, sizes, seed + 1)
    assert all(len(p.prompt[-1]["content"]) <= 48 for part in made.values() for p in part)


def test_asking_for_more_problems_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="has not 400 different problems"):
        splits("science", {"train": 400}, 0)


def test_problems_survive_parquet_and_stringified_columns(tmp_path: Path) -> None:
    problems = [
        make_problem("math__x", user("1+1="), "2", extra_info={"index": 0}),
        make_problem("math__x", user("1+2="), "3"),
    ]
    write_problems(tmp_path / "p.parquet", problems)
    assert [p.item_id for p in read_problems(tmp_path / "p.parquet")] == [
        p.item_id for p in problems
    ]
    row = {
        "data_source": "math__x",
        "prompt": str(user("1+1=")),
        "ability": "math",
        "apply_chat_template": "True",
        "reward_model": str({"style": "rule", "ground_truth": "2"}),
        "extra_info": None,
    }
    assert problem_of(row).item_id == problems[0].item_id


def test_a_file_that_is_not_there_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "math.test.parquet").touch()
    with pytest.raises(ConfigError, match=r"no such file; the folder has math\.test\.parquet"):
        read_problems(tmp_path / "maths.test.parquet")


@pytest.mark.engine
def test_engine_makes_data_and_a_model_once(tmp_path: Path) -> None:
    small = {
        "warmup_steps": 3,
        "warmup_batch": 6,
        "validation_problems": 2,
        "hidden_size": 32,
        "heads": 1,
        "layers": 1,
        "cpu_threads": 1,
    }
    (tmp_path / "config.json").write_text(json.dumps(small))

    def run(folder: str) -> str:
        command = [
            sys.executable,
            "-m",
            "engines.miniature",
            str(tmp_path / "config.json"),
            "--out",
            str(tmp_path / folder),
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    run("a")
    run("b")
    (warm,), (again,) = (
        checkpoints.select(tmp_path / "a", "last"),
        checkpoints.select(tmp_path / "b", "last"),
    )
    assert warm.manifest.fingerprint == again.manifest.fingerprint
    assert warm.manifest.probe is not None
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(warm.model)
    problem = read_problems(tmp_path / "a" / "data" / "math.train.parquet")[0]
    assert tokenizer.decode(prompt_token_ids(problem, tokenizer)) == problem.prompt[-1]["content"]
    assert "nothing to do" in run("a")
