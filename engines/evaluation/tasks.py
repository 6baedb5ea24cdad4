"""The tasks of an evaluation: which file is whose, what is in it, how it is sampled."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.nearest import nearest
from engines.evaluation.config import Config
from engines.evaluation.suite import PLAIN, Settings, Suite, Task, changed
from engines.shared.data.preparation import file_hash, hub_folder
from engines.shared.data.problems import KNOWN_FILES, Problem, prompt_token_ids, read_problems

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


def task_files(config: Config) -> list[TaskFile]:
    """The tasks to evaluate, in the order of the suite or of their names. ConfigError names every
    task without a file."""
    if config.suite is not None:
        return files_of_suite(config, config.whole_suite())
    if isinstance(config.data, str):
        folder = Path(config.data)
        files = {
            path.name.removesuffix(".test.parquet"): path
            for path in sorted(folder.glob("*.test.parquet"))
        }
        files |= {task: folder / name for task, name in KNOWN.items() if (folder / name).is_file()}
    else:
        files = {task: Path(path) for task, path in config.data.items()}
    wanted = sorted(files) if config.tasks is None else config.tasks
    if not files or (missing := sorted(set(wanted) - files.keys())):
        raise ConfigError(
            f"data: {config.data}: no test file for {missing if files else 'any task'}; "
            f"there are {sorted(files)}"
        )
    settings = changed(PLAIN, config.over())
    return [TaskFile(task, files[task], settings) for task in wanted]


def files_of_suite(config: Config, suite: Suite) -> list[TaskFile]:
    """The file of each of the suite's tasks."""
    wanted = list(suite.tasks) if config.tasks is None else config.tasks
    if unknown := [task for task in wanted if task not in suite.tasks]:
        raise ConfigError(
            f"tasks: the suite {config.suite} has no {', '.join(unknown)}; it has "
            f"{', '.join(suite.tasks)}"
        )
    entries = {task: suite.tasks[task] for task in wanted}
    found = (
        mapped(config.data, entries)
        if isinstance(config.data, dict)
        else in_folder(data_folder(config.data, suite, entries), entries)
    )
    return [
        TaskFile(
            task,
            path,
            changed(suite.settings(task), config.over()),
            entries[task].rows,
            entries[task].domain,
            entries[task].group,
        )
        for task, path in found.items()
    ]


def mapped(files: dict[str, str], entries: dict[str, Task]) -> dict[str, Path]:
    """The files that the config names itself."""
    if missing := [task for task in entries if task not in files]:
        raise ConfigError(
            f"data: names no file for {', '.join(missing)}; name it, or choose others with tasks"
        )
    return {task: Path(files[task]) for task in entries}


def data_folder(data: str, suite: Suite, entries: dict[str, Task]) -> Path:
    """The folder that holds the suite's files: on this machine, or fetched from the Hugging Face
    hub."""
    folder = Path(data).expanduser()
    if not folder.is_dir():
        inside = f"{suite.folder}/" if suite.folder else ""
        folder = hub_folder(
            data, [f"{inside}{prefix}*" for entry in entries.values() for prefix in entry.prefixes]
        )
    return folder / suite.folder if suite.folder and (folder / suite.folder).is_dir() else folder


def in_folder(folder: Path, entries: dict[str, Task]) -> dict[str, Path]:
    """Each task's file, by the beginning of its name. One ConfigError names all that are missing,
    and what there is instead."""
    names = sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix == ".parquet" or path.name in KNOWN_FILES
    )
    found: dict[str, Path] = {}
    trouble: list[str] = []
    for task, entry in entries.items():
        fitting = [name for name in names if name.startswith(tuple(entry.prefixes))]
        if len(fitting) > 1:
            fitting = [
                name
                for name in fitting
                if entry.rows is not None and row_count(folder / name) == entry.rows
            ] or fitting
        if len(fitting) == 1:
            found[task] = folder / fitting[0]
        else:
            trouble.append(
                f"{task}: {several(fitting) if fitting else missing(task, entry, names)}"
            )
    if trouble:
        raise ConfigError(
            f"data: {folder}: {'; '.join(trouble)}: put the files there, or choose tasks "
            "with 'tasks'"
        )
    return found


def row_count(path: Path) -> int | None:
    """Rows of a parquet file, from its footer; None for another file."""
    import pyarrow
    import pyarrow.parquet

    try:
        return (
            int(pyarrow.parquet.read_metadata(path).num_rows) if path.suffix == ".parquet" else None
        )
    except pyarrow.ArrowInvalid:
        return None  # reading it will say so


def several(names: list[str]) -> str:
    """Files among which nothing decides."""
    return f"{', '.join(names)} all fit; keep one, or name it in data: {{task: file}}"


def missing(task: str, entry: Task, names: list[str]) -> str:
    """What was looked for, and the files that look most like it."""
    like = [name for name in names if task.lower() in name.lower()]
    like += [
        name for prefix in entry.prefixes for name in nearest(prefix, names, most=2, likeness=0.5)
    ]
    near = ", ".join(dict.fromkeys(like))
    return f"no file {' or '.join(f'{prefix}*' for prefix in entry.prefixes)}" + (
        f" (there is {near})" if near else ""
    )


def read_items(
    config: Config, tokenizer_folder: Path
) -> tuple[list[Item], dict[str, dict[str, Any]]]:
    """All problems whose prompt fits, and what is to be said of each task's file.

    The facts of a task are its file, sha256, rows, problems (repeated rows are one), the prompts
    that are too long, and its settings.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.model_max_length = (
        sys.maxsize
    )  # it warns of prompts that are never sent; they are counted here
    items: list[Item] = []
    facts: dict[str, dict[str, Any]] = {}
    for file in task_files(config):
        problems = read_problems(file.path)
        rows = Counter(problem.item_id for problem in problems)
        distinct = list({problem.item_id: problem for problem in problems}.values())[: config.limit]
        found = [
            Item(
                file.task,
                problem,
                tuple(prompt_token_ids(problem, tokenizer)),
                file.domain or problem.domain,
                file.settings,
                rows[problem.item_id],
            )
            for problem in distinct
        ]
        fitting = [item for item in found if len(item.token_ids) <= file.settings.max_prompt_tokens]
        items += fitting
        facts[file.task] = {
            "file": str(file.path),
            "sha256": file_hash(file.path),
            "rows": len(problems),
            "domain": file.domain or next((problem.domain for problem in problems), ""),
            "expected_rows": file.expected_rows,
            "problems": len(distinct),
            "too_long_prompts": len(found) - len(fitting),
            "samples": sum(item.samples for item in fitting),
            "group": file.group,
            "settings": file.settings.model_dump(),
        }
    if not items:
        longest = {task: fact["settings"]["max_prompt_tokens"] for task, fact in facts.items()}
        raise ConfigError(
            f"max_prompt_tokens: {json.dumps(longest)}: no problem has so short a prompt; raise it"
        )
    return items, facts


def remarks(facts: dict[str, dict[str, Any]]) -> list[str]:
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
