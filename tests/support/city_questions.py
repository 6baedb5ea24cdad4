"""A small data folder of questions about cities, drawn plainly, and a model's checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint, Description
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.description import Shape
from engines.shared.geography.network.model import Parameters
from engines.shared.geography.network.weights import write_model
from engines.shared.geography.questions.geometry import answers
from engines.shared.geography.questions.rows import Questions, pad
from engines.shared.geography.questions.store import set_folder, write_set, write_world
from engines.shared.geography.tasks import TASKS


def drawn(world: World, task: str, count: int, seed: int, required: bool = False) -> Questions:
    """Questions with as many cities as the task may have, at random, nothing balanced."""
    random = np.random.default_rng(seed)
    kind, parts = TASKS[task], []
    for number in range(kind.fewest, kind.most + 1):
        share = -(-count // (kind.most - kind.fewest + 1))
        rows = np.empty((number, share), np.int32)
        for place in range(share):
            pool = len(world) if required else world.real
            chosen = random.choice(pool, number, replace=False)
            if required and (chosen < world.real).all():
                chosen[0] = world.real + random.integers(len(world) - world.real)
            rows[:, place] = chosen
        found = answers(task, world.x, world.y, rows)
        parts.append((pad(rows, kind.most), found))
    cities = np.concatenate([part[0] for part in parts])[:count]
    return Questions(task, cities, np.concatenate([part[1] for part in parts])[:count])


def make_data(
    folder: Path,
    world: World | None = None,
    rows: int = 24,
    tasks: Sequence[str] = tuple(TASKS),
) -> World:
    """Write a world of 40 + 8 cities, or the one given, and the sets of its evaluation."""
    world = world or make_world(40, 8, 3)
    write_world(folder, world, {})
    for number, task in enumerate(tasks):
        for kind in ("no_atlantis", "atlantis_required"):
            splits = {
                split: drawn(world, task, rows, 10 * number + place, kind == "atlantis_required")
                for place, split in enumerate(("train", "validation", "test"))
            }
            write_set(set_folder(folder, task, kind), splits, {})
    return world


def save_model(out: Path, shape: Shape, parameters: Parameters, name: str = "final") -> Checkpoint:
    """Save one model as the only checkpoint of a job."""
    return checkpoints.save(
        out,
        Description(name=name, step=1, epoch=1, metrics={}),
        lambda folder: write_model(folder / "model", shape, parameters),
    )
