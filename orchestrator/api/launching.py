"""Launch an experiment from Python, as `orch launch` does without following it.

In: an experiment by name or path, a preset, changed keys, a cluster. Out: the run, submitted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.api.loaded import LoadedRun
from orchestrator.checks.launch import check
from orchestrator.description.catalogue import find_experiment
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError
from orchestrator.lifecycle import retry
from orchestrator.lifecycle.refresh import quiet
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import runs_root


def launch(  # noqa: PLR0913  # the options of `orch launch`
    experiment: str | Path,
    preset: str | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    cluster: str | Path | None = None,
    runs: str | Path | None = None,
    fresh: bool = False,
    tell: Callable[[str], None] = quiet,
) -> LoadedRun:
    """Submit an experiment whole; launched again, it submits only what is neither done nor active.

    Args:
        experiment: name of an experiment in ./jobs or a shipped one, or the path of its file.
        preset: one of the experiment's presets.
        overrides: keys and their values, ``{"train.matrix": {"lr": [0.1]}}``, or texts as ``--set``
            takes them.
        cluster: a profile's name or file, or ``local``; None: your own, as without ``--cluster``.
        runs: the folder of the runs; None: ``$ORCH_RUNS``, else ``./runs``.
        fresh: run again what another run of the same folder has done already.
        tell: gets the lines that `orch launch` prints on its way, such as ``print``.

    Raises:
        OrchError: the description is wrong, something is missing on the cluster (nothing was
            submitted then), or the scheduler refused.
    """
    plan = make_plan(find_experiment(str(experiment)), preset, as_texts(overrides))
    profile = load_profile(None if cluster is None else str(cluster))
    root = runs_root() if runs is None else Path(runs).absolute()
    problems = check(plan, profile, runs=root)
    if problems:
        raise CheckError(*problems, "nothing was submitted")
    run = create_run(replace(plan, reuse=not fresh), profile, root, tell)
    retry.launch(run, tell)
    return LoadedRun(run)


def as_texts(overrides: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Overrides in the words of ``--set``; JSON is YAML."""
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides)
