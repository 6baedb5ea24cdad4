"""The files of the tasks that are asked for, and their problems.

In: a ``TasksConfig`` and a tokenizer. Out: ``Item``s, and facts about each task's file for the
results. Called before anything is generated; everything that is wrong with the data is said here.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError, user_path
from engines.contract.words import nearest
from engines.shared.data.benchmarks import KNOWN_FILES
from engines.shared.data.preparation import file_hash, hub_folder
from engines.shared.data.problem_files import IN_FOLDERS, read_problems, split_of
from engines.shared.data.problems import Problem, prompt_token_ids
from engines.shared.suites.config import TasksConfig
from engines.shared.suites.suite import PLAIN, Settings, Suite, Task, changed

KNOWN = {
    "math500": "math500.jsonl",
    "humaneval": "HumanEval.jsonl.gz",
    "mbpp": "mbpp.jsonl",
    "aime24": "aime24.jsonl",
    "amc23": "amc23.jsonl",
    "arcagi1": "arc_agi_1_evaluation.jsonl",
    "cruxeval": "cruxeval.jsonl",
    "ifeval": "ifeval.jsonl",
    "convfinqa": "convfinqa_dev.json",
}
"""Benchmarks under their authors' file names: task -> file."""

Facts = dict[str, dict[str, Any]]
"""What is to be said of each task's file: its path, sha256, rows, problems (repeated rows are one),
the prompts that are too long, and how the task is sampled."""


@dataclass(frozen=True)
class TaskFile:
    """One task with the file that holds it."""

    task: str
    path: Path
    settings: Settings
    expected_rows: int | None = None
    domain: str | None = None
    """None: the domain is each row's own."""
    group: str | None = None
    scorer: str | None = None
    """Name of the task's scorer, with a hash of its source where it is a user's own."""


@dataclass(frozen=True)
class Item:
    """One problem with its prompt."""

    task: str
    problem: Problem
    token_ids: tuple[int, ...]
    domain: str
    settings: Settings = PLAIN
    rows: int = 1
    """How often the file repeats it: a repeated row asks for more samples of the same problem."""

    @property
    def samples(self) -> int:
        """Samples of this problem; greedy ones are all the same, so repeating the row asks for no
        more of them."""
        return self.settings.samples_per_prompt * (self.rows if self.settings.temperature else 1)


def task_files(config: TasksConfig) -> list[TaskFile]:
    """The tasks to evaluate, in the order of the suite or of their names. ConfigError names every
    task without a file."""
    if config.suite is not None:
        return files_of_suite(config, config.whole_suite())
    files = files_without_suite(config.data)
    wanted = sorted(files) if config.tasks is None else config.tasks
    missing = sorted(set(wanted) - files.keys())
    if not files or missing:
        raise ConfigError(
            f"data: {config.data}: no test file for {missing if files else 'any task'}; "
            f"there are {sorted(files)}"
        )
    unknown = set(config.reward if isinstance(config.reward, dict) else ()) - files.keys()
    if unknown:
        raise ConfigError(f"reward: there is no task {sorted(unknown)}; there are {sorted(files)}")
    settings = changed(PLAIN, config.over())
    return [judged(config, TaskFile(task, files[task], settings)) for task in wanted]


def files_without_suite(data: str | dict[str, str]) -> dict[str, Path]:
    """The file of each task that ``data`` names, or that lies in the folder ``data``."""
    if isinstance(data, dict):
        return {task: Path(path) for task, path in data.items()}
    folder = Path(data)
    files = split_of(folder, "test")
    for task, name in KNOWN.items():
        if (folder / name).is_file():
            files[task] = folder / name
    return files


def files_of_suite(config: TasksConfig, suite: Suite) -> list[TaskFile]:
    """The file of each of the suite's tasks."""
    wanted = list(suite.tasks) if config.tasks is None else config.tasks
    unknown = [task for task in wanted if task not in suite.tasks]
    if unknown:
        raise ConfigError(
            f"tasks: the suite {config.suite} has no {', '.join(unknown)}; it has "
            f"{', '.join(suite.tasks)}"
        )
    entries = {task: suite.tasks[task] for task in wanted}
    if isinstance(config.data, dict):
        paths = mapped(config.data, entries)
    else:
        folder = data_folder(config.data, suite, entries)
        paths = in_folder(folder, entries)
    files = []
    for task, path in paths.items():
        entry = entries[task]
        settings = changed(suite.settings(task), config.over())
        file = TaskFile(task, path, settings, entry.rows, entry.domain, entry.group)
        files.append(judged(config, file))
    return files


def judged(config: TasksConfig, file: TaskFile) -> TaskFile:
    """A task's file with who judges it."""
    name = config.scorer_of(file.task, file.settings.scorer)
    own = config.own_scorers().get(name or "")
    label = own.label if own is not None else name
    return replace(file, settings=changed(file.settings, {"scorer": name}), scorer=label)


def mapped(files: dict[str, str], entries: dict[str, Task]) -> dict[str, Path]:
    """The files that the config names itself."""
    missing = [task for task in entries if task not in files]
    if missing:
        raise ConfigError(
            f"data: names no file for {', '.join(missing)}; name it, or choose others with tasks"
        )
    return {task: Path(files[task]) for task in entries}


def data_folder(data: str, suite: Suite, entries: dict[str, Task]) -> Path:
    """The folder that holds the suite's files: on this machine, or fetched from the Hugging Face
    hub."""
    folder = user_path(data)
    if not folder.is_dir():
        inside = f"{suite.folder}/" if suite.folder else ""
        # Only the files of the wanted tasks are fetched.
        prefixes = [prefix for entry in entries.values() for prefix in entry.prefixes]
        folder = hub_folder(data, [f"{inside}{prefix}*" for prefix in prefixes])
    # `data` may be the whole data set, or its folder for this suite.
    if suite.folder and (folder / suite.folder).is_dir():
        return folder / suite.folder
    return folder


def in_folder(folder: Path, entries: dict[str, Task]) -> dict[str, Path]:
    """Each task's file, by the beginning of its name. One ConfigError names all that are missing,
    and what there is instead."""
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.name.endswith(IN_FOLDERS) or path.name in KNOWN_FILES
    )
    files: dict[str, Path] = {}
    # Errors are collected: a suite of 19 files should not take 19 tries to complete.
    errors: list[str] = []
    for task, entry in entries.items():
        fitting = fitting_names(folder, names, entry)
        if len(fitting) == 1:
            files[task] = folder / fitting[0]
        elif fitting:
            errors.append(f"{task}: {several(fitting)}")
        else:
            errors.append(f"{task}: {no_file(task, entry, names)}{unread(folder, entry)}")
    if errors:
        raise ConfigError(
            f"data: {folder}: {'; '.join(errors)}: put the files there, or choose tasks "
            "with 'tasks'"
        )
    return files


def fitting_names(folder: Path, names: list[str], entry: Task) -> list[str]:
    """The files that a task's prefixes fit; of several, those with the expected number of rows if
    there are any."""
    fitting = [name for name in names if name.startswith(tuple(entry.prefixes))]
    # Files with other numbers in their names are in circulation (zebra_puzzle_dataset_200 and
    # _300). The rows inside decide, not the name.
    if len(fitting) > 1 and entry.rows is not None:
        of_that_size = [name for name in fitting if row_count(folder / name) == entry.rows]
        return of_that_size or fitting
    return fitting


def row_count(path: Path) -> int | None:
    """Rows of a parquet file, from its footer; None for another file."""
    if path.suffix != ".parquet":
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except (pyarrow.ArrowException, OSError, ValueError):
        return None  # reading it will say so


def several(names: list[str]) -> str:
    """What to say of files among which nothing decides."""
    return f"{', '.join(names)} all fit; keep one, or name it in data: {{task: file}}"


def no_file(task: str, entry: Task, names: list[str]) -> str:
    """What was looked for, and the files that look most like it."""
    alike = [name for name in names if task.lower() in name.lower()]
    for prefix in entry.prefixes:
        alike += nearest(prefix, names, most=2, likeness=0.5)
    sought = " or ".join(f"{prefix}*" for prefix in entry.prefixes)
    there = f" (there is {', '.join(dict.fromkeys(alike))})" if alike else ""
    return f"no file {sought}{there}"


def unread(folder: Path, entry: Task) -> str:
    """What to say of a file that has the right name and is of a kind that is not read."""
    names = sorted(path.name for path in folder.iterdir())
    fitting = [name for name in names if name.startswith(tuple(entry.prefixes))]
    if not fitting:
        return ""
    return (
        f" ({fitting[0]} is neither a .parquet nor a .jsonl file; write its rows to one, such as "
        'lines of {"question": ..., "answer": ...})'
    )


def read_items(config: TasksConfig, tokenizer_folder: Path) -> tuple[list[Item], Facts]:
    """All problems whose prompt fits, and what is to be said of each task's file. ConfigError if no
    prompt fits."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    # It would warn of long prompts, which are counted here and never sent.
    tokenizer.model_max_length = sys.maxsize
    items: list[Item] = []
    facts: Facts = {}
    for file in task_files(config):
        fitting, facts[file.task] = read_task(file, tokenizer, config.limit)
        items += fitting
    if not items:
        longest = {task: fact["settings"]["max_prompt_tokens"] for task, fact in facts.items()}
        raise ConfigError(
            f"max_prompt_tokens: {json.dumps(longest)}: no problem has so short a prompt; raise it"
        )
    return items, facts


def read_task(
    file: TaskFile, tokenizer: Any, limit: int | None
) -> tuple[list[Item], dict[str, Any]]:
    """The problems of one task whose prompt fits, and the facts of its file."""
    problems = read_problems(file.path, scorer=file.settings.scorer, task=file.task)
    rows = Counter(problem.item_id for problem in problems)
    # Some published files repeat a row to ask for several samples of it.
    by_id = {problem.item_id: problem for problem in problems}
    # [:None] is the whole list.
    distinct = list(by_id.values())[:limit]
    fitting = []
    for problem in distinct:
        token_ids = tuple(prompt_token_ids(problem, tokenizer))
        if len(token_ids) <= file.settings.max_prompt_tokens:
            domain = file.domain or problem.domain
            repeats = rows[problem.item_id]
            fitting.append(Item(file.task, problem, token_ids, domain, file.settings, repeats))
    domain_of_file = file.domain or (problems[0].domain if problems else "")
    return fitting, {
        "file": str(file.path),
        "sha256": file_hash(file.path),
        "rows": len(problems),
        "domain": domain_of_file,
        "expected_rows": file.expected_rows,
        "problems": len(distinct),
        "too_long_prompts": len(distinct) - len(fitting),
        "samples": sum(item.samples for item in fitting),
        "group": file.group,
        # With the scorer's hash: two evaluations are comparable if all of this is the same.
        "settings": {**file.settings.model_dump(), "scorer": file.scorer},
    }


def remarks(facts: Facts) -> list[str]:
    """What a reader of the results must know: row counts that are not the published ones, prompts
    that were left out."""
    said = [
        f"{task}: {fact['file']} has {fact['rows']} rows, the suite expects "
        f"{fact['expected_rows']}: not the published file"
        for task, fact in facts.items()
        if fact["expected_rows"] not in (None, fact["rows"])
    ]
    said += [
        f"{task}: {fact['too_long_prompts']} of {fact['problems']} problems left out, "
        "with a prompt of more than "
        f"{fact['settings']['max_prompt_tokens']} tokens"
        for task, fact in facts.items()
        if fact["too_long_prompts"]
    ]
    return said
