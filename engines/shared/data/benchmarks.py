"""Benchmarks as their authors publish them: one reader for each file.

In: the rows of a JSON or JSON-lines file. Out: problems, with the question that this program makes
of each row, or ValueError, KeyError or the like for a row that lacks what it needs.
``problem_files.py`` finds the reader of a file by its name in ``KNOWN_FILES``, and names the rows.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import opened
from engines.shared.data.literals import named, once
from engines.shared.data.problems import Problem, make_problem, user

MOST_BYTES = 8 << 30
"""Of a file of lines, unpacked: it is read whole."""
PIECE_BYTES = 1 << 26


def whole(path: Path) -> bytes:
    """What is in a file, unpacked. ConfigError if that is more than anybody would read whole: the
    packed bytes of a small file may be very many."""
    parts: list[bytes] = []
    size = 0
    with opened(path) as file:
        source = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        while size <= MOST_BYTES >= os.fstat(file.fileno()).st_size:
            parts.append(source.read(PIECE_BYTES))
            size += len(parts[-1])
            if not parts[-1]:
                return b"".join(parts)
    raise ConfigError(f"{path}: has more than {MOST_BYTES >> 30} GB; write it as parquet files")


def read_lines(path: Path) -> list[Any]:
    """The values of a JSON-lines file, gzipped or not, or of a JSON list. ConfigError if it is none
    of these."""
    try:
        raw = whole(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: no whole gzip file: {error}; fetch it again") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        # Some editors put a byte order mark at the beginning.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8: {error}; fetch it again") from error
    if path.suffix == ".json":
        rows = parsed(text, str(path))
        if not isinstance(rows, list):
            raise ConfigError(f"{path}: is no JSON list of rows")
        return rows
    # Not splitlines(): JSON text may hold line separators of Unicode.
    lines = enumerate(text.split("\n"), 1)
    return [parsed(line, f"{path}: line {number}") for number, line in lines if line.strip()]


def parsed(text: str, where: str) -> Any:
    """The value of a JSON text. ConfigError with ``where`` if it is none, or names a part twice."""
    try:
        return json.loads(text, object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is no JSON: {error}; the file may be cut off") from error
    except ValueError as error:
        raise ConfigError(f"{where} cannot be read: {error}") from error


def as_text(answer: Any) -> Any:
    """An answer that is a number as text; a missing one (None, NaN) as it is, so that it is found
    when right answers are checked."""
    return str(answer) if answer is not None and answer == answer else answer


def text_in(row: dict[str, Any], key: str) -> str:
    """A text of a row. ValueError if it is missing, blank or no text."""
    return named(row[key], key)


# The sentence about \boxed{} is the one of GURU's own prompts for mathematics.
def math500(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """MATH500: the answer goes into a box."""
    for row in rows:
        yield make_problem(
            "math__math_500",
            user(f"{text_in(row, 'problem')} Please output the final answer within \\boxed{{}}."),
            row["answer"],
            ability="math",
        )


def human_eval(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """HumanEval: a function to complete, judged by its tests."""
    for row in rows:
        asked = (
            "Complete this Python function. Answer with the whole function in one fenced "
            f"code block.\n```python\n{text_in(row, 'prompt')}\n```"
        )
        # The published tests define check(candidate) and do not call it.
        tests = f"{text_in(row, 'test')}\ncheck({text_in(row, 'entry_point')})\n"
        truth = {"prefix": row["prompt"], "tests": tests}
        yield make_problem(
            "codegen__humaneval",
            user(asked),
            truth,
            ability="codegen",
            extra_info={"task_id": row["task_id"]},
        )


def mbpp(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """MBPP's test split, task ids 11 to 510: a description and its asserts."""
    for row in rows:
        if not 11 <= row["task_id"] <= 510:
            continue
        tests = "\n".join(row["test_list"])
        asked = (
            f"{text_in(row, 'text')}\nAnswer with one self-contained function in one fenced code "
            "block. It must pass:\n"
            f"```python\n{tests}\n```"
        )
        if not tests.strip():
            raise ValueError("test_list is empty")
        tests_with_setup = f"{row.get('test_setup_code') or ''}\n{tests}\n"
        truth = {"prefix": "", "tests": tests_with_setup}
        about = {"task_id": row["task_id"]}
        if helpers := helper_classes(row, tests_with_setup):
            about["prefix"] = helpers
        yield make_problem(
            "codegen__mbpp",
            user(asked),
            truth,
            ability="codegen",
            extra_info=about,
        )


def helper_classes(row: dict[str, Any], tests: str) -> str:
    """The classes of the reference program that the tests make objects of, which no answer can
    know: problem 367 has one."""
    with warnings.catch_warnings():
        # About "\w" in the published programs.
        warnings.simplefilter("ignore")
        uses, reference = ast.parse(tests), ast.parse(row["code"])
    names = {node.id for node in ast.walk(uses) if isinstance(node, ast.Name)}
    classes = []
    for statement in reference.body:
        if isinstance(statement, ast.ClassDef) and statement.name in names:
            classes.append(ast.unparse(statement))
    return "\n\n".join(classes)


def competition(name: str) -> Callable[[list[dict[str, Any]]], Iterable[Problem]]:
    """Reader of a mathematics competition: problem and answer; whole answers written as 27.0 become
    27."""

    def read(rows: list[dict[str, Any]]) -> Iterable[Problem]:
        for row in rows:
            answer = row["answer"]
            whole = isinstance(answer, float) and answer.is_integer()
            question = text_in(row, "problem")
            yield make_problem(
                f"math__{name}",
                user(f"{question} Please output the final answer within \\boxed{{}}."),
                as_text(int(answer) if whole else answer),
                ability="math",
            )

    return read


def arc_agi(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """ARC-AGI: the output of a task's first test input."""
    for row in rows:
        pairs = "\n\n".join(
            f"Input:\n{pair['input']}\nOutput:\n{pair['output']}" for pair in row["train"]
        )
        asked = (
            f"Each pair of grids follows one rule.\n\n{pairs}\n\nFind the output for this "
            f"input:\n{row['test'][0]['input']}\n"
            "Give it as a list of lists between <answer> and </answer>."
        )
        yield make_problem(
            "simulation__arcagi1",
            user(asked),
            row["test"][0]["output"],
            ability="reasoning",
            extra_info={"task_id": row["task_id"]},
        )


def cruxeval(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """CRUXEval: for every function one problem that asks for the output (-o) and one that asks for
    an input (-i)."""
    for row in rows:
        truth = {"functional": row["code"], "input": row["input"], "output": row["output"]}
        # The input of a function without arguments is "".
        if not isinstance(row["input"], str):
            raise ValueError(f"input is {row['input']!r}")
        text_in(row, "output")
        for kind, asked in (
            ("o", f"assert f({row['input']}) == ??"),
            ("i", f"assert f(??) == {row['output']}"),
        ):
            prompt = (
                f"```python\n{row['code']}\n{asked}\n```\n"
                "Write the last line with ?? replaced by a value for which it holds, in "
                "a ```python block."
            )
            yield make_problem(
                f"simulation__cruxeval-{kind}",
                user(prompt),
                truth,
                ability="simulation",
                extra_info={"id": row["id"]},
            )


def ifeval(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """IFEval: a prompt and the instructions in it that a program can check."""
    for row in rows:
        yield make_problem(
            "ood__ifeval",
            user(text_in(row, "prompt")),
            row["kwargs"],
            ability="ood",
            extra_info={"instruction_id_list": row["instruction_id_list"], "prompt": row["prompt"]},
        )


def convfinqa(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """ConvFinQA: questions about a company's table that build on one another; the last one's answer
    counts."""
    for row in rows:
        questions = "\n".join(
            f"{number}. {question}" for number, question in enumerate(row["questions"], 1)
        )
        asked = (
            f"{row['text']}\n\n{row['table']}\n\n{questions}\nAnswer the last question, a "
            "percentage as its hundredth. "
            "Please output the final answer within \\boxed{}."
        )
        yield make_problem(
            "table__convfinqa",
            user(asked),
            as_text(row["answer"]),
            ability="table",
            extra_info={"id": row["id"]},
        )


KNOWN_FILES: dict[str, Callable[[list[dict[str, Any]]], Iterable[Problem]]] = {
    "math500.jsonl": math500,
    "aime24.jsonl": competition("aime24"),
    "amc23.jsonl": competition("amc23"),
    "HumanEval.jsonl.gz": human_eval,
    "mbpp.jsonl": mbpp,
    "arc_agi_1_evaluation.jsonl": arc_agi,
    "cruxeval.jsonl": cruxeval,
    "ifeval.jsonl": ifeval,
    "convfinqa_dev.json": convfinqa,
}
"""Benchmarks that are read as their authors publish them."""
