"""Files of problems: GURU parquet files, a user's own JSON lines, and benchmarks as their authors
publish them.

In: a file. Out: its problems, or one line that says which rows are wrong and why: no question, no
right answer (``registry.check_gold``), not the shape. Trainings, evaluations and the preparation of
data read and write problems through here alone. A GURU row has
the columns data_source, prompt (chat messages), ability, apply_chat_template, reward_model {style,
ground_truth} and extra_info; some files in circulation hold them as text (``literals.py``), and
only source, prompt and reward_model must be there.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from engines.contract.config import ConfigError
from engines.contract.counting.counts import counted, counter
from engines.shared.data.arrow_values import Convert, converter
from engines.shared.data.benchmarks import KNOWN_FILES, read_lines
from engines.shared.data.literals import chat_messages, flag, mapping, named
from engines.shared.data.own_rows import ENDINGS, GURU, own_problem, source_of
from engines.shared.data.problems import Problem, make_problem
from engines.shared.scoring.registry import check_gold, known_kind

COLUMNS = ("data_source", "prompt", "ability", "apply_chat_template", "reward_model", "extra_info")
NEEDED = {"data_source", "prompt", "reward_model"}
BATCH_ROWS = 32
"""Tests of one program can be megabytes."""
MOST_NAMED = 5
"""Rows that a message names."""

# What a row that is none may raise: parsing the text of an unknown column, deep nesting included.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, SyntaxError, RecursionError)

Row = TypeVar("Row")


def any_gold(_: Problem) -> None:
    """Refuses no problem: for readers to whom only what is asked matters."""


def read_problems(
    path: Path,
    check: Callable[[Problem], None] = check_gold,
    scorer: str | None = None,
    task: str = "",
) -> list[Problem]:
    """Problems of a parquet file, of one of ``KNOWN_FILES`` or of a user's own JSON lines
    (``own_rows.py``), each with a right answer.

    Args:
        path: The file.
        check: Raises ValueError for a problem that cannot be used: that has no right answer.
        scorer: Who judges the problems, if not the scorer of their data source.
        task: What the config calls them (``source_of_own``).

    Raises:
        ConfigError: The file is none of these, is damaged, has no problem, or has rows that cannot
            be used, of which the first are named, counted from 1. One bad row refuses the file:
            nothing is left out in silence.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file{hint_at_others(path)}")
    if path.suffix == ".parquet":
        rows = parquet_rows(path)
        problems = usable(path, rows, lambda row: [problem_of(row.plain())], check, scorer)
    elif path.name in KNOWN_FILES:
        reader = KNOWN_FILES[path.name]
        lines = counted(f"reading {path.name}", read_lines(path))
        problems = usable(path, lines, lambda row: reader([of_names(row)]), check, scorer)
    elif path.name.endswith(ENDINGS):
        source = source_of_own(path, task)
        lines = counted(f"reading {path.name}", read_lines(path))
        problems = usable(path, lines, lambda row: [of_json(of_names(row), source)], check, scorer)
    else:
        raise ConfigError(
            f"{path}: is of no kind that is read: name a .parquet file, or a .jsonl file with "
            '{"question": ..., "answer": ...} on each line'
        )
    if not problems:
        raise ConfigError(f"{path}: has no problem in it; name another file, or make it again")
    return problems


def source_of_own(path: Path, task: str) -> str:
    """The data source of a user's rows that name none: the task's name, or, without one and where
    one of our scorers knows it, the beginning of the file's name."""
    of_file = source_of(path)
    return task if task and known_kind(of_file) is None else of_file


def hint_at_others(path: Path) -> str:
    """What lies where a file was expected."""
    # A folder that is not there has no files either.
    others = sorted(other.name for other in path.parent.glob("*") if other.is_file())
    return f"; the folder has {', '.join(others[:8])}" if others else ""


def usable(
    path: Path,
    rows: Iterable[Row],
    problems_of: Callable[[Row], Iterable[Problem]],
    check: Callable[[Problem], None],
    scorer: str | None,
) -> list[Problem]:
    """The problems of all rows, judged by ``scorer``. ConfigError that names the first rows that
    give none, or one that ``check`` refuses."""
    problems: list[Problem] = []
    wrong: list[str] = []
    number = 0
    for number, row in enumerate(rows, 1):
        try:
            found = [replace(problem, scorer=scorer) for problem in problems_of(row)]
            for problem in found:
                check_text(problem)
                check(problem)
        except UNREADABLE as error:
            wrong.append(f"row {number}: {in_words(error)}")
        else:
            problems += found
    if wrong:
        # A column that is empty throughout would be a message of megabytes.
        more = ["..."] if len(wrong) > MOST_NAMED else []
        raise ConfigError(
            f"{path}: {len(wrong)} of {number} rows cannot be used, counted from 1: "
            f"{'; '.join([*wrong[:MOST_NAMED], *more])}. Correct them or take them out"
        )
    return problems


def check_text(problem: Problem) -> None:
    """ValueError if what is asked cannot be given to a tokenizer: JSON may hold half of a
    character."""
    for message in problem.prompt:
        try:
            message["content"].encode()
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])
            raise ValueError(f"what is asked has {half}, which is half of a character") from error


def in_words(error: BaseException) -> str:
    """What is wrong with a row, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"has no {error.args[0]}"
    # Ours are sentences; of the others the type belongs to what they say.
    return text if type(error) is ValueError else f"{type(error).__name__}: {text}"


def of_names(row: Any) -> dict[str, Any]:
    """A row that is a JSON object. ValueError if it is something else."""
    if not isinstance(row, dict):
        raise ValueError(f"is no object with named parts, but {reprlib.repr(row)}")
    return row


def of_json(row: dict[str, Any], source: str) -> Problem:
    """The problem of a row of JSON lines: a question with its answer, or GURU's columns."""
    return problem_of(row) if GURU in row else own_problem(row, source)


IN_FOLDERS = (".parquet", ".jsonl", ".jsonl.gz")
"""Endings of the files that are looked for in a folder. A ``.json`` file there, such as
``data.json``, mostly describes data: it is read where it is named."""


def split_of(folder: Path, split: str) -> dict[str, Path]:
    """The file of each task in a folder, ``<task>.<split>.parquet`` or ``.jsonl``, in the order of
    their names. ConfigError if a task has two."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*.{split}.*")):
        task, _, ending = path.name.rpartition(f".{split}.")
        if f".{ending}" not in IN_FOLDERS:
            continue
        if task in found:
            raise ConfigError(
                f"{folder}: {found[task].name} and {path.name} are both {split} of '{task}': "
                f"take one away, or name it as {{{task}: file}}"
            )
        found[task] = path
    return dict(sorted(found.items()))


@dataclass
class ParquetRow:
    """A row as pyarrow gives it, and what makes plain data of its columns."""

    values: dict[str, Any]
    converters: dict[str, Convert]

    def plain(self) -> dict[str, Any]:
        """The row as text and plain structures. ValueError if a value's text is lost."""
        for name, convert in self.converters.items():
            self.values[name] = convert(self.values[name])
        return self.values


def parquet_rows(path: Path) -> Iterator[ParquetRow]:
    """Rows of a file with GURU's columns, in small batches: the ground truths of code problems are
    large. ConfigError if it has not the columns, has one twice, or is damaged."""
    import pyarrow
    import pyarrow.parquet

    try:
        # Files that we write have checksums of their pages; of others nothing is checked.
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        fields = [(field.name, converter(field)) for field in file.schema_arrow]
    # ValueError: names, and pyarrow's own messages, that are no UTF-8.
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: no whole parquet file: {' '.join(str(error).split())}; fetch it again"
        ) from error
    present = columns_of(path, [name for name, _ in fields])
    for name in present:
        if twice := twice_in(file.schema_arrow.field(name).type):
            raise ConfigError(
                f"{path}: the column {name} has more than one part {twice}: rename or drop the "
                "others"
            )
    converters = {
        name: convert for name, convert in fields if name in present and convert is not None
    }
    more = counter(f"reading {path.name}", file.metadata.num_rows)
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=present):
            for row in batch.to_pylist():
                yield ParquetRow(row, converters)
            more(batch.num_rows)
    # pyarrow names neither the file nor the page. The last two are Python's, for values that it
    # cannot hold: text that is no UTF-8, a year beyond 9999.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"{path}: cannot be read, it may be damaged: {' '.join(str(error).split())}; fetch it "
            "or make it again"
        ) from error


def columns_of(path: Path, names: Sequence[str]) -> list[str]:
    """The columns of a GURU row that a file has. ConfigError if one that it must have is missing,
    or one is there twice."""
    missing = NEEDED - set(names)
    if missing:
        raise ConfigError(
            f"{path}: columns {', '.join(sorted(missing))} are missing; it has {', '.join(names)}"
        )
    # Nobody can say which of them is meant.
    twice = [name for name in COLUMNS if list(names).count(name) > 1]
    if twice:
        raise ConfigError(
            f"{path}: has more than one column {', '.join(twice)}; it has {', '.join(names)}: "
            "rename or drop the others"
        )
    return [name for name in COLUMNS if name in names]


def twice_in(kind: Any) -> str:
    """A name that a structure has twice, also one further inside; "" if none has."""
    fields = [kind.field(number) for number in range(kind.num_fields)]
    names = [field.name for field in fields]
    twice = [name for name in names if names.count(name) > 1]
    return next(iter(twice), "") or next(filter(None, (twice_in(f.type) for f in fields)), "")


def problem_of(row: dict[str, Any]) -> Problem:
    """One GURU row as a problem; text that stands for a structure is parsed. ValueError or
    SyntaxError if it is none. The right answer is not looked at."""
    ability = row.get("ability")
    # A data frame that was cast to text has "nan" for a missing value.
    if not ability or ability == "nan":
        ability = ""
    reward_model = mapping(row["reward_model"], "reward_model")
    if "ground_truth" not in reward_model:
        raise ValueError(f"reward_model has no ground_truth, but {sorted(reward_model)}")
    return make_problem(
        named(row["data_source"], "data_source"),
        chat_messages(row["prompt"]),
        reward_model["ground_truth"],
        ability=str(ability),
        apply_chat_template=flag(
            row.get("apply_chat_template"), "apply_chat_template", default=True
        ),
        extra_info=mapping(row.get("extra_info"), "extra_info"),
    )


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
    for problem in counted(f"writing {path.name}", list(problems)):
        reward_model = {"style": "rule", "ground_truth": problem.ground_truth}
        rows.append(
            {
                "data_source": problem.data_source,
                "prompt": list(problem.prompt),
                "ability": problem.ability,
                "apply_chat_template": problem.apply_chat_template,
                "reward_model": json.dumps(reward_model),
                # Nothing is judged by what JSON has no form for.
                "extra_info": json.dumps(problem.extra_info, default=str),
            }
        )
    temporary = path.with_name(f".{path.name}.tmp")
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    pyarrow.parquet.write_table(table, temporary, write_page_checksum=True)
    temporary.replace(path)
