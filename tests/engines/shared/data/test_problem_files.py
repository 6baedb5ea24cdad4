"""A row without a question, a source or a right answer, and a file that is damaged or empty, is one
line that names file and row."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from engines.contract.config import ConfigError
from engines.shared.data import benchmarks
from engines.shared.data.contamination import read_asked
from engines.shared.data.problem_files import read_problems, write_problems
from engines.shared.data.problems import make_problem, user
from engines.shared.suites.items import row_count
from tests.support.cli import orch

GOOD: dict[str, Any] = {
    "data_source": "math__x",
    "prompt": user("1+1="),
    "reward_model": {"style": "rule", "ground_truth": "2"},
}
TEXT = pyarrow.string()
MESSAGE = pyarrow.struct([("role", TEXT), ("content", TEXT)])
SCHEMA = pyarrow.schema(
    [
        ("data_source", TEXT),
        ("prompt", pyarrow.list_(MESSAGE)),
        ("reward_model", pyarrow.struct([("style", TEXT), ("ground_truth", TEXT)])),
    ]
)


def gold(truth: Any) -> dict[str, Any]:
    return {"reward_model": {"style": "rule", "ground_truth": truth}}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (gold(None), "the right answer is None"),
        (gold(""), "the right answer is ''"),
        (
            {"data_source": "stem__gpqa"} | gold("K"),
            "the right answer of a multiple choice must be one letter of A to J, not 'K'",
        ),
        ({"data_source": "logic__graph"} | gold(" "), "the right answer is ' '"),
        ({"data_source": "poetry__x"} | gold(None), "the right answer is None"),
        ({"reward_model": None}, "reward_model has no ground_truth"),
        ({"data_source": None}, "data_source is None"),
        ({"data_source": ""}, "data_source is ''"),
        ({"data_source": " "}, "data_source is ' '"),
        ({"prompt": None}, "prompt is no list of messages"),
        ({"prompt": []}, "prompt is no list of messages"),
        ({"prompt": [None]}, "prompt is no list of messages"),
        (
            {"prompt": [{"role": "user", "content": None}]},
            "the prompt's message 1 has the content None",
        ),
        (
            {"prompt": [*user("a"), {"role": None, "content": "b"}]},
            "the prompt's message 2 has the role None",
        ),
        ({"prompt": [{"role": "", "content": "b"}]}, "the prompt's message 1 has a blank role"),
        ({"prompt": user(" ")}, "prompt asks nothing"),
        ({"prompt": user("\u200b\u00a0")}, "prompt asks nothing"),
        ({"prompt": user("nan")}, "prompt asks nothing"),
        ({"prompt": user("None")}, "prompt asks nothing"),
        (gold("\u200b"), r"the right answer is '\u200b'"),
        ({"data_source": "\ufeff"}, "data_source is"),
        ({"prompt": [{"role": "system", "content": "Think."}]}, "prompt asks nothing"),
    ],
)
def test_a_bad_row_is_told_with_file_row_and_value(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = write(tmp_path / "x.parquet", [GOOD, GOOD, GOOD | change, GOOD])
    with pytest.raises(ConfigError) as caught:
        read_problems(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: 1 of 4 rows cannot be used, counted from 1: row 3: {says}")
    assert told.endswith(". Correct them or take them out")
    assert "\n" not in told


def test_all_bad_rows_are_counted_and_the_first_five_named(tmp_path: Path) -> None:
    bad = [{"data_source": None}, gold(None), {"prompt": None}]
    rows = [GOOD, *(GOOD | change for change in bad * 40)]
    with pytest.raises(ConfigError) as caught:
        read_problems(write(tmp_path / "x.parquet", rows))
    told = str(caught.value)
    assert "120 of 121 rows cannot be used" in told
    assert [f"row {number}:" in told for number in (1, 2, 3, 6, 7)] == [False, True, True, True, 0]
    assert len(told) < 800


def test_a_text_column_says_nothing_in_its_own_ways(tmp_path: Path) -> None:
    for model in ("{'ground_truth': nan}", '{"ground_truth": null}', "nan", "{}"):
        row = {"data_source": "math__x", "prompt": "1+1=", "reward_model": model}
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "x.parquet")
        with pytest.raises(
            ConfigError, match=r"row 1: (the right answer is None|reward_model has)"
        ):
            read_problems(tmp_path / "x.parquet")


def test_where_only_the_question_matters_the_right_answer_is_not_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [GOOD | gold(None)])
    assert len(read_asked([path])) == 1


def test_a_column_without_a_value_in_any_row(tmp_path: Path) -> None:
    rows = [GOOD | gold(None)] * 3
    # Inferred, the type of such a column is null and not text.
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="3 of 3 rows cannot be used"):
        read_problems(tmp_path / "x.parquet")


def test_no_rows_and_no_row_groups_are_no_data(tmp_path: Path) -> None:
    write(tmp_path / "rows.parquet", [])
    pyarrow.parquet.ParquetWriter(tmp_path / "groups.parquet", SCHEMA).close()
    (tmp_path / "math500.jsonl").write_text("\n")
    (tmp_path / "convfinqa_dev.json").write_text("[]")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ConfigError, match=f"{path.name}: has no problem in it"):
            read_problems(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pyarrow.Table.from_pylist([GOOD], schema=SCHEMA)
    twice = table.append_column("data_source", pyarrow.array(["code__x"]))
    pyarrow.parquet.write_table(twice, tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=r"x\.parquet: has more than one column data_source"):
        read_problems(tmp_path / "x.parquet")
    inner = pyarrow.StructArray.from_arrays(
        [pyarrow.array(["1"]), pyarrow.array(["2"])], names=["ground_truth", "ground_truth"]
    )
    table = table.set_column(2, "reward_model", inner)
    pyarrow.parquet.write_table(table, tmp_path / "y.parquet")
    with pytest.raises(ConfigError, match=r"y\.parquet: .*more than one part ground_truth"):
        read_problems(tmp_path / "y.parquet")


def zeroed(path: Path, start: int, end: int) -> None:
    content = bytearray(path.read_bytes())
    content[start:end] = bytes(end - start)
    path.write_bytes(content)


def of_text(path: Path, **columns: Any) -> Path:
    """A file of one row whose structures are written as text."""
    row = {
        "data_source": "math__x",
        "prompt": "1+1=",
        "reward_model": '{"ground_truth": "2"}',
    } | columns
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    return path


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (
            {"reward_model": '{"ground_truth": "2", "ground_truth": "3"}'},
            "reward_model cannot be parsed (names a part twice: ground_truth)",
        ),
        ({"reward_model": '{"ground_truth": "2"'}, "reward_model cannot be parsed"),
        ({"extra_info": "{bad"}, "extra_info cannot be parsed"),
        ({"apply_chat_template": "maybe"}, "apply_chat_template is no truth value: 'maybe'"),
        ({"prompt": "nan"}, "prompt asks nothing"),
        ({"prompt": "None"}, "prompt asks nothing"),
        ({"prompt": '{"role": "user", "content": }'}, "looks like messages"),
    ],
)
def test_text_that_is_no_structure_is_told_with_its_column(
    tmp_path: Path, columns: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as told:
        read_problems(of_text(tmp_path / "x.parquet", **columns))
    assert f"row 1: {says}" in str(told.value) or f"row 1: prompt {says}" in str(told.value)


def test_one_message_as_text_is_a_message_and_braces_alone_are_a_question(tmp_path: Path) -> None:
    message = json.dumps({"role": "user", "content": "Why?"})
    (problem,) = read_problems(of_text(tmp_path / "x.parquet", prompt=message))
    assert problem.prompt == ({"role": "user", "content": "Why?"},)
    for question in ("{1, 2} has how many subsets?", '{"a": 1} has which keys?', '{"a": 1}'):
        (problem,) = read_problems(of_text(tmp_path / "y.parquet", prompt=question))
        assert problem.prompt == ({"role": "user", "content": question},)


def test_two_parts_of_one_name_in_a_column_are_refused(tmp_path: Path) -> None:
    truths = [pyarrow.array(["2"]), pyarrow.array(["3"])]
    twice = pyarrow.StructArray.from_arrays(truths, names=["ground_truth", "ground_truth"])
    columns = {"data_source": pyarrow.array(["math__x"]), "prompt": pyarrow.array(["1+1="])}
    for name, column in (
        ("reward_model", twice),
        ("extra_info", pyarrow.StructArray.from_arrays([twice], names=["inside"])),
    ):
        good = {"reward_model": pyarrow.array(['{"ground_truth": "2"}'])}
        path = tmp_path / f"{name}.parquet"
        pyarrow.parquet.write_table(pyarrow.table(columns | good | {name: column}), path)
        with pytest.raises(ConfigError, match=f"column {name} has more than one part ground_truth"):
            read_problems(path)


def test_a_damaged_page_is_told_with_the_file(tmp_path: Path) -> None:
    rows = [GOOD | {"prompt": user(f"What is {number} + 1?")} for number in range(2000)]
    path = write(tmp_path / "x.parquet", rows)
    zeroed(path, 200, 260)
    with pytest.raises(ConfigError, match=r"x\.parquet: cannot be read, it may be damaged"):
        read_problems(path)


def test_a_damaged_byte_of_a_file_of_ours_is_never_another_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    problems = [make_problem("math__x", user(f"{n} + 1 ="), str(n + 1)) for n in range(300)]
    write_problems(path, problems)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    for position in range(4, len(whole) - footer - 8, 97):
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        path.write_bytes(damaged)
        # A byte that says nothing may change; what is read then is the same.
        told = ""
        try:
            found = read_problems(path)
        except ConfigError as error:
            told = str(error)
        assert str(path) in told or found == problems, position


def test_damage_anywhere_in_a_file_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [GOOD | {"prompt": user(f"{n} + 1 =")} for n in range(9)])
    whole = path.read_bytes()
    told = 0
    # The footer above all: names there, and what pyarrow says of them, may be no UTF-8 any more.
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        row_count(path)
        try:
            read_problems(path)
        except ConfigError as error:
            told += str(path) in str(error) and "\n" not in str(error)
    assert told > len(whole) / 6


def test_text_that_is_no_utf8_and_times_beyond_python_are_told(tmp_path: Path) -> None:
    bad = pyarrow.array([b"\xff\xfe"], pyarrow.binary()).view(TEXT)
    far = pyarrow.array([10**7], pyarrow.int32()).cast(pyarrow.date32())
    columns = pyarrow.Table.from_pylist([GOOD], schema=SCHEMA)
    for name, column in (("data_source", bad), ("ability", far)):
        table = columns.drop_columns(["data_source"]) if name == "data_source" else columns
        pyarrow.parquet.write_table(table.append_column(name, column), tmp_path / "x.parquet")
        with pytest.raises(ConfigError, match=r"x\.parquet: cannot be read"):
            read_problems(tmp_path / "x.parquet")


MATH = {"problem": "1+1?", "answer": "2"}


@pytest.mark.parametrize(
    ("name", "row", "says"),
    [
        ("math500.jsonl", MATH | {"answer": None}, "the right answer is None"),
        ("math500.jsonl", {"problem": "1+1?"}, "has no answer"),
        ("math500.jsonl", MATH | {"problem": None}, "problem is None"),
        ("math500.jsonl", [1], "is no object with named parts"),
        ("aime24.jsonl", MATH | {"answer": None}, "the right answer is None"),
        ("amc23.jsonl", MATH | {"answer": float("nan")}, "the right answer is nan"),
        ("mbpp.jsonl", {"task_id": 11, "text": "f", "test_list": []}, "test_list is empty"),
        (
            "cruxeval.jsonl",
            {"code": "def f(): 1", "input": "", "output": None, "id": "1"},
            "output is None",
        ),
        (
            "ifeval.jsonl",
            {"prompt": "a", "kwargs": [], "instruction_id_list": []},
            "the right answer is []",
        ),
        (
            "arc_agi_1_evaluation.jsonl",
            {"train": [], "test": [], "task_id": "1"},
            "IndexError",
        ),
        (
            "arc_agi_1_evaluation.jsonl",
            {"train": [], "test": [{"input": [[1]], "output": None}], "task_id": "1"},
            "the right answer is None",
        ),
    ],
)
def test_rows_of_published_benchmarks_are_checked_too(
    tmp_path: Path, name: str, row: Any, says: str
) -> None:
    (tmp_path / name).write_text(f"{json.dumps(row)}\n")
    with pytest.raises(ConfigError) as caught:
        read_problems(tmp_path / name)
    assert f"{name}: 1 of 1 rows cannot be used, counted from 1: row 1: {says}" in str(caught.value)


def test_human_eval_without_tests_is_refused(tmp_path: Path) -> None:
    row = {"task_id": "x", "prompt": "def f():\n", "test": None, "entry_point": "f"}
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode()))
    with pytest.raises(ConfigError, match="row 1: test is None"):
        read_problems(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match=r"HumanEval\.jsonl\.gz: no whole gzip file"):
        read_problems(path)


def test_json_lines_may_have_a_byte_order_mark_line_separators_and_answers_of_all_types(
    tmp_path: Path,
) -> None:
    rows = [{"problem": "a\u2028b\u0085c", "answer": answer} for answer in (27.0, 0.5, 7, "x")]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows)
    (tmp_path / "amc23.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    problems = read_problems(tmp_path / "amc23.jsonl")
    assert [problem.ground_truth for problem in problems] == ["27", "0.5", "7", "x"]
    assert problems[0].prompt[0]["content"].startswith("a\u2028b\u0085c ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("math500.jsonl", b'{"problem": "a", "answer": "1"}\n{"pro', r"line 2 is no JSON"),
        ("math500.jsonl", b'{"problem": "\xff"}', "is not UTF-8"),
        ("convfinqa_dev.json", b"[{", "is no JSON"),
        ("convfinqa_dev.json", b"{}", "is no JSON list of rows"),
        ("math500.jsonl", b"[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_a_file_that_is_no_json_is_one_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_problems(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_preparation_refuses_bad_rows_in_one_line(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    rows = [GOOD | {"prompt": user(f"{number}+1=")} for number in range(9)]
    write(raw / "math__x.parquet", [*rows, GOOD | gold("")])
    done = orch(None, "data", "prepare", str(raw), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"orch: {raw / 'math__x.parquet'}: 1 of 10 rows cannot be used, counted from 1: row 10: "
        "the right answer is '', which no answer can equal. Correct them or take them out\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_evaluation_refuses_bad_rows_in_one_line(tmp_path: Path) -> None:
    from engines.miniature.config import Config as Miniature
    from engines.miniature.tokenizer import make_tokenizer
    from engines.shared.tiny_models.model import make_model

    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(tmp_path / "model")
    small = Miniature(hidden_size=32, heads=1, layers=1)
    make_model(small, tokenizer).save_pretrained(tmp_path / "model")
    data = write(tmp_path / "x.parquet", [GOOD, GOOD | gold(None)])
    values = {"models": str(tmp_path / "model"), "data": {"x": str(data)}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    command = [sys.executable, "-P", "-m", "engines.evaluation", str(tmp_path / "config.json")]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 2, done.stderr
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("engines.evaluation")]
    assert told == (
        f"engines.evaluation: {data}: 1 of 2 rows cannot be used, counted from 1: row 2: the right "
        "answer is None, which no answer can equal. Correct them or take them out"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_more_than_anybody_reads_whole_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sparse file of a terabyte; and a small one that unpacks to much."""
    path = tmp_path / name
    if name.endswith(".gz"):
        monkeypatch.setattr(benchmarks, "MOST_BYTES", 1 << 20)
        path.write_bytes(gzip.compress(b" " * (3 << 20)))
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(ConfigError, match=r"has more than \d+ GB; write it as parquet files"):
        benchmarks.read_lines(path)
