"""Find a run by what a person typed, and list all runs.

In goes a name, a path or nothing; out comes a ``Run``. Every command that works on a run calls
``find_run``.
"""

from __future__ import annotations

import os
from pathlib import Path

from engines.contract.words import near
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
        # By plan.json: it appears last, so a folder without it is no run yet. A relaunch writes it
        # anew, which makes that run the newest.
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
    fitting = [path for path in runs if name is None or name in names_of(path)]
    if not fitting:
        # Without the folder's name alone, which ends in a hash that nobody types by heart.
        known = {known for path in runs for known in names_of(path)[:2]}
        raise RunError(f"no run '{name}' in {root}{near(name or '', known)}")
    if name is None:
        # An evolution before its first checkpoint is no run that anybody means.
        for path in reversed(fitting):
            run = open_run(path)
            if run.plan.jobs:
                return run
    # Several fit if an experiment was named: its newest run is meant.
    return open_run(fitting[-1])


def names_of(path: Path) -> tuple[str, str, str]:
    """What a run may be called: by its experiment, in full, or by its folder alone."""
    return path.parent.name, f"{path.parent.name}/{path.name}", path.name
