"""Which of the run's own evaluations score which checkpoints, where these are commands.

In: the evolution, a training with its checkpoints, the evaluations of the run. Out: new parts in
the evolution, each of one checkpoint; what the run has scored itself. Called by evolve.py with the
run's lock held.
"""

from __future__ import annotations

from collections.abc import Iterable

from engines.contract.checkpoint_formats import Located
from jobs.spec import Job
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.provenance.launches import Tell
from orchestrator.runs.run import Run
from orchestrator.scores.checkpoints import Training
from orchestrator.scores.evaluation_jobs import assign
from orchestrator.scores.evolution import (
    Evolution,
    ScoreLocation,
    SeenCheckpoint,
    score_key,
)
from orchestrator.scores.results import Listed, whole_results
from orchestrator.scores.trainings import source_folder


def scoring(source: Run | None, training: Training, own: Iterable[Job], tell: Tell) -> list[Job]:
    """Those of the run's own evaluations that are for a training and have what they need beside its
    checkpoints."""
    if source is None:
        return []
    found = []
    for job in own:
        if source_folder(job) != training.out.resolve():
            continue
        others = [name for name in job.after if name != training.name]
        missing = [name for name in others if not source.results(source.by_name[name]).exists()]
        if missing:
            tell(f"{training.name}: {job.name} needs {', '.join(missing)} too; call again then")
        else:
            found.append(job)
    if not found:
        tell(f"{training.name}: the run has no evaluation that is for it; not scored")
    return found


def take_own(
    evolution: Evolution,
    training: Training,
    here: dict[str, Located],
    chosen: list[SeenCheckpoint],
    own: list[Job],
    tell: Tell,
) -> None:
    """Take the chosen checkpoints of one training, one in each job, since the rows of a command do
    not say of which checkpoint they are; and say how many."""
    evolution.scorers[training.name] = [job.name for job in own]
    before = set(evolution.taken)
    to_score = 0
    for job in own:
        wanted = [
            one
            for one in chosen
            if one.checkpoint in here or score_key(one.fingerprint, job.name) in evolution.scored
        ]
        axes = {**training.axes, **job.axes}
        to_score += len(assign(evolution, training.name, axes, wanted, 1, job.name))
    new = len(set(evolution.taken) - before)
    tell(
        f"{training.name}: {len(here)} checkpoints on disk, {new} new "
        f"to the evolution, {to_score} to score"
    )


def adopt_own(evolution: Evolution, run: Run, own: Iterable[Job], tell: Tell) -> None:
    """Take over what the run's own command has scored: a job that was for one checkpoint."""
    for job in own:
        out = run.out_folder(job)
        if not (out / RESULTS).exists():
            continue
        read = whole_results(out, job.name, Listed)
        listed = [] if read is None else read[1]["facts"].get("checkpoints", [])
        # Of several its rows do not say which is which; an older version did not note them.
        if len(listed) != 1 or not listed[0].get("fingerprint"):
            continue
        key = score_key(listed[0]["fingerprint"], job.name)
        if key not in evolution.scored:
            evolution.scored[key] = ScoreLocation(
                folder=str(out), checkpoint=listed[0]["name"], job=None, axes=dict(job.axes)
            )
            tell(
                f"{job.name} of the run has scored {listed[0]['name']} with the same command: "
                "reused, not scored again"
            )
