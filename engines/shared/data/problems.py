"""Problems with verifiable answers: GURU parquet files, and benchmarks as their authors publish
them.

In: a file. Out: its problems, or one line that says which row is wrong and why. Trainings,
evaluations and the preparation of data read and write problems through here alone. A GURU row has
the columns data_source, prompt (chat messages), ability, apply_chat_template, reward_model {style,
ground_truth} and extra_info; some files in circulation hold them as text (``literals.py``), and
only source, prompt and reward_model must be there.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.shared.data.literals import chat_messages, flag, mapping

COLUMNS = ("data_source", "prompt", "ability", "apply_chat_template", "reward_model", "extra_info")
BATCH_ROWS = 32
"""Tests of one program can be megabytes."""


@dataclass(frozen=True)
class Problem:
    """One problem and what its answer is judged by."""

    item_id: str
    """Hash of source, prompt and ground truth: the same problem in two files has the same id."""
    data_source: str
    domain: str
    """The part of ``data_source`` before the two underscores, such as ``math``."""
    prompt: tuple[dict[str, str], ...]
    """Chat messages with role and content."""
    ability: str
    apply_chat_template: bool
    ground_truth: Any
    extra_info: dict[str, Any] = field(default_factory=dict)


def make_problem(
    data_source: str,
    prompt: Sequence[dict[str, str]],
    ground_truth: Any,
    *,
    ability: str = "",
    apply_chat_template: bool = True,
    extra_info: dict[str, Any] | None = None,
) -> Problem:
    """A problem with its id and domain filled in."""
    messages = tuple(
        {"role": str(message["role"]), "content": str(message["content"])} for message in prompt
    )
    key = json.dumps([data_source, messages, ground_truth], sort_keys=True, default=str)
    return Problem(
        item_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        data_source=data_source,
        domain=data_source.partition("__")[0],
        prompt=messages,
        ability=ability,
        apply_chat_template=apply_chat_template,
        ground_truth=ground_truth,
        extra_info=extra_info or {},
    )


def user(content: str) -> list[dict[str, str]]:
    """A prompt of one user message."""
    return [{"role": "user", "content": content}]


def read_problems(path: Path) -> list[Problem]:
    """Problems of a parquet file, or of one of ``KNOWN_FILES``. ConfigError if it is none of
    these."""
    if not path.is_file():
        # A folder that is not there has no files either.
        others = sorted(other.name for other in path.parent.glob("*") if other.is_file())
        hint = f"; the folder has {', '.join(others[:8])}" if others else ""
        raise ConfigError(f"{path}: no such file{hint}")
    if path.suffix == ".parquet":
        return list(read_parquet(path))
    if path.name in KNOWN_FILES:
        return list(KNOWN_FILES[path.name](read_lines(path)))
    raise ConfigError(f"{path}: not a parquet file and none of {', '.join(KNOWN_FILES)}")


def read_parquet(path: Path) -> Iterator[Problem]:
    """GURU rows, in small batches: the ground truths of code problems are large."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ConfigError(
            f"{path}: no whole parquet file: {' '.join(str(error).split())}; fetch it again"
        ) from error
    present = [name for name in COLUMNS if name in file.schema_arrow.names]
    missing = {"data_source", "prompt", "reward_model"} - set(present)
    if missing:
        raise ConfigError(
            f"{path}: columns {', '.join(sorted(missing))} are missing; it has "
            f"{', '.join(file.schema_arrow.names)}"
        )
    number = 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=present):
        for row in batch.to_pylist():
            try:
                yield problem_of(row)
            except (KeyError, TypeError, ValueError, SyntaxError, RecursionError) as error:
                raise ConfigError(
                    f"{path}: row {number} (from 0) is not a GURU row: "
                    f"{type(error).__name__}: {error}"
                ) from error
            number += 1


def problem_of(row: dict[str, Any]) -> Problem:
    """One GURU row as a problem; text that stands for a structure is parsed. ValueError, KeyError
    or SyntaxError if it is none."""
    ability = row.get("ability")
    if not ability or ability == "nan":
        ability = ""
    return make_problem(
        row["data_source"],
        chat_messages(row["prompt"]),
        mapping(row["reward_model"], "reward_model")["ground_truth"],
        ability=ability,
        apply_chat_template=flag(row.get("apply_chat_template"), default=True),
        extra_info=mapping(row.get("extra_info"), "extra_info"),
    )


def content_key(problem: Problem) -> str:
    """Hash of what is asked, whoever asks it and in which file: messages but the system's, without
    regard to case and white space.

    Problems that differ in more than that, such as a reworded one, have different keys.
    """
    asked = " ".join(
        message["content"] for message in problem.prompt if message["role"] != "system"
    )
    without_case = unicodedata.normalize("NFC", asked).casefold()
    words = " ".join(without_case.split())
    return hashlib.sha256(words.encode()).hexdigest()


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write problems as a GURU parquet file, by rename.

    reward_model and extra_info are JSON text: ground truths of different shapes fit into one file,
    and none gains a key that only another one has.
    """
    import pyarrow
    import pyarrow.parquet

    text = pyarrow.string()
    message = pyarrow.struct([("role", text), ("content", text)])
    schema = pyarrow.schema(
        [
            ("data_source", text),
            ("prompt", pyarrow.list_(message)),
            ("ability", text),
            ("apply_chat_template", pyarrow.bool_()),
            ("reward_model", text),
            ("extra_info", text),
        ]
    )
    rows = []
    for problem in problems:
        reward_model = {"style": "rule", "ground_truth": problem.ground_truth}
        rows.append(
            {
                "data_source": problem.data_source,
                "prompt": list(problem.prompt),
                "ability": problem.ability,
                "apply_chat_template": problem.apply_chat_template,
                "reward_model": json.dumps(reward_model),
                "extra_info": json.dumps(problem.extra_info),
            }
        )
    temporary = path.with_name(f".{path.name}.tmp")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), temporary)
    temporary.replace(path)


def prompt_token_ids(problem: Problem, tokenizer: Any) -> list[int]:
    """The prompt as token ids: through the chat template, or the last message as plain text.

    A beginning-of-text token comes once: from the template if there is one, else from the tokenizer
    unless the text brings it.
    """
    if problem.apply_chat_template and tokenizer.chat_template is not None:
        text = tokenizer.apply_chat_template(
            list(problem.prompt), add_generation_prompt=True, tokenize=False
        )
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = problem.prompt[-1]["content"]
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    # The tokenizer may add more special tokens than the first, such as one at the end, which must
    # not stand between prompt and response.
    first = tokenizer(text)["input_ids"][:1]
    adds_beginning = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
    if adds_beginning and ids[:1] != first:
        return [*first, *ids]
    return ids


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, gzipped or not, or of a JSON list."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    if path.suffix == ".json":
        return list(json.loads(raw))
    return [json.loads(line) for line in raw.decode().splitlines() if line.strip()]


def math500(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """MATH500: the answer goes into a box."""
    for row in rows:
        yield make_problem(
            "math__math_500",
            user(f"{row['problem']} Please output the final answer within \\boxed{{}}."),
            row["answer"],
            ability="math",
        )


def human_eval(rows: list[dict[str, Any]]) -> Iterable[Problem]:
    """HumanEval: a function to complete, judged by its tests."""
    for row in rows:
        asked = (
            "Complete this Python function. Answer with the whole function in one fenced "
            f"code block.\n```python\n{row['prompt']}\n```"
        )
        truth = {"prefix": row["prompt"], "tests": f"{row['test']}\ncheck({row['entry_point']})\n"}
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
            f"{row['text']}\nAnswer with one self-contained function in one fenced code "
            "block. It must pass:\n"
            f"```python\n{tests}\n```"
        )
        truth = {"prefix": "", "tests": f"{row.get('test_setup_code', '')}\n{tests}\n"}
        yield make_problem(
            "codegen__mbpp",
            user(asked),
            truth,
            ability="codegen",
            extra_info={"task_id": row["task_id"]},
        )


def competition(name: str) -> Callable[[list[dict[str, Any]]], Iterable[Problem]]:
    """Reader of a mathematics competition: problem and answer; whole answers written as 27.0 become
    27."""

    def read(rows: list[dict[str, Any]]) -> Iterable[Problem]:
        for row in rows:
            answer = row["answer"]
            whole = isinstance(answer, float) and answer.is_integer()
            yield make_problem(
                f"math__{name}",
                user(f"{row['problem']} Please output the final answer within \\boxed{{}}."),
                str(int(answer) if whole else answer),
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
            user(row["prompt"]),
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
            str(row["answer"]),
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
