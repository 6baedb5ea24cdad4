"""Problems that are in two sets which must have none in common: training and validation, training
and what the evaluation uses."""

from __future__ import annotations

from typing import Any

from engines.contract.config import ConfigError
from engines.ppo.config import Config
from engines.shared.data.contamination import (
    Tasks,
    near_facts,
    read_asked,
    shared_with,
    test_files,
)
from engines.shared.data.problems import Problem, content_key


def refuse_shared(train: Tasks, validation: Tasks) -> None:
    """ConfigError if a problem is in training and in validation, of whichever tasks."""
    owner = {content_key(problem): task for task, problems in train.items() for problem in problems}
    for task, problems in validation.items():
        shared = [problem for problem in problems if content_key(problem) in owner]
        if shared:
            raise ConfigError(
                f"task {task}: {len(shared)} validation problems are in training too, "
                f"such as {quoted(shared[0])} in task "
                f"{owner[content_key(shared[0])]}: give other files, or split with 'orch "
                "data prepare'"
            )


def check_test_data(config: Config, train: Tasks, validation: Tasks) -> dict[str, Any] | None:
    """How many problems of each task are in ``test_data`` too, and which of the training nearly
    repeat one of it (a warning, in the log too); None if there is none to check.

    ConfigError if there is one in training and ``allow_test_data`` does not say that this is
    meant. A problem of the validation is counted only: the published suites validate on what
    they test on.
    """
    if config.test_data is None:
        return None
    asked = read_asked(test_files(config.test_data))
    tested = set(map(content_key, asked))
    shared = shared_with(train, tested)
    counts = {task: len(problems) for task, problems in shared.items()}
    first = next((problems[0] for problems in shared.values() if problems), None)
    if first is not None:
        told = ", ".join(f"{task} {count}" for task, count in counts.items() if count)
        if not config.allow_test_data:
            raise ConfigError(
                "data: training problems that the evaluation uses too (test_data): "
                f"{told}; such as {quoted(first)}: take "
                "them out of the training files, or set allow_test_data: true"
            )
        print(f"trained on although the evaluation uses them (allow_test_data): {told}", flush=True)
    near = near_facts(train, asked)
    for found in near.values():
        print(f"warning: training nearly repeats problems of test_data: {found}", flush=True)
    return {
        "problems": len(tested),
        "in_training": counts,
        "in_validation": {
            task: len(problems) for task, problems in shared_with(validation, tested).items()
        },
        **near,
    }


def quoted(problem: Problem) -> str:
    """The beginning of what is asked, on one line."""
    text = " ".join(problem.prompt[-1]["content"].split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
