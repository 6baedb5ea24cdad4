"""Find a run by what a person typed, and list all runs."""

from __future__ import annotations

import os
from pathlib import Path

from engines.contract.nearest import near
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from orchestrator.runs.plan_file import PlanFile, read_plan
from orchestrator.runs.run import Run


def runs_root() -> Path:
    """Where runs lie: ``ORCH_RUNS``, else ``./runs``."""
    return Path(os.environ.get("ORCH_RUNS", "runs")).absolute()


def open_run(folder: Path) -> Run:
    """A run from its folder."""
    return run_of(folder, read_plan(folder))


def run_of(folder: Path, held: PlanFile) -> Run:
    """A run from what its plan file holds."""
    return Run(
        folder.resolve(), held.plan, Profile(**held.profile), held.uid, held.cwd, held.created
    )


def all_runs(root: Path) -> list[Path]:
    """Run folders below ``root``, newest launch last."""
    return sorted(
        (path.parent for path in root.glob("*/*/plan.json")),
        key=lambda path: (path / "plan.json").stat().st_mtime,
    )


def find_run(name: str | None, root: Path | None = None) -> Run:
    """The run called ``name``: a path, ``experiment/run``, or an experiment (its newest run);
    without a name the newest of all that has jobs."""
    root = root or runs_root()
    if name is not None and (Path(name) / "plan.json").exists():
        return open_run(Path(name))
    runs = all_runs(root)
    if not runs:
        raise RunError(
            f"{root}: no run here yet; launch one: orch launch EXPERIMENT (or set "
            "ORCH_RUNS to where your runs are)"
        )
    fitting = [
        path
        for path in runs
        if name in (None, path.parent.name, f"{path.parent.name}/{path.name}", path.name)
    ]
    if not fitting:
        known = {
            *(f"{path.parent.name}/{path.name}" for path in runs),
            *(path.parent.name for path in runs),
        }
        raise RunError(f"no run '{name}' in {root}{near(name, known)}")
    if name is None:  # an evolution before its first checkpoint is no run that anybody means
        return next(
            (run for path in reversed(fitting) if (run := open_run(path)).plan.jobs),
            open_run(fitting[-1]),
        )
    return open_run(fitting[-1])
