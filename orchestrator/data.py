"""`orch data prepare`: problems from GURU files or from the miniature domains into the files that training and evaluation read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

MINIATURE = "miniature"
"""The source that is made on the spot."""

HELD_OUT = 200
"""Problems of validation and of test, per task, if nothing is said."""


def prepare(source: str, out: Path, validation: int | None, test: int | None, seed: int) -> tuple[dict[str, Any], bool]:
    """The manifest of the prepared data in ``out``, and whether it was there before. DataError for what the user can mend."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError("reading and writing parquet needs pyarrow: run: pip install pyarrow")
    from engines.io import ConfigError

    try:
        if source == MINIATURE:
            return prepare_miniature(out, validation, test, seed)
        return prepare_files(source, out, HELD_OUT if validation is None else validation, HELD_OUT if test is None else test, seed)
    except (ConfigError, OSError) as error:
        raise DataError(" ".join(str(error).split())) from error


def prepare_files(source: str, out: Path, validation: int, test: int, seed: int) -> tuple[dict[str, Any], bool]:
    """Split raw files. They are told by their content, so that a copy of them elsewhere is the same source."""
    from engines.preparation import file_hash, prepared, split_files, task_files, write_prepared

    files = task_files(source)
    for path in (path for paths in files.values() for path in paths):
        if not path.is_file():
            raise DataError(f"{source}: {path} is not there")
    hashes = {task: [{"name": path.name, "sha256": file_hash(path)} for path in paths] for task, paths in files.items()}
    request = {"source": "files", "validation": validation, "test": test, "seed": seed, "files": hashes}
    found = prepared(out, request)
    return (found, True) if found else (write_prepared(out, request, *split_files(files, validation, test, seed)), False)


def prepare_miniature(out: Path, validation: int | None, test: int | None, seed: int) -> tuple[dict[str, Any], bool]:
    """Write the six small domains, of the sizes that the engine `miniature` makes if nothing else is said."""
    from engines.miniature import DOMAINS, Config
    from engines.miniature.domains import splits
    from engines.preparation import Dropped, prepared, write_prepared

    default = Config()
    sizes = {"train": default.train_problems, "validation": default.validation_problems if validation is None else validation,
             "test": default.test_problems if test is None else test}
    request = {"source": MINIATURE, **sizes, "seed": seed}
    found = prepared(out, request)
    if found:
        return found, True
    try:
        parts = {domain: splits(domain, sizes, seed) for domain in DOMAINS}
    except ValueError as error:
        raise DataError(str(error)) from error
    return write_prepared(out, request, parts, {domain: Dropped() for domain in DOMAINS}), False


def counts(manifest: dict[str, Any]) -> Table:
    """Problems per task and split, how many copies were dropped, and how many of those had another answer."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("task", "train", "validation", "test", "duplicates dropped", "contradicting"):
        table.add_column(name, justify="left" if name == "task" else "right")
    sizes = {(entry["task"], entry["split"]): entry["problems"] for entry in manifest["files"].values()}
    rows = [[sizes.get((task, split), 0) for split in ("train", "validation", "test")] + [one["duplicates"], one["contradictions"]]
            for task, one in manifest["dropped"].items()]
    for task, row in zip(manifest["dropped"], rows, strict=True):
        table.add_row(task, *map(str, row))
    table.add_row("all", *(str(sum(column)) for column in zip(*rows, strict=True)))
    return table
