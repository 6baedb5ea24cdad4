"""A user's own JSON lines: each row is the problem that it says, or one line names what is wrong."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data import contamination
from engines.shared.data.own_rows import own_problem
from engines.shared.data.preparation import prepare
from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import user
from engines.shared.suites.items import files_without_suite
from tests.support.cli import orch

SHARED = {"question": "2+2?", "answer": "4"}


def write(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_a_question_and_its_answer_are_a_problem_whose_other_parts_the_scorer_gets(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "sums.train.jsonl", {**SHARED, "level": 2})
    (problem,) = read_problems(path, scorer="rewards.py:score")
    assert problem.prompt == tuple(user("2+2?"))
    assert (problem.ground_truth, problem.data_source, problem.domain) == ("4", "sums", "sums")
    assert problem.extra_info == {"question": "2+2?", "level": 2}
    assert (problem.scorer, problem.apply_chat_template) == ("rewards.py:score", True)
    # A config calls the task something; what the file is called is then no matter.
    (problem,) = read_problems(path, scorer="rewards.py:score", task="addition")
    assert problem.data_source == "addition"
    # A name that selects a scorer goes on selecting it.
    known = write(tmp_path / "math__sums.train.jsonl", SHARED)
    assert read_problems(known, task="addition")[0].data_source == "math__sums"


json_values = st.recursive(
    st.integers() | st.booleans() | st.text(st.characters(codec="utf-8"), min_size=1),
    lambda inner: st.lists(inner, min_size=1, max_size=3),
    max_leaves=4,
)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1), json_values)
def test_what_is_written_is_what_is_read(question: str, answer: Any) -> None:
    row = {"question": f"q{question}", "answer": answer, "data_source": "poetry__x"}
    problem = own_problem(json.loads(json.dumps(row)), "file")
    assert problem.prompt == tuple(user(row["question"]))
    assert (problem.ground_truth, problem.data_source) == (answer, "poetry__x")
    assert problem.extra_info == {"question": row["question"]}


def test_messages_gzip_lists_and_gurus_columns_are_read_as_well(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *user("2+2?")]
    guru = {"data_source": "math__a", "prompt": user("2+2?"), "reward_model": {"ground_truth": "4"}}
    paths = [
        write(tmp_path / "a.jsonl.gz", {"question": messages, "answer": 4}),
        write(tmp_path / "b.json", [SHARED]),
        write(tmp_path / "c.jsonl", guru),
    ]
    found = [read_problems(path)[0] for path in paths]
    assert [len(problem.prompt) for problem in found] == [2, 1, 1]
    assert [problem.ground_truth for problem in found] == [4, "4", "4"]
    assert [problem.data_source for problem in found] == ["a", "b", "math__a"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "2+2?", "answer": "4"}, "row 2: has no question, but prompt, answer"),
        ({"question": "2+2?"}, "row 2: has no answer, but question"),
        ({}, "row 2: has no question, but nothing"),
        ({**SHARED, "answer": None}, "the right answer is None"),
        ({**SHARED, "answer": " "}, "the right answer is ' '"),
        ({**SHARED, "answer": float("nan")}, "the right answer is nan"),
        ({**SHARED, "question": ""}, "question is ''"),
        ({**SHARED, "question": 4}, "question is 4"),
        ({**SHARED, "question": [{"role": "user"}]}, "no list of messages with role and content"),
        ({**SHARED, "question": "a\ud800"}, r"what is asked has '\\ud800', which is half of a cha"),
        ({**SHARED, "data_source": 3}, "data_source is 3"),
        (["2+2?", "4"], "is no object with named parts"),
        (
            '{"question": "a", "question": "b", "answer": 1}',
            "line 2 .*names a part twice: question",
        ),
        ('{"question": "a", "ans', "line 2 is no JSON: .* may be cut off"),
    ],
)
def test_a_row_that_is_none_is_one_line_with_its_number(
    tmp_path: Path, row: Any, says: str
) -> None:
    path = write(tmp_path / "sums.jsonl", SHARED, row)
    with pytest.raises(ConfigError, match=says) as caught:
        read_problems(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_is_told_with_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    path.write_text("question,answer\n")
    with pytest.raises(ConfigError, match=r"sums\.csv: is of no kind that is read: name a \.parq"):
        read_problems(path)


def test_a_folder_holds_tasks_as_lines_as_well_and_one_file_of_each(tmp_path: Path) -> None:
    for name in ("b.train.jsonl", "a.train.jsonl.gz", "b.test.jsonl", "b.notes.jsonl", "data.json"):
        write(tmp_path / name, SHARED)
    assert {
        task: paths[0].name
        for task, paths in contamination.data_files(str(tmp_path), "train").items()
    } == {
        "a": "a.train.jsonl.gz",
        "b": "b.train.jsonl",
    }
    assert files_without_suite(str(tmp_path)) == {"b": tmp_path / "b.test.jsonl"}
    assert contamination.test_files(str(tmp_path)) == [tmp_path / "b.test.jsonl"]
    write(tmp_path / "b.train.parquet")
    with pytest.raises(
        ConfigError, match=r"b\.train\.jsonl and b\.train\.parquet are both train o"
    ):
        contamination.data_files(str(tmp_path), "train")


def test_rows_of_ones_own_are_split_like_others(tmp_path: Path) -> None:
    rows = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in range(12)]
    write(tmp_path / "raw" / "sums__mine.jsonl", *rows, {**rows[0], "question": " 0+1? "})
    manifest, _ = prepare(str(tmp_path / "raw"), tmp_path / "out", 3, 3, 0)
    assert manifest["dropped"]["sums"]["duplicates"] == 1
    asked = set()
    for split in ("train", "validation", "test"):
        for problem in read_problems(tmp_path / "out" / f"sums.{split}.parquet"):
            asked.add((problem.prompt[0]["content"].strip(), problem.ground_truth))
    assert asked == {(row["question"], row["answer"]) for row in rows}


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "sums__mine.jsonl", {"q": 1})
    said = orch(tmp_path, "data", "prepare", "raw", "--out", "out")
    assert said.returncode == 2
    assert "row 1: has no question, but q" in said.stderr
    assert "Traceback" not in said.stderr
