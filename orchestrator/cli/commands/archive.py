"""`orch archive`: a run as one file, and what such a file holds."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.arguments import AsJson, DryRun
from orchestrator.cli.json_output import print_json
from orchestrator.cli.shared import print_taken
from orchestrator.runs.lookup import find_run, runs_root
from orchestrator.views.busy.line import busy

SHOWN_ROWS = 40


def archive(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FILE",
            help="experiment (its newest run), experiment/run, or a run's folder; or an archive, "
            "which is shown.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The file; archives/ beside the runs without it."),
    ] = None,
    without_checkpoints: Annotated[
        bool,
        typer.Option("--without-checkpoints", help="Leave the checkpoints out: they go for good."),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the run where it is, too.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put a run into one tar file, and remove its folder. The folder goes once every byte was read
    back. Of such a file it shows what it contains. A run that is active, or that another run needs,
    stays: then the exit code is 2."""
    # Late, because the shell imports this module for every TAB after the command's name.
    import orchestrator.storage.archive as storage

    if Path(run).is_file():
        show(Path(run), storage.read_manifest(Path(run)), as_json)
        return
    found = find_run(run)
    file = out or runs_root() / "archives" / f"{found.name.replace('/', '--')}.tar"
    with busy(f"archiving {found.name}", not (as_json or dry_run)):
        taken = storage.archive(found, file.absolute(), not without_checkpoints, keep, dry_run)
    print_taken(found, taken, dry_run=dry_run, as_json=as_json, archive=str(file.absolute()))


def show(file: Path, says: dict[str, Any], as_json: bool) -> None:
    """What an archive says of itself."""
    if as_json:
        print_json("archive", {"file": str(file.absolute()), **says})
        return
    counts = Counter(job["state"] for job in says["jobs"])
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(says["archived"]))
    size = sum(says["files"].values())
    kept = "with" if says["checkpoints"] else "without"
    print(f"{says['run']} on {says['cluster']}: {states}; archived {when}")
    print(f"{len(says['files'])} files, {size / 1e6:.1f} MB, {kept} checkpoints")
    for row in says["rows"][:SHOWN_ROWS]:
        value = row["error"] if row["value"] is None else f"{row['value']:g}"
        print(f"{row['job']} {row['metric']}: {value}")
    if len(says["rows"]) > SHOWN_ROWS:
        print(f"and {len(says['rows']) - SHOWN_ROWS} more results; --json has all")
    print(f"to bring it back: tar -xf {file} -C {runs_root()}")
