"""What an evolution remembers, in ``evolution.json`` of its run folder.

In and out: the file. An evolution scores the checkpoints of trainings while they run and after. It
is a run like any other, whose plan grows: every call adds the checkpoints that are new. A
checkpoint is its content: the same weights are scored once, whoever made them, however often one
calls. Used by everything in this package: selection.py chooses among what is known,
evaluation_jobs.py makes the jobs, evolve.py and compare.py read and write.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from jobs.stages import Point
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.runs.copies.moved import is_elsewhere, paths_here
from orchestrator.runs.documents.reading import content_of, decoded
from orchestrator.runs.plan_file import written_for
from orchestrator.runs.run import EVOLUTION

START = "start"
"""Name of the model that a training began with."""


class SeenCheckpoint(BaseModel):
    """A checkpoint that was on disk at some call; it may be gone since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: str
    """Name of the training job, or the folder it was found below."""
    axes: Point
    checkpoint: str
    step: int
    epoch: int
    fingerprint: str
    model: str
    """The folder with the weights."""
    stamp: str
    """Sizes and times of its weight files: while they stay, so does the fingerprint."""
    metrics: dict[str, float] = {}
    rank_by: str | None = None
    better: Literal["higher", "lower"] | None = None


class EvaluationPart(BaseModel):
    """One evaluation job of the evolution: some checkpoints of one training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    training: str
    axes: Point
    folder: str
    """Below the run folder."""
    checkpoints: dict[str, str]
    """Name -> fingerprint."""
    by: str = ""
    """The job of the followed run whose command scores them; empty: the engine does."""


class ScoreLocation(BaseModel):
    """Where the scores of some weights lie, or will lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    """Output folder of the evaluation; one of this evolution's begins with ``{run}``."""
    checkpoint: str
    """Its name there."""
    job: str | None
    """The evaluation job of this evolution; None for a finished job of the training's own run."""
    axes: Point | None = None
    """Where a command scores: the axes of its evaluation, which may have some of its own."""


class ReportJob(BaseModel):
    """One report job; a later one shows more checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    """How many of the taken checkpoints it shows."""
    config: dict[str, Any]
    after: tuple[str, ...]


class Evolution(BaseModel):
    """Everything that an evolution has to remember."""

    model_config = ConfigDict(extra="forbid")

    source: str | None
    """Folder of the run whose trainings are followed."""
    folders: list[str]
    """Other folders whose checkpoints are followed."""
    known: list[SeenCheckpoint] = []
    parts: list[EvaluationPart] = []
    scored: dict[str, ScoreLocation] = {}
    """By fingerprint; where commands score, by fingerprint and whose command (``score_key``)."""
    scorers: dict[str, list[str]] = {}
    """Training -> the jobs of the followed run whose commands score it; not there: the engine."""
    taken: list[tuple[str, str]] = []
    """(training, checkpoint) that the report shows."""
    pruned: list[str] = []
    """In words: checkpoints that were deleted before they were scored."""
    reports: list[ReportJob] = []

    @model_validator(mode="after")
    def holds_together(self) -> Evolution:
        """ValueError where one part names what another part has not."""
        known = {(one.training, one.checkpoint) for one in self.known}
        unknown = [key for key in self.taken if key not in known]
        if unknown:
            raise ValueError(f"it shows the checkpoint {unknown[0]}, which it has not seen")
        return self

    def of(self, training: str) -> list[SeenCheckpoint]:
        """The checkpoints of one training, lowest step first."""
        seen = [one for one in self.known if one.training == training]
        return sorted(seen, key=lambda one: (one.step, one.checkpoint))

    def shown(self) -> list[SeenCheckpoint]:
        """The checkpoints that the report shows, in the order in which they were taken."""
        by_key = {(one.training, one.checkpoint): one for one in self.known}
        return [by_key[key] for key in self.taken]

    def scored_weights(self) -> set[str]:
        """Fingerprints that somebody has scored, or will."""
        return {key.partition(" ")[0] for key in self.scored}

    def forget(self, part: EvaluationPart, checkpoint: str) -> None:
        """Take a checkpoint out again that was deleted before its weights could be linked."""
        # The part is frozen, which protects its fields and not what is in its dictionary.
        fingerprint = part.checkpoints.pop(checkpoint)
        self.scored.pop(score_key(fingerprint, part.by), None)
        # The same weights may be known by several names; none of them has a score to show now.
        same = {
            (one.training, one.checkpoint)
            for one in self.known
            if one.fingerprint == fingerprint and (not part.by or one.training == part.training)
        }
        self.taken = [key for key in self.taken if key not in same]


def score_key(fingerprint: str, by: str) -> str:
    """Under which key of ``scored`` it stands where some weights were scored.

    Args:
        by: the job whose command scores them; empty: the engine, for which equal weights are the
            same whoever made them.
    """
    return f"{fingerprint} {by}" if by else fingerprint


def read_evolution(folder: Path) -> Evolution | None:
    """The evolution in a run folder; None if the run is none."""
    path = folder / EVOLUTION
    try:
        values = decoded(content_of(path), dict[str, Any])
        before = written_for(folder)
        if is_elsewhere(before, folder.resolve()):
            values = paths_here(values, before, folder.resolve())
        return Evolution.model_validate(values)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(
            f"{path}: {str(error).splitlines()[0]}: what was scored cannot be known; remove the "
            f"run ({folder}) and call orch evolve again: scores that are there are reused"
        ) from error


def write_evolution(folder: Path, evolution: Evolution) -> None:
    """Write ``evolution.json`` whole. Only with the run's lock held."""
    write_json(folder / EVOLUTION, evolution.model_dump(mode="json"))
