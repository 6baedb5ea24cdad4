"""The two sides of a comparison of what commands have measured: ``RUN[:JOB]``.

In: the words, the runs on disk. Out: the config of ``engines.analysis.paired``. Called by
compare.py for runs without evaluations of the engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.spec import Job
from orchestrator.errors import RunError
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.lookup import find_run, named
from orchestrator.runs.run import Run
from orchestrator.scores.evolution import read_evolution
from orchestrator.scores.trainings import evaluations


def run_of(spec: str) -> Run | None:
    """The run that ``RUN[:JOB]`` names, if it has no evaluations of the engine; None if it has
    some, or if a checkpoint or an evaluation's output folder is named."""
    if "@" in spec or (Path(spec) / RESULTS).is_file():
        return None
    run = find_run(spec.partition(":")[0] or None)
    is_judged = read_evolution(run.folder) is not None or bool(evaluations(run))
    return None if is_judged else run


def paired_config(
    specs: tuple[str, str], runs: tuple[Run, Run], metric: str | None
) -> dict[str, Any]:
    """The config that answers the question. RunError if a side has no results, or both are the
    same."""
    sides = [done_jobs(run, spec) for run, spec in zip(runs, specs, strict=True)]
    if runs[0].folder == runs[1].folder and sides[0] == sides[1]:
        raise RunError(f"{specs[0]} and {specs[1]} are the same jobs; name two")
    higher: dict[str, bool] = {}
    for run, jobs in zip(runs, sides, strict=True):
        for stage in dict.fromkeys(job.stage for job in jobs):
            chain = run.plan.chains.get(stage)
            higher |= {} if chain is None else chain.better
    baseline, treatment = (
        {"label": label, "jobs": [source_of(run, job) for job in jobs]}
        for label, run, jobs in zip(specs, runs, sides, strict=True)
    )
    return {"baseline": baseline, "treatment": treatment, "metric": metric, "higher": higher}


def done_jobs(run: Run, spec: str) -> list[Job]:
    """The jobs with results that ``RUN[:JOB]`` names, canaries of no use left out."""
    wanted = named(run, [spec.partition(":")[2]] if ":" in spec else None)
    found = []
    for job in run.plan.jobs:
        is_asked = job.name in wanted if wanted else job.name not in run.plan.short_canaries
        if is_asked and (run.out_folder(job) / RESULTS).is_file():
            found.append(job)
    if not found:
        raise RunError(f"{spec}: no job has left results yet: orch status {run.name}")
    return found


def source_of(run: Run, job: Job) -> dict[str, Any]:
    """A job as an input of the report."""
    return {
        "job": job.name,
        "stage": job.stage,
        "axes": dict(job.axes),
        "folder": str(run.out_folder(job)),
    }
