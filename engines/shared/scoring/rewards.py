"""The key ``reward`` of a config: one scorer for all tasks, or one for each.

In: the values of a config before they are checked. Out: the same with the files of the users' own
functions taken in, as ``planned_scorers``. The configs of trainings and evaluations call it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engines.shared.scoring.own import sources_of

ALL_TASKS = "all tasks"
"""What a message calls the tasks of one scorer."""


def with_sources(values: Any) -> Any:
    """The values of a config with the source of every own function that its ``reward`` names, but
    for those that it holds already: a config that was planned is read again on the node, and keeps
    what a file said then. ConfigError if one is not there or is no scorer."""
    reward = values.get("reward") if isinstance(values, dict) else None
    given = reward if isinstance(reward, dict) else {ALL_TASKS: reward}
    named = {task: name for task, name in given.items() if isinstance(name, str)}
    # What is of another type is for the checks of the types.
    if len(named) < len(given):
        return values
    planned = values.get("planned_scorers") or {}
    missing = {task: name for task, name in named.items() if name not in planned}
    found = sources_of(missing, [Path()])
    plain = {name: own.model_dump() for name, own in found.items()}
    return {**values, "planned_scorers": {**planned, **plain}}
