"""Files of problems: GURU parquet files, and benchmarks as their authors publish them.

In: a file. Out: its problems, or one line that says which row is wrong and why. Trainings,
evaluations and the preparation of data read and write problems through here alone. A GURU row has
the columns data_source, prompt (chat messages), ability, apply_chat_template, reward_model {style,
ground_truth} and extra_info; some files in circulation hold them as text (``literals.py``), and
only source, prompt and reward_model must be there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.shared.data.benchmarks import KNOWN_FILES, read_lines
from engines.shared.data.literals import chat_messages, flag, mapping
from engines.shared.data.problems import Problem, make_problem

COLUMNS = ("data_source", "prompt", "ability", "apply_chat_template", "reward_model", "extra_info")
BATCH_ROWS = 32
"""Tests of one program can be megabytes."""


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
            # All that parsing the text of an unknown column may raise, deep nesting
            # (RecursionError) included.
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
    # A data frame that was cast to text has "nan" for a missing value.
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
