"""`orch launch`: submit an experiment whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.arguments import AsJson, ClusterName, Experiment, Preset, Set
from orchestrator.cli.commands.watch import follow
from orchestrator.cli.shared import planned, problems
from orchestrator.errors import CheckError

if TYPE_CHECKING:
    from orchestrator.description.profile import Profile
    from orchestrator.planning.plan import Plan


def launch(
    experiment: Experiment,
    preset: Preset = None,
    overrides: Set = None,
    cluster: ClusterName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the exact scripts and submit nothing.")
    ] = False,
    watch: Annotated[
        bool | None,
        typer.Option("--watch/--no-watch", help="Follow the run; the default on a terminal."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit an experiment whole. Launched again, it submits only what is neither done nor
    active."""
    from orchestrator.description.profile import load_profile
    from orchestrator.lifecycle.retry import submit_eligible
    from orchestrator.runs.create import create_run
    from orchestrator.runs.lookup import runs_root

    made, profile = planned(experiment, preset, overrides), load_profile(cluster)
    if dry_run:
        print_scripts(made, profile)
        return
    found = problems(made, profile)
    if found:
        raise CheckError(*found, "nothing was submitted")
    quiet = as_json or (watch is not False and sys.stdout.isatty())
    tell = (lambda _: None) if quiet else print
    run = create_run(made, profile, runs_root(), tell)
    records = submit_eligible(run, tell)
    if as_json:
        from orchestrator.views.status import document

        print(json.dumps(document(run, records, ""), indent=1))
        return
    submitted = sum(record.source == "orch" and record.state == "PENDING" for record in records)
    done = sum(record.state == "COMPLETED" for record in records)
    print(
        f"{run.name}: {submitted} jobs submitted, {done} of {len(records)} done before; "
        f"look at it: orch status {run.name}"
    )
    if watch or (watch is None and sys.stdout.isatty()):
        raise typer.Exit(follow(run))


def print_scripts(made: Plan, profile: Profile) -> None:
    """Every script as a launch would submit it, an array's once, with the ids of earlier jobs as
    names."""
    import tempfile

    from msgspec.structs import replace

    from orchestrator.clusters.select import cluster_of
    from orchestrator.lifecycle.batching import make_batches, waits_for
    from orchestrator.runs.create import create_run
    from orchestrator.runs.lookup import runs_root

    with tempfile.TemporaryDirectory() as folder:
        run = create_run(made, profile, Path(folder))
        cluster = cluster_of(run)
        by_name = {record.name: record for record in run.load()}
        for batch in make_batches(run, list(by_name.values()), set(by_name), cluster.array_size()):
            ids = batch.ids(f"<id of {batch.title}>")
            text = cluster.script(batch, waits_for(batch, by_name))
            by_name.update(
                (record.name, replace(record, job_id=own))
                for record, own in zip(batch.records, ids, strict=True)
            )
            print(
                "# ---- "
                f"{batch.title}\n{text.replace(str(run.folder.parent.parent), str(runs_root()))}"
            )
            if batch.indexes or batch.packed:
                print(
                    "".join(
                        f"# {own}: {record.name}\n"
                        for record, own in zip(batch.records, ids, strict=True)
                    ),
                    end="",
                )
