"""`orch data prepare`: problems from GURU files or from the miniature domains into the files that
training and evaluation read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from engines.contract.config import ConfigError
from engines.shared.data.preparation import SPLITS, prepare
from orchestrator.errors import DataError
from orchestrator.views.busy.line import busy
from orchestrator.views.tables.columns import Column, Kind
from orchestrator.views.tables.drawing import drawn_lines, screen_of, show

data = typer.Typer(help="Prepare the data that training and evaluation read.", no_args_is_help=True)


@data.command("prepare")
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
    try:
        with busy(f"preparing {source}"):
            manifest, before = prepare(source, out, validation, test, seed)
    except (ConfigError, OSError) as error:
        raise DataError(" ".join(str(error).split())) from error
    console = Console()
    show(console, drawn_lines(counts(manifest), screen_of(console)))
    # Folders that were prepared before there was this check do not have it.
    if manifest.get("near_copies"):
        print(
            "warning: training problems that nearly repeat one of validation or test; nothing was "
            f"dropped: {manifest['near_copies']}"
        )
    done = "prepared before, nothing to do" if before else "listed in data.json"
    print(f"{out}: {len(manifest['files'])} files, {done}")


def counts(manifest: dict[str, Any]) -> list[Column]:
    """Problems per task and split, how many copies were dropped, and how many of those had another
    answer."""
    sizes = {}
    for entry in manifest["files"].values():
        sizes[entry["task"], entry["split"]] = entry["problems"]
    rows = {}
    for task, dropped in manifest["dropped"].items():
        problems = [sizes.get((task, split), 0) for split in SPLITS]
        rows[task] = [*problems, dropped["duplicates"], dropped["contradictions"]]
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    columns = [Column(name="task", kind=Kind.KEY, cells=tuple(rows))]
    heads = (*SPLITS, "duplicates dropped", "contradicting")
    for head, cells in zip(heads, zip(*rows.values(), strict=True), strict=True):
        columns.append(Column(name=head, kind=Kind.NUMBER, cells=tuple(map(str, cells))))
    return columns
