"""The questions of a training and of its validation, as tokens in memory.

In: a config and the data folder that it names. Out: tables of tokens, and facts about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.geography.config import Config
from engines.shared.geography.network.packing import Table
from engines.shared.geography.questions.rows import Questions
from engines.shared.geography.questions.store import (
    World,
    count_distinct,
    mixture,
    read_set,
    read_world,
    tokens,
)
from engines.shared.geography.tasks import TASKS


@dataclass(frozen=True)
class Data:
    """What a model is trained on and judged by."""

    train: Table
    validation: Table
    sets: list[str]
    """``<task>.<cities>`` of the validation questions."""
    set_of: np.ndarray[tuple[int], np.dtype[np.int64]]
    """(n,): place in ``sets`` of each validation question."""
    distinct: int
    """How many of the training questions are different."""
    attribution: str


def table_of(world: World, questions: list[Questions]) -> Table:
    """Tokens with the number of each row's task."""
    tasks = [np.full(len(one), TASKS[one.task].number, np.int16) for one in questions]
    return Table(*tokens(world, questions), np.concatenate(tasks))


def load(config: Config) -> Data:
    """Read the mixture and the validation questions of its sets; ConfigError if the folder lacks
    one."""
    folder = Path(config.data)
    world = read_world(folder)
    chosen = mixture(folder, config.mixture, config.warmup, config.warmup_rows, config.mixture_seed)
    judged: dict[str, Questions] = {}
    for part in config.mixture:
        for task in part.names:
            whole = read_set(folder, task, part.cities, "validation")
            judged[f"{task}.{part.cities}"] = whole[: config.validation_rows]
    validation = list(judged.values())
    return Data(
        train=table_of(world, chosen),
        validation=table_of(world, validation),
        sets=list(judged),
        set_of=np.repeat(np.arange(len(judged)), [len(one) for one in validation]),
        distinct=count_distinct(chosen),
        attribution=world.attribution,
    )
