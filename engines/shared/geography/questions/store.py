"""The data folder: a world and sets of questions, as files; and mixtures of training sets.

In: the output folder of the engine ``geography_data``. Out: ``World`` and ``Questions``. That
engine writes it; trainings, evaluations and reports read it through here.

    world/  cities.csv, manifest.json, ATTRIBUTION.md
    sets/<task>.<cities>/  for each split <split>.cities.npy (int32 (n, k): rows of the world, -1
        for none) and <split>.answers.npy (int32 (n,)); manifest.json

Both kinds of folder appear whole or not at all.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engines.contract.config import ConfigError
from engines.shared.geography.cities.streams import stream
from engines.shared.geography.cities.table import City, packaged
from engines.shared.geography.cities.world import World
from engines.shared.geography.description import Cities, Part, Split
from engines.shared.geography.questions.rows import Array, Questions
from engines.shared.geography.questions.texts import tokens
from engines.shared.geography.tasks import TASKS

__all__ = [
    "Questions",
    "Warmup",
    "World",
    "count_distinct",
    "mixture",
    "read_manifest",
    "read_set",
    "read_world",
    "set_folder",
    "tokens",
    "write_folder",
    "write_world",
]

Warmup = Literal["none", "required", "plain"]
WARMUP_CITIES: dict[str, Cities] = {"required": "atlantis_required", "plain": "no_atlantis"}
"""Which set the warm-up rows are taken from. The published configs take ``required``, and the
published text says ``plain``."""


def write_folder(path: Path, files: dict[str, bytes]) -> None:
    """Make a folder with some files at once, by rename; what an earlier try left is dropped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir()
    for name, content in files.items():
        with (temporary / name).open("wb") as file:
            file.write(content)
            file.flush()
            # Without it a crash of the machine may leave the new name with no content.
            os.fsync(file.fileno())
    temporary.rename(path)


def as_json(value: object) -> bytes:
    """The text of a JSON file."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def as_npy(array: Array) -> bytes:
    """The content of a .npy file."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def write_world(folder: Path, world: World, facts: dict[str, Any]) -> None:
    """Write the cities, their attribution, and a manifest with ``facts`` and the cities' hash."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["row", "geonameid", "name", "country", "continent", "x", "y", "population"]
    writer.writerow([*head, "region", "city_id"])
    for row, city in enumerate(world.cities):
        place = [city.geonameid, city.name, city.country, city.continent, city.x, city.y]
        writer.writerow([row, *place, city.population, world.region[row], int(world.ids[row])])
    cities = text.getvalue().encode()
    manifest = {
        "cities": len(world),
        "of_atlantis": int(world.atlantis.sum()),
        "sha256": hashlib.sha256(cities).hexdigest(),
        "attribution": world.attribution,
    }
    files = {"cities.csv": cities, "ATTRIBUTION.md": packaged("ATTRIBUTION.md").encode()}
    write_folder(folder / "world", files | {"manifest.json": as_json(manifest | facts)})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a world or of a set; ConfigError if the folder is none."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder}: cannot be read as data of the engine geography_data ({error}); give the "
            "output folder of a finished one"
        ) from error
    if not isinstance(manifest, dict) or "sha256" not in manifest:
        raise ConfigError(f"{folder / 'manifest.json'}: has no key 'sha256'; make the data again")
    return manifest


def as_written(path: Path, sha256: Any) -> bytes:
    """The content of a file; ConfigError if it is gone or not what its manifest says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make the data again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigError(
            f"{path}: is damaged, or was changed after it was made; delete {path.parent} and the "
            "results.json of the data, and make the data again: what is whole is kept"
        )
    return content


def read_world(folder: Path) -> World:
    """The world of a data folder. ConfigError if there is none, or if its cities are not those that
    were written."""
    path = folder / "world"
    manifest = read_manifest(path)
    content = as_written(path / "cities.csv", manifest["sha256"])
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    cities = [
        City(
            geonameid=int(line["geonameid"]),
            name=line["name"],
            country=line["country"],
            continent=line["continent"],
            x=int(line["x"]),
            y=int(line["y"]),
            population=int(line["population"]),
        )
        for line in lines
    ]
    return World(
        cities=cities,
        ids=np.array([line["city_id"] for line in lines], np.int32),
        atlantis=np.array([line["region"] == "atlantis" for line in lines]),
        attribution=manifest["attribution"],
    )


def set_folder(folder: Path, task: str, cities: str) -> Path:
    """Where the three splits of one set lie."""
    return folder / "sets" / f"{task}.{cities}"


def write_set(path: Path, splits: dict[str, Questions], manifest: dict[str, Any]) -> None:
    """Write the splits of a set and its manifest, to which the hashes of the files are added."""
    files = {}
    for split, questions in splits.items():
        files[f"{split}.cities.npy"] = as_npy(questions.cities)
        files[f"{split}.answers.npy"] = as_npy(questions.answers)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    write_folder(path, files | {"manifest.json": as_json({**manifest, "sha256": hashes})})


def read_set(folder: Path, task: str, cities: Cities, split: Split) -> Questions:
    """One split of one set, (n, k) cities and (n,) answers; ConfigError if it is not there."""
    path = set_folder(folder, task, cities)
    if not path.is_dir():
        made = sorted(each.name for each in (folder / "sets").glob("[!.]*"))
        raise ConfigError(
            f"{folder}: has no set {path.name}; it holds {', '.join(made) or 'none'}: add it to "
            "the config that makes the data"
        )
    hashes = read_manifest(path)["sha256"]
    rows, found = (
        as_array(path / name, hashes) for name in (f"{split}.cities.npy", f"{split}.answers.npy")
    )
    if rows.shape != (len(found), TASKS[task].most):
        raise ConfigError(
            f"{path}: {split} has cities of shape {rows.shape} and {len(found)} answers; "
            "make the data again"
        )
    return Questions(task, rows, found)


def as_array(path: Path, hashes: dict[str, str]) -> Any:
    """An array as it was written; ConfigError if it is not. Wrong answers or row numbers would
    otherwise be trained on in silence."""
    content = as_written(path, hashes.get(path.name))
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make the data again") from error


def mixture(
    folder: Path, parts: list[Part], warmup: Warmup, warmup_rows: int, seed: int
) -> list[Questions]:
    """What a model is trained on: rows of training sets, each block in random order.

    Parts of one task and kind of cities share no row. The ``warmup_rows`` of each of the seven
    tasks are drawn from the whole set, so a mixture may hold some rows twice, as the published ones
    do: ``count_distinct`` says how many differ. Which rows a part gets hangs on the seed, its task
    and its kind of cities alone, so that all mixtures of one seed share their warm-up rows.
    ConfigError if a set is too small.
    """
    taken: Counter[tuple[str, str]] = Counter()
    blocks = []
    for part in parts:
        for task in part.names:
            whole = read_set(folder, task, part.cities, "train")
            start = taken[task, part.cities]
            rows = len(whole) - start if part.rows == "all" else part.rows
            if not 0 < rows <= len(whole) - start:
                raise ConfigError(
                    f"mixture: {part.rows} rows of {task}.{part.cities} asked for, and {start} "
                    f"before; its training set has {len(whole)}: ask for fewer, or make data "
                    f"with more (sets.{part.cities}.train)"
                )
            taken[task, part.cities] += rows
            order = stream(seed, "mixture", task, part.cities).permutation(len(whole))
            blocks.append(whole[order[start : start + rows]])
    if warmup != "none":
        blocks += warmup_blocks(folder, WARMUP_CITIES[warmup], warmup_rows, seed)
    return blocks


def warmup_blocks(folder: Path, cities: Cities, rows: int, seed: int) -> list[Questions]:
    """Some rows of each of the seven tasks; ConfigError if a set is too small."""
    blocks = []
    for task in TASKS:
        whole = read_set(folder, task, cities, "train")
        if not 0 < rows <= len(whole):
            raise ConfigError(
                f"warmup_rows: {rows} of {task}.{cities} asked for; its training set has "
                f"{len(whole)}: ask for fewer, or make data with more (sets.{cities}.train)"
            )
        order = stream(seed, "warmup", task, cities).permutation(len(whole))
        blocks.append(whole[order[:rows]])
    return blocks


def count_distinct(questions: list[Questions]) -> int:
    """How many different questions there are, cities in the order in which they are asked."""
    total = 0
    for task in {one.task for one in questions}:
        rows = np.concatenate([one.cities for one in questions if one.task == task])
        # Each row as one value of its bytes: sorting those is far faster than sorting by columns.
        packed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
        total += len(np.unique(packed))
    return total
