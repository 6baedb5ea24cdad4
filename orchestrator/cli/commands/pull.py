"""`orch pull`: bring a run home from another machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.runs.copies import pull as copies


def pull(
    source: Annotated[
        str,
        typer.Argument(
            metavar="HOST:RUN",
            help="A host that ssh knows ([user@]name), and the run's folder there: absolute, or "
            "below the home folder.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the copy; without it runs/EXPERIMENT/RUN, as if it were launched "
            "here."
        ),
    ] = None,
    checkpoints: Annotated[
        bool,
        typer.Option(
            "--with-checkpoints/--without-checkpoints",
            help="Whether checkpoints come along; their size is printed either way.",
        ),
    ] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of ssh there, as ssh -p.")
    ] = None,
) -> None:
    """Bring a run here from another machine, by rsync over ssh. Results, logs and checkpoints come
    along; after an interruption it continues where it was. status, results, page and report work on
    the copy, which nothing here starts, ends or changes. The same command again brings what is
    new."""
    on_terminal = sys.stdout.isatty()
    copy = copies.pull(copies.Source.parse(source, port), to, checkpoints, print, on_terminal)
    named = copy.name if to is None else copy.folder
    print(f"{named}: {copy.origin}; see it: orch status {named}")
