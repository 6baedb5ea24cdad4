"""GURU files in every form that is in circulation: structures, JSON text, Python literals, printed
arrays; never evaluated."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.data.literals import flag, literal
from engines.shared.data.problem_files import problem_of, read_problems, write_problems
from engines.shared.data.problems import content_key, make_problem, user
from tests.support.paths import DATA

LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
STRUCTURES = VALUES.filter(lambda value: isinstance(value, list | dict))
ROW: dict[str, Any] = {
    "data_source": "math__x",
    "prompt": user("1+1="),
    "ability": "math",
    "apply_chat_template": False,
    "reward_model": {"style": "rule", "ground_truth": "2"},
    "extra_info": {"index": 7},
}


@given(STRUCTURES)
def test_a_structure_is_read_back_from_its_python_and_its_json_text(value: Any) -> None:
    assert literal(str(value)) == value
    assert literal(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getcwd()",
        "open('x')",
        "[i for i in (1, 2)]",
        "array.ctypes",
        "array(1, 2)",
        "array(open('x'))",
        "name",
        "{",
    ],
)
def test_text_that_would_have_to_be_run_is_refused(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        literal(text)


def test_printed_arrays_are_lists_and_shortened_ones_are_refused() -> None:
    import numpy

    ragged = numpy.array([numpy.array([1, 2]), numpy.array([3])], dtype=object)
    assert literal(str({"ground_truth": ragged, "rate": float("nan")})) == {
        "ground_truth": [[1, 2], [3]],
        "rate": None,
    }
    with pytest.raises(ValueError, match="the values are lost"):
        literal(str({"ground_truth": numpy.arange(5000)}))


@pytest.mark.parametrize("write", [str, json.dumps], ids=["python", "json"])
def test_a_row_with_every_column_as_text_is_the_same_problem(write: Any) -> None:
    texts = {name: value if isinstance(value, str) else write(value) for name, value in ROW.items()}
    assert problem_of(texts) == problem_of(ROW)
    assert problem_of(ROW).extra_info == {"index": 7}
    assert problem_of(ROW).apply_chat_template is False


@pytest.mark.parametrize("missing", [None, "None", "nan", "", "null", "{}", float("nan")])
def test_extra_info_may_be_missing_in_every_way(missing: Any) -> None:
    assert problem_of(ROW | {"extra_info": missing}).extra_info == {}
    assert (
        problem_of(
            {
                name: value
                for name, value in ROW.items()
                if name in ("data_source", "prompt", "reward_model")
            }
        ).extra_info
        == {}
    )


@pytest.mark.parametrize(
    "question",
    [
        "1+1=",
        "[1, 2, 3] has which mean?",
        "[1, 2, 3]",
        "{'a': 1}",
        '"quoted"',
        "5",
        "[{x} is a set]",
    ],
)
def test_a_prompt_that_is_bare_text_is_the_users_message(question: str) -> None:
    assert list(problem_of(ROW | {"prompt": question}).prompt) == user(question)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"prompt": "[{'role': 'user', 'content': 'a'}\n {'role': 'user', 'content': 'b'}]"},
            "looks like messages and cannot be parsed",
        ),
        ({"prompt": [{"content": "no role"}]}, "no list of messages"),
        ({"prompt": []}, "no list of messages"),
        ({"reward_model": "2"}, "reward_model is no structure"),
        ({"apply_chat_template": "perhaps"}, "no truth value"),
    ],
)
def test_a_row_that_cannot_be_understood_is_an_error(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        problem_of(ROW | row)


def test_the_error_names_file_row_and_value(tmp_path: Path) -> None:
    rows = [
        {"data_source": "math__x", "prompt": "?", "reward_model": "{'ground_truth': '1'}"}
    ] * 300
    rows.append(rows[0] | {"reward_model": "__import__('os')"})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    with pytest.raises(
        ConfigError,
        match=r"x\.parquet: 1 of 301 rows cannot be used, counted from 1: row 301: reward_model cannot "
        r"be parsed \(malformed node",
    ):
        read_problems(tmp_path / "x.parquet")


def test_a_broken_file_and_missing_columns_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError, match=r"torn\.parquet: no whole parquet file"):
        read_problems(tmp_path / "torn.parquet")
    pyarrow.parquet.write_table(
        pyarrow.table({"prompt": ["a"], "answer": ["b"]}), tmp_path / "other.parquet"
    )
    with pytest.raises(
        ConfigError, match="columns data_source, reward_model are missing; it has prompt, answer"
    ):
        read_problems(tmp_path / "other.parquet")


def test_ground_truths_of_all_shapes_fit_into_one_file_and_come_back_whole(tmp_path: Path) -> None:
    truths = [
        "2",
        0.25,
        [[0, 1], [1, 0]],
        {"functional": "x"},
        {"inputs": ["1"], "outputs": []},
        [["a"], None],
    ]
    problems = [
        make_problem("logic__x", user(f"question {number}"), truth)
        for number, truth in enumerate(truths)
    ]
    write_problems(tmp_path / "x.parquet", problems)
    assert read_problems(tmp_path / "x.parquet") == problems


def test_a_file_without_problems_is_no_data(tmp_path: Path) -> None:
    write_problems(tmp_path / "x.parquet", [])
    with pytest.raises(ConfigError, match=r"x\.parquet: has no problem in it"):
        read_problems(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["math500.jsonl", "HumanEval.jsonl.gz", "mbpp.jsonl"])
def test_published_benchmarks_survive_parquet(tmp_path: Path, name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip(f"{DATA / name} is not here")
    problems = read_problems(DATA / name)
    write_problems(tmp_path / "x.parquet", problems)
    assert read_problems(tmp_path / "x.parquet") == problems
    assert len({content_key(problem) for problem in problems}) == len(problems)


@settings(max_examples=50)
@given(
    st.lists(
        st.text(alphabet=st.characters(codec="ascii", min_codepoint=33), min_size=1), min_size=1
    ),
    st.data(),
)
def test_case_white_space_source_and_system_message_do_not_change_the_content_key(
    words: list[str], data: st.DataObject
) -> None:
    spaces = [data.draw(st.sampled_from([" ", "\n", "\t ", "  \r\n"])) for _ in words]
    other = "".join(space + word.swapcase() for space, word in zip(spaces, words, strict=True))
    problem = make_problem("math__x", user(" ".join(words)), "1")
    again = make_problem(
        "code__y",
        [{"role": "system", "content": "Think."}, *user(other)],
        "2",
        apply_chat_template=False,
    )
    assert content_key(problem) == content_key(again)
    assert content_key(
        make_problem("math__x", user(" ".join([*words, "more"])), "1")
    ) != content_key(problem)


def test_a_flag_knows_the_words_that_frames_write() -> None:
    words: list[Any] = ["True", "false", "1.0", 0, None, "nan", True]
    assert [flag(word, "x", default=True) for word in words] == [
        True,
        False,
        True,
        False,
        True,
        True,
        True,
    ]
