"""`orch profile init` and `orch profile list`: profiles of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.checks.new_profile import Wanted, init
from orchestrator.cli.arguments import AsJson
from orchestrator.cli.json_output import print_json
from orchestrator.description.profile_reader import known_profiles, load_profile, user_file
from orchestrator.errors import OrchError

profile = typer.Typer(help="Write and list the profiles of clusters.", no_args_is_help=True)


@profile.command("init")
def profile_init(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write; ~/.config/orch/cluster.yaml without it."),
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="Which partition, where there are several.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Which account, where you have several.")
    ] = None,
    qos: Annotated[
        str | None, typer.Option(help="A quality of service other than Slurm's default for you.")
    ] = None,
    gpu_type: Annotated[
        str | None, typer.Option(help="Which GPU type, where the partition has several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a profile of this cluster from what sinfo, scontrol and sacctmgr say. Where there is a
    choice it names the choices."""
    wanted = Wanted(partition=partition, account=account, qos=qos, gpu_type=gpu_type)
    print("\n".join(init(out or user_file(), force, wanted)))


@profile.command("list")
def profile_list(as_json: AsJson = False) -> None:
    """List the profiles: your own in ~/.config/orch, and the shipped ones."""
    entries = []
    for name, path in known_profiles().items():
        about, trouble = "", None
        try:
            about = load_profile(str(path)).about
        except OrchError as error:
            trouble = error.lines[0]
        entries.append({"name": name, "path": str(path), "about": about, "error": trouble})
    if as_json:
        print_json("profiles", {"profiles": entries})
        return
    for one in entries:
        words = one["about"] if one["error"] is None else f"cannot be used: {one['error']}"
        print(f"{one['name']}: {words}")
