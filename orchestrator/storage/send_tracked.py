"""Send what trackers have kept in the folders of a run's jobs, after it.

In: a run. Out: offline runs of W&B at its server, by `wandb sync`; MLflow's at the server that
MLFLOW_TRACKING_URI names; trackio's in one folder of the run, from where its own `trackio sync`
goes on. In words what was done, and what cannot be. Called by `orch track sync`.

Jobs that still run are left for later. Secrets stay in the environment: nothing is written of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.contract.counting.counts import counter
from orchestrator.checks.trackers import MODULES, lacking
from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import refresh
from orchestrator.node.tracking.variables import DATABASE, LOCAL, WHO
from orchestrator.runs.record import ACTIVE, Record
from orchestrator.runs.run import Run

SEND = "engines.shared.tracking.send"
AT_ONCE = 50
"""Paths on one command line."""
CODE = Path(__file__).resolve().parents[2]
"""Where the engines lie, if they are not installed."""


@dataclass
class Kept:
    """What the jobs of a run have kept."""

    wandb: list[Path] = field(default_factory=list)
    """Offline folders that were not sent."""
    wandb_sent: int = 0
    mlflow: list[Path] = field(default_factory=list)
    trackio: list[Path] = field(default_factory=list)
    tensorboard: int = 0
    running: list[str] = field(default_factory=list)
    """Jobs that are left for later."""


def kept_by(run: Run, records: Sequence[Record]) -> Kept:
    """Look through the output of every job that does not run."""
    kept = Kept()
    for record in records:
        out = run.out_folder(record)
        if record.state in ACTIVE:
            kept.running.append(record.name)
            continue
        for file in sorted(out.rglob("offline-run-*/run-*.wandb")):
            if file.with_name(f"{file.name}.synced").exists():
                kept.wandb_sent += 1
            else:
                kept.wandb.append(file.parent)
        for base in (out, out / "files"):
            kept.mlflow += [base / DATABASE] if (base / DATABASE).is_file() else []
            kept.trackio += sorted((base / "trackio").glob("*.db"))
        kept.tensorboard += sum(1 for _ in out.rglob("events.out.tfevents.*"))
    return kept


def send(run: Run, tell: Callable[[str], None], dry_run: bool) -> None:
    """Send it, and tell what was done. RunError names at its end what went wrong."""
    records, _ = refresh(run)
    kept = kept_by(run, records)
    problems: list[str] = []
    for name, step in (("wandb", send_wandb), ("mlflow", send_mlflow), ("trackio", send_trackio)):
        if getattr(kept, name):
            try:
                tell(step(run, getattr(kept, name), dry_run))
            except RunError as error:
                problems += error.lines
    if kept.wandb_sent:
        tell(f"wandb: {kept.wandb_sent} offline runs were sent before")
    if kept.tensorboard:
        tell(f"tensorboard: nothing to send; tensorboard --logdir {run.folder / 'jobs'}")
    if kept.running:
        tell(f"left for later, they still run: {', '.join(kept.running)}")
    if not (kept.wandb or kept.wandb_sent or kept.mlflow or kept.trackio or kept.tensorboard):
        tell(f"{run.name}: its jobs have kept nothing of W&B, MLflow, trackio or TensorBoard")
    if problems:
        raise RunError(*problems)


def send_wandb(run: Run, folders: Sequence[Path], dry_run: bool) -> str:
    """By `wandb sync`, which knows what it has sent; the starts of one job go together, in order of
    their time."""
    found = f"wandb: {len(folders)} offline runs"
    if dry_run:
        return f"{found} would be sent"
    python = python_with(run, "wandb")
    count = counter("sending to wandb", len(folders))
    for first in range(0, len(folders), AT_ONCE):
        paths = [str(folder) for folder in folders[first : first + AT_ONCE]]
        called("wandb", [python, "-m", "wandb", "sync", *paths], run)
        count(len(paths))
    return f"{found} sent"


def send_mlflow(run: Run, databases: Sequence[Path], dry_run: bool) -> str:
    """To the server that the environment names."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or run.profile.environment.get(
        "MLFLOW_TRACKING_URI", ""
    )
    uri = os.path.expandvars(uri)
    if not uri:
        raise RunError(
            f"mlflow: {len(databases)} databases, and no server is named: MLFLOW_TRACKING_URI=URI "
            f"orch track sync {run.name}; or look at one: mlflow ui --backend-store-uri "
            f"sqlite:///{databases[0]}"
        )
    found = f"mlflow: {len(databases)} databases"
    if dry_run:
        return f"{found} would be sent to the server of MLFLOW_TRACKING_URI"
    said = gathered("mlflow", run, databases, MLFLOW_TRACKING_URI=uri)
    return f"{found} sent to the server of MLFLOW_TRACKING_URI: {said}"


def send_trackio(run: Run, databases: Sequence[Path], dry_run: bool) -> str:
    """Into one folder: trackio sends one database, and each would go over the one before."""
    folder = run.folder / "trackio"
    if dry_run:
        return f"trackio: {len(databases)} databases would be gathered in {folder}"
    shutil.rmtree(folder, ignore_errors=True)
    said = gathered("trackio", run, databases, TRACKIO_DIR=str(folder))
    project, with_them = databases[0].stem, f"TRACKIO_DIR={folder} trackio"
    return (
        f"trackio: {said} in {folder}; look at them: {with_them} show --project {project}; send "
        f"them: {with_them} sync --project {project} --space-id NAME"
    )


def gathered(name: str, run: Run, databases: Sequence[Path], **where: str) -> str:
    """Have the library bring databases where a variable of its own says; in words how many runs
    they had. A server's address may hold a password, so it stays out of the command line."""
    python = python_with(run, name)
    program = [python, "-P", "-m", SEND, name]
    total = 0
    count = counter(f"sending to {name}", len(databases))
    for first in range(0, len(databases), AT_ONCE):
        paths = [str(database) for database in databases[first : first + AT_ONCE]]
        said = called(name, [*program, *paths], run, **where)
        count(len(paths))
        # Among what the library says of itself.
        total += sum(int(count) for count in re.findall(r"^runs: (\d+)$", said, re.MULTILINE))
    return f"{total} runs"


def python_with(run: Run, name: str) -> str:
    """A Python that has the library: the jobs' own, else that of orch."""
    for python in dict.fromkeys((run.profile.host_python, sys.executable)):
        if shutil.which(python) and not lacking(python, MODULES[name]):
            return python
    raise RunError(
        f"{name}: neither the jobs' Python nor {sys.executable} has {', '.join(MODULES[name])}: "
        "install it"
    )


def called(name: str, command: list[str], run: Run, **variables: str) -> str:
    """Run a program; what it says. RunError if it fails."""
    # Names and modes of a shell would change the runs that are sent.
    kept = {key: value for key, value in os.environ.items() if key not in (*WHO, *LOCAL)}
    path = os.pathsep.join(filter(None, (str(CODE), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        env={**kept, **variables, "PYTHONPATH": path},
        cwd=run.folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        last = said[-1] if said else "it says nothing"
        for variable, value in variables.items():
            last = last.replace(value, f"${variable}")
        raise RunError(f"{name}: could not be sent: {last}")
    return done.stdout
