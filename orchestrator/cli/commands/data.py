"""`orch data prepare`: problems from GURU files or from the miniature domains into the files that
training and evaluation read."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table


MINIATURE = "miniature"
"""The source that is made on the spot."""


HELD_OUT = 200
"""Problems of validation and of test, per task, if nothing is said."""


def prepare(
    source: str, out: Path, validation: int | None, test: int | None, seed: int
) -> tuple[dict[str, Any], bool]:
    """The manifest of the prepared data in ``out``, and whether it was there before. DataError for
    what the user can mend."""
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError("reading and writing parquet needs pyarrow: run: pip install pyarrow")
    from engines.contract.config import ConfigError

    try:
        if source == MINIATURE:
            return prepare_miniature(out, validation, test, seed)
        return prepare_files(
            source,
            out,
            HELD_OUT if validation is None else validation,
            HELD_OUT if test is None else test,
            seed,
        )
    except (ConfigError, OSError) as error:
        raise DataError(" ".join(str(error).split())) from error


def prepare_files(
    source: str, out: Path, validation: int, test: int, seed: int
) -> tuple[dict[str, Any], bool]:
    """Split raw files. They are told by their content, so that a copy of them elsewhere is the same
    source."""
    from engines.shared.data.preparation import (
        file_hash,
        prepared,
        split_files,
        task_files,
        write_prepared,
    )

    files = task_files(source)
    for path in (path for paths in files.values() for path in paths):
        if not path.is_file():
            raise DataError(f"{source}: {path} is not there")
    hashes = {
        task: [{"name": path.name, "sha256": file_hash(path)} for path in paths]
        for task, paths in files.items()
    }
    request = {
        "source": "files",
        "validation": validation,
        "test": test,
        "seed": seed,
        "files": hashes,
    }
    found = prepared(out, request)
    return (
        (found, True)
        if found
        else (write_prepared(out, request, *split_files(files, validation, test, seed)), False)
    )


def prepare_miniature(
    out: Path, validation: int | None, test: int | None, seed: int
) -> tuple[dict[str, Any], bool]:
    """Write the six small domains, of the sizes that the engine `miniature` makes if nothing else
    is said."""
    from engines.shared.data.preparation import (
        Dropped,
        miniature_parts,
        miniature_sizes,
        prepared,
        write_prepared,
    )

    sizes = miniature_sizes(validation, test)
    request = {"source": MINIATURE, **sizes, "seed": seed}
    found = prepared(out, request)
    if found:
        return found, True
    try:
        parts = miniature_parts(sizes, seed)
    except ValueError as error:
        raise DataError(str(error)) from error
    return write_prepared(out, request, parts, {domain: Dropped() for domain in parts}), False


def counts(manifest: dict[str, Any]) -> Table:
    """Problems per task and split, how many copies were dropped, and how many of those had another
    answer."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("task", "train", "validation", "test", "duplicates dropped", "contradicting"):
        table.add_column(name, justify="left" if name == "task" else "right")
    sizes = {
        (entry["task"], entry["split"]): entry["problems"] for entry in manifest["files"].values()
    }
    rows = [
        [sizes.get((task, split), 0) for split in ("train", "validation", "test")]
        + [one["duplicates"], one["contradictions"]]
        for task, one in manifest["dropped"].items()
    ]
    for task, row in zip(manifest["dropped"], rows, strict=True):
        table.add_row(task, *map(str, row))
    table.add_row("all", *(str(sum(column)) for column in zip(*rows, strict=True)))
    return table


data_app = typer.Typer(
    help="Prepare the data that training and evaluation read.", no_args_is_help=True
)


@data_app.command("prepare")
def data_prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder of GURU files, a data set on the Hugging Face hub, a .yaml file "
            "{task: file or files}, or: miniature."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder to write <task>.train|validation|test.parquet and data.json to."
        ),
    ],
    validation: Annotated[
        int | None, typer.Option(min=0, help="Validation problems per task: 200, of miniature 40.")
    ] = None,
    test: Annotated[
        int | None, typer.Option(min=0, help="Test problems per task: 200, of miniature 60.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides which problem goes where.")] = 0,
) -> None:
    """Split raw problems into files without a problem in common. Done already, it changes
    nothing."""
    from rich.console import Console

    manifest, before = prepare(source, out, validation, test, seed)
    Console().print(counts(manifest))
    print(
        f"{out}: {len(manifest['files'])} files, "
        f"{'prepared before, nothing to do' if before else 'listed in data.json'}"
    )
