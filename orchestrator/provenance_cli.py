"""`orch rerun`, `orch diff` and `orch profile`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.arguments import AsJson, ClusterName, Set

Named = Annotated[str, typer.Argument(help="experiment (its newest run), experiment/run, or a run's folder.")]
profile_app = typer.Typer(help="Cluster profiles.", no_args_is_help=True)


def rerun(run: Named, overrides: Set = None,
          code: Annotated[Literal["present", "launched"], typer.Option(help="The code as it is now, or as it was launched.")] = "present",
          cluster: ClusterName = None) -> None:
    """Run a recorded experiment once more, as a run of its own, from the description that the run keeps."""
    from orchestrator.profile import load_profile
    from orchestrator.rerun import rerun as again
    from orchestrator.run import find_run, runs_root
    from orchestrator.submit import submit_eligible

    found = find_run(run)
    made = again(found, runs_root(), overrides or [], load_profile(cluster) if cluster else None, code == "launched", print)
    records = submit_eligible(made, print)
    print(f"{made.name}: {len(records)} jobs; look at it: orch status {made.name}; compare: orch diff {found.name} {made.name}")


def diff(a: Named, b: Named, as_json: AsJson = False) -> None:
    """Show what differs between two runs: jobs, configs, resources, cluster, code, packages, results."""
    from orchestrator.differences import differences, render
    from orchestrator.run import find_run

    one, other = find_run(a), find_run(b)
    found = differences(one, other)
    if as_json:
        print(json.dumps({"a": one.name, "b": other.name, "differences": [asdict(each) for each in found]}, indent=1))
        return
    from rich.console import Console

    Console().print(render(one, other, found))


@profile_app.command("init")
def profile_init(
        out: Annotated[Path | None, typer.Option("--out", help="File to write; ~/.config/orch/cluster.yaml without it.")] = None,
        partition: Annotated[str | None, typer.Option(help="Which partition, where there are several.")] = None,
        account: Annotated[str | None, typer.Option(help="Which account, where you have several.")] = None,
        qos: Annotated[str | None, typer.Option(help="A quality of service other than Slurm's default for you.")] = None,
        gpu_type: Annotated[str | None, typer.Option(help="Which GPU type, where the partition has several.")] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False) -> None:
    """Write a profile of this cluster from what sinfo, scontrol and sacctmgr say. Where there is a choice it names the choices."""
    from orchestrator.profile import USER_FILE
    from orchestrator.site import Wanted, init

    wanted = Wanted(partition=partition, account=account, qos=qos, gpu_type=gpu_type)
    print("\n".join(init(out or USER_FILE.expanduser(), force, wanted)))


@profile_app.command("list")
def profile_list() -> None:
    """List the profiles: your own in ~/.config/orch, and the shipped ones."""
    from orchestrator.errors import OrchError
    from orchestrator.profile import known_profiles, load_profile

    for name, path in known_profiles().items():
        try:
            about = load_profile(str(path)).about
        except OrchError as error:
            about = f"cannot be used: {error.lines[0]}"
        print(f"{name}: {about}")
