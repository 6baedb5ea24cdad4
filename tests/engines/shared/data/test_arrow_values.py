"""Answers come back from a parquet file as they were written, whatever types a library made of
them; where that is lost, it is an error."""

import datetime
import decimal
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data.arrow_values import converter
from engines.shared.data.problem_files import read_problems, write_problems
from engines.shared.data.problems import Problem, user
from engines.shared.scoring.registry import score

TEXT = pyarrow.string()
JSON = pyarrow.json_(TEXT)


def written(
    path: Path, truths: pyarrow.Array, source: str = "math__x", **others: pyarrow.Array
) -> list[Problem]:
    """Problems read from a file whose ``reward_model.ground_truth`` is this very column."""
    count = len(truths)
    columns: dict[str, pyarrow.Array] = {
        "data_source": pyarrow.array([source] * count),
        "prompt": pyarrow.array([user(f"question {number}") for number in range(count)]),
        "reward_model": pyarrow.StructArray.from_arrays([truths], names=["ground_truth"]),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns | others), path)
    return read_problems(path)


def texts(values: Sequence[str | None]) -> pyarrow.Array:
    return pyarrow.ExtensionArray.from_storage(JSON, pyarrow.array(values, TEXT))


def truths_of(problems: list[Problem]) -> list[Any]:
    return [problem.ground_truth for problem in problems]


def test_a_text_in_a_column_of_answers_of_several_types_has_no_quotes(tmp_path: Path) -> None:
    # What datasets 5.2 writes for the texts C, 1.50 and 007, the number 5 and a list.
    problems = written(tmp_path / "x.parquet", texts(['"C"', "1.50", "007", "5", "[1,2]"]))
    assert truths_of(problems) == ["C", "1.50", "007", "5", "[1,2]"]
    letter = written(tmp_path / "c.parquet", texts(['"C"', '"D"']), "stem__gpqa")
    assert [score(problem, "\\boxed{C}").value for problem in letter] == [1.0, 0.0]


def test_structures_as_json_are_read_by_their_scorers(tmp_path: Path) -> None:
    (grid,) = written(tmp_path / "x.parquet", texts(["[[1,2],[3,4]]"]), "simulation__arcagi1")
    assert score(grid, "<answer>[[1, 2], [3, 4]]</answer>").value == 1.0


@pytest.mark.parametrize("nothing", [None, "null", "NaN", '""'])
def test_nothing_as_json_is_no_answer(tmp_path: Path, nothing: str | None) -> None:
    with pytest.raises(ConfigError, match="1 of 2 rows cannot be used, counted from 1: row 2: the"):
        written(tmp_path / "x.parquet", texts(['"5"', nothing]))


def test_prompts_and_whole_columns_may_be_json_too(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    asked = [json.dumps("What?"), json.dumps(user("Why?"))]
    models = [json.dumps({"ground_truth": "C"}), json.dumps({"ground_truth": [1]})]
    table = pyarrow.table(
        {
            "data_source": pyarrow.array(["poetry__x"] * 2),
            "prompt": texts(asked),
            "reward_model": texts(models),
            "extra_info": texts(['{"index": 5}', "null"]),
        }
    )
    pyarrow.parquet.write_table(table, path)
    problems = read_problems(path)
    assert [problem.prompt[0]["content"] for problem in problems] == ["What?", "Why?"]
    assert truths_of(problems) == ["C", [1]]
    assert [problem.extra_info for problem in problems] == [{"index": 5}, {}]


def test_json_inside_of_lists_is_decoded(tmp_path: Path) -> None:
    inputs = pyarrow.ListArray.from_arrays([0, 2], texts(['"1"', "[2]"]))
    truths = pyarrow.StructArray.from_arrays([inputs], names=["inputs"])
    (problem,) = written(tmp_path / "x.parquet", truths, "poetry__x")
    assert problem.ground_truth == {"inputs": ["1", [2]]}


@pytest.mark.parametrize(
    "kind", [pyarrow.date32(), pyarrow.timestamp("ms"), pyarrow.timestamp("us")], ids=str
)
def test_answers_that_became_dates_are_read_as_dates_are_written(
    tmp_path: Path, kind: pyarrow.DataType
) -> None:
    days = pyarrow.array([datetime.date(2020, 1, 1), datetime.date(1999, 12, 31)]).cast(kind)
    problems = written(tmp_path / "x.parquet", days, "table__x")
    assert truths_of(problems) == ["2020-01-01", "1999-12-31"]
    assert score(problems[0], "\\boxed{2020-01-01}").value == 1.0
    # Written and read once more, it is the same problem.
    write_problems(tmp_path / "y.parquet", problems)
    assert read_problems(tmp_path / "y.parquet") == problems


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime.fromisoformat("2020-01-01T10:30"),
        datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
        datetime.time(10, 30),
        datetime.timedelta(hours=1),
        b"C",
    ],
    ids=repr,
)
def test_an_answer_whose_text_is_lost_is_an_error(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"x\.parquet: 1 of 1 rows cannot be used.*row 1: the an"):
        written(tmp_path / "x.parquet", pyarrow.array([value]))


def test_decimals_and_maps_are_plain_too(tmp_path: Path) -> None:
    problems = written(tmp_path / "x.parquet", pyarrow.array([decimal.Decimal("5.20")]))
    assert truths_of(problems) == ["5.20"]
    kind = pyarrow.map_(TEXT, TEXT)
    pairs = pyarrow.array([[("tests", "assert True")]], kind)
    (problem,) = written(tmp_path / "y.parquet", pairs, "codegen__x")
    assert problem.ground_truth == {"tests": "assert True"}


def test_times_in_extra_info_refuse_no_row(tmp_path: Path) -> None:
    day = datetime.datetime.fromisoformat("2024-11-25")
    moment = datetime.datetime.fromisoformat("2024-01-02T03:00")
    about = pyarrow.array([{"date": day, "at": moment}])
    (problem,) = written(tmp_path / "x.parquet", pyarrow.array(["5"]), extra_info=about)
    assert problem.extra_info == {"date": "2024-11-25", "at": "2024-01-02 03:00:00"}


@pytest.mark.parametrize(
    "kind",
    [pyarrow.large_string(), pyarrow.string_view(), pyarrow.dictionary(pyarrow.int32(), TEXT)],
    ids=str,
)
def test_texts_of_every_arrow_type_are_text(tmp_path: Path, kind: pyarrow.DataType) -> None:
    source = pyarrow.array(["math__x", "math__x"], TEXT).cast(kind)
    problems = written(
        tmp_path / "x.parquet",
        pyarrow.array(["C", "D"], TEXT).cast(kind),
        data_source=source,
        ability=pyarrow.array(["a", "b"], TEXT).cast(kind),
    )
    assert truths_of(problems) == ["C", "D"]
    assert [problem.ability for problem in problems] == ["a", "b"]


def test_messages_may_be_large_lists_of_large_text(tmp_path: Path) -> None:
    message = pyarrow.struct(
        [("role", pyarrow.large_string()), ("content", pyarrow.large_string())]
    )
    wide = pyarrow.array([user("a"), user("b")], pyarrow.large_list(message))
    problems = written(tmp_path / "y.parquet", pyarrow.array(["C", "D"]), prompt=wide)
    assert [problem.prompt[0]["content"] for problem in problems] == ["a", "b"]


def test_plain_columns_cost_nothing() -> None:
    message = pyarrow.struct([("role", TEXT), ("content", pyarrow.large_string())])
    for kind in (TEXT, pyarrow.list_(message), pyarrow.struct([("ground_truth", TEXT)])):
        assert converter(pyarrow.field("reward_model", kind)) is None


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip()), min_size=1, max_size=5))
def test_any_text_that_is_written_as_json_comes_back(values: list[str]) -> None:
    column = texts([json.dumps(value) for value in values])
    convert = converter(
        pyarrow.field("reward_model", pyarrow.struct([("ground_truth", column.type)]))
    )
    assert convert is not None
    rows = pyarrow.StructArray.from_arrays([column], names=["ground_truth"]).to_pylist()
    assert [convert(row)["ground_truth"] for row in rows] == values
