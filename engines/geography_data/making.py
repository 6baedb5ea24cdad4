"""Make a world and its sets, one after the other.

In: the config. Out: the data folder that ``questions/store.py`` describes, ``held_out.json``, and
results with the best constant answer of every split. A set that is there is kept, so a restart
makes only the others. ``__main__`` calls it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engines.contract.config import same_config
from engines.contract.files import write_json
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.geography_data.config import Config
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import SPLITS, Cities
from engines.shared.geography.questions.drawing import Wanted, draw
from engines.shared.geography.questions.hold_out import HoldOut, hold_out
from engines.shared.geography.questions.store import (
    Questions,
    read_manifest,
    read_set,
    read_world,
    set_folder,
    write_set,
    write_world,
)
from engines.shared.geography.questions.summary import best_constant, describe
from engines.shared.geography.tasks import TASKS, TaskName


def make(config: Config, out: Path, stop: Stop) -> None:
    """Everything that is not there yet. ConfigError if the folder holds other data; Interrupted
    between two sets if a stop is asked for."""
    started = time.monotonic()
    world = the_world(config, out)
    held_out = hold_out(
        world.real, config.atlantis, config.seed, (config.validation_share, config.test_share)
    )
    write_json(out / "held_out.json", held_out.facts())
    wanted = [(task, cities) for cities in config.sets for task in TASKS if task in config.names]
    progress, rows = Progress(out), []
    for number, (task, cities) in enumerate(wanted, start=1):
        if not set_folder(out, task, cities).is_dir():
            if stop.requested:
                raise Interrupted(f"{number - 1} of {len(wanted)} sets are made")
            make_set(config, out, world, held_out, (TASKS[task].name, cities))
        rows += constant_rows(out, TASKS[task].name, cities)
        seconds = time.monotonic() - started
        progress.write(number, len(wanted), {"seconds": seconds}, phase="sets")
    write_results(
        out, "geography_data", config, rows, time.monotonic() - started, facts(out, wanted)
    )


def the_world(config: Config, out: Path) -> World:
    """The world of this folder, made if there is none; ConfigError if it is of another config."""
    path = out / "world"
    if path.is_dir():
        same_config(config, read_manifest(path).get("config"), path)
    else:
        made = make_world(config.cities, config.atlantis, config.seed)
        write_world(out, made, {"seed": config.seed, "config": config.model_dump(mode="json")})
    # As everybody else will see it.
    return read_world(out)


def make_set(
    config: Config, out: Path, world: World, held_out: HoldOut, which: tuple[TaskName, Cities]
) -> None:
    """Draw the splits of one set and write them with their manifest."""
    task, cities = which
    rows = config.sets[cities].model_dump()
    splits: dict[str, Questions] = {
        split: draw(world, held_out, Wanted(task, cities, split, rows[split])) for split in SPLITS
    }
    manifest = {
        "task": task,
        "cities": cities,
        "seed": config.seed,
        "world": read_manifest(out / "world")["sha256"],
        "attribution": world.attribution,
        "score": "accuracy" if TASKS[task].higher_is_better else "absolute error",
        "unit": TASKS[task].unit,
        "splits": {split: describe(world, questions) for split, questions in splits.items()},
    }
    write_set(set_folder(out, task, cities), splits, manifest)


def constant_rows(out: Path, task: TaskName, cities: Cities) -> list[Row]:
    """How well the best constant answer does on each split of a finished set."""
    metric = "constant_accuracy" if TASKS[task].higher_is_better else "constant_error"
    rows = []
    for split in SPLITS:
        expected = read_set(out, task, cities, split).answers
        constant = best_constant(task, expected)
        axes: dict[str, Any] = {"task": task, "cities": cities, "split": split}
        rows.append(
            Row(
                metric=metric,
                value=constant.score,
                n=len(expected),
                spread=constant.spread if len(expected) > 1 else None,
                axes=axes,
            )
        )
    return rows


def facts(out: Path, wanted: list[tuple[str, Cities]]) -> dict[str, Any]:
    """What is said beside the results: the world, and where everything lies."""
    world = read_manifest(out / "world")
    return {
        "world": world["sha256"],
        "cities": world["cities"],
        "of_atlantis": world["of_atlantis"],
        "attribution": world["attribution"],
        "sets": {
            f"{task}.{cities}": read_manifest(set_folder(out, task, cities))["sha256"]
            for task, cities in wanted
        },
        "files": ["world/cities.csv", "held_out.json", "sets"],
    }
