"""Contamination: which problems a training and an evaluation have in common.

In: what the configs of both say of their data. Out: the files they read, and the shared problems by
task. ``ppo`` refuses to train on test problems with it, and the report names what it finds.
Problems are compared by what they ask, without regard to case and white space; those that share
long runs of words and are not the same are told as a warning (``near_copies.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from engines.contract.config import ConfigError
from engines.shared.data.benchmarks import KNOWN_FILES
from engines.shared.data.near_copies import near_copies, told
from engines.shared.data.problem_files import IN_FOLDERS, any_gold, read_problems, split_of
from engines.shared.data.problems import Problem, content_key

Tasks = Mapping[str, Sequence[Problem]]
Files = str | dict[str, str | list[str]]
"""A folder, or one file or several per task."""

OTHER_SPLITS = (".train.parquet", ".validation.parquet")
TEST = tuple(f".test{ending}" for ending in IN_FOLDERS)


def listed(source: dict[str, str | list[str]]) -> dict[str, list[Path]]:
    """Files of each task of a mapping, in the order of the tasks' names."""
    paths = {}
    for task, named in sorted(source.items()):
        files = [named] if isinstance(named, str) else named
        paths[task] = [Path(file) for file in files]
    return paths


def data_files(source: Files, split: Literal["train", "validation"]) -> dict[str, list[Path]]:
    """Files of each task, in the order of their names: from a mapping, or from a folder's
    ``<task>.<split>.parquet`` or ``.jsonl``."""
    if isinstance(source, dict):
        return listed(source)
    return {task: [path] for task, path in split_of(Path(source), split).items()}


def test_files(source: Files) -> list[Path]:
    """Files of a mapping, or those of a folder that an evaluation reads: parquet but for the other
    splits, ``<task>.test.jsonl``, and known benchmarks."""
    if isinstance(source, dict):
        return [path for paths in listed(source).values() for path in paths]
    if not Path(source).is_dir():
        raise ConfigError(f"test_data: {source} is no folder; give one, or {{task: file}}")
    paths = []
    for path in sorted(Path(source).iterdir()):
        # A prepared folder holds math.train.parquet beside math.test.parquet.
        is_other_split = path.name.endswith(OTHER_SPLITS)
        is_parquet = path.suffix == ".parquet" and not is_other_split
        if path.name in KNOWN_FILES or is_parquet or path.name.endswith(TEST):
            paths.append(path)
    if not paths:
        raise ConfigError(
            f"test_data: {source} has no <task>.test.parquet, no <task>.test.jsonl and none of "
            f"{', '.join(KNOWN_FILES)}"
        )
    return paths


def read_asked(paths: Iterable[Path]) -> list[Problem]:
    """Problems of these files, for what they ask: their right answers are not looked at."""
    return [problem for path in paths for problem in read_problems(path, any_gold)]


def shared_with(tasks: Tasks, tested: set[str]) -> dict[str, list[Problem]]:
    """Per task the problems that are in ``tested``, by their content keys, too."""
    return {
        task: [problem for problem in problems if content_key(problem) in tested]
        for task, problems in tasks.items()
    }


def near_facts(tasks: Tasks, tested: Sequence[Problem]) -> dict[str, Any]:
    """What results say of the training problems that nearly repeat one of the evaluation, under
    ``near_training``: in words, with the nearest. Nothing where there is none."""
    found = told(near_copies(tasks, tested))
    return {"near_training": found} if found else {}


def overlap(training: Files, evaluation: Files) -> dict[str, Any]:
    """How many training problems of each task the evaluation uses too, and which nearly repeat one.
    ConfigError or OSError for files that cannot be read."""
    tested = read_asked(test_files(evaluation))
    tasks: dict[str, list[Problem]] = {}
    for task, paths in data_files(training, "train").items():
        tasks[task] = read_asked(paths)
    if not tasks:
        raise ConfigError(f"data: {training} has no <task>.train.parquet and no <task>.train.jsonl")
    keys = set(map(content_key, tested))
    shared = shared_with(tasks, keys)
    return {
        "problems": len(keys),
        "in_training": {task: len(problems) for task, problems in shared.items()},
        **near_facts(tasks, tested),
    }
