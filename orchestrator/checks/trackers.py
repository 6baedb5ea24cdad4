"""Look whether the trackers that a plan chooses can be had, as far as that is known here.

In: a plan and a cluster's profile. Out: one line for each thing that will be missing; none of them
keeps a launch back, because no tracker makes a job fail. Called by `orch check` and `orch launch`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.description.profile import Profile
from orchestrator.planning.plan import Plan
from orchestrator.runs.tracking.settings import wanted

MODULES = {
    "wandb": ("wandb",),
    # mlflow-skinny alone has no database.
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
    "tensorboard": ("tensorboard",),
    "trackio": ("trackio",),
}
"""What each is imported as, with what its files need."""
SERVERS = {
    "mlflow": ("MLFLOW_TRACKING_URI",),
    "trackio": ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"),
}
"""The variables that name a server, of those that know none by themselves."""
SEARCH = (
    "import importlib.util, sys\n"
    "print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])"
)
SECONDS = 20.0


def trackers(plan: Plan, profile: Profile) -> Iterator[str]:
    """What is missing: libraries, of engines whose Python is known, and servers."""
    track = wanted(plan, profile)
    yield from libraries(plan, profile, track["to"])
    for name in track["to"]:
        variables = SERVERS.get(name, ())
        said = {*os.environ, *profile.environment}
        if track["online"] and variables and said.isdisjoint(variables):
            yield (
                f"track: {name} is to go online, and {' or '.join(variables)} is not set: its "
                "points stay in the jobs' own folders"
            )


def libraries(plan: Plan, profile: Profile, to: Sequence[str]) -> Iterator[str]:
    """Libraries that the Python of an engine has not."""
    known: dict[str, list[str]] = {}
    options = {job.stage: job.options for job in plan.jobs if job.engine is not None}
    for stage, own in options.items():
        python = python_of(profile.with_options(own))
        if to and python is not None:
            known.setdefault(python, []).append(stage)
    for python, stages in known.items():
        missing = lacking(python, [module for name in to for module in MODULES[name]])
        for name in to:
            modules = [module for module in MODULES[name] if module in missing]
            if modules:
                yield (
                    f"track: {python} ({', '.join(stages)}) cannot import {', '.join(modules)}: "
                    f"the jobs run without {name}; install it there, or take it out of 'track'"
                )


def python_of(profile: Profile) -> str | None:
    """The Python of the jobs; None where lines of set-up or a container decide that."""
    if profile.wrap:
        return None
    if profile.python is None:
        return sys.executable
    return profile.python if Path(profile.python).is_absolute() else None


def lacking(python: str, modules: Sequence[str]) -> set[str]:
    """Those of the modules that it does not find; none where it cannot be asked here."""
    try:
        # Isolated: the folder that orch was called in is not a job's.
        asked = subprocess.run(
            [python, "-I", "-c", SEARCH, *modules],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return set()
    return set(asked.stdout.split())
