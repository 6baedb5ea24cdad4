"""Config of the evaluation: which models are scored on which tasks, and how they are sampled.

Light on purpose: the login node checks a config with it, the tasks of a suite included. ``python -m
engines.evaluation CONFIG --out FOLDER`` scores all checkpoints with one vLLM start.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import DECIDES_NO_RESULT, IS_PATH, ConfigError, keys_that_decide
from engines.shared.suites.config import TasksConfig


class Config(TasksConfig):
    """Config of ``python -m engines.evaluation``."""

    DOES: ClassVar[str] = "evaluated"

    models: CheckpointsSource | str = Field(json_schema_extra=IS_PATH)
    """Checkpoints of a job, or one Hugging Face folder."""
    scoring: Literal["strict", "guru"] = "strict"
    """``strict`` says what is right; ``guru`` gives the published GURU scorer's value, defects
    included."""
    scoring_seconds: float = Field(default=10.0, gt=0)
    """Time limit of scoring one sample; programs in the sandbox have their own."""
    scoring_workers: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Scoring processes at a time."""
    allow_weak_sandbox: bool = Field(default=False, json_schema_extra=DECIDES_NO_RESULT)
    """Where neither bubblewrap nor landlock holds: run model-written code with limits on time
    and memory only, rather than not at all. It may then read and write your files. The results
    say so."""
    gpus_per_model: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """GPUs that share one copy of the model (tensor parallel); the GPUs of the job are divided into
    groups of so many."""
    kv_cache_gb: int = Field(default=1, ge=1, json_schema_extra=DECIDES_NO_RESULT)
    """Size of vLLM's cache on the CPU."""
    reuse: list[str] = Field(default_factory=list, json_schema_extra=DECIDES_NO_RESULT)
    """Output folders of other evaluations. Samples that one of them has made of the same weights,
    on the same files, with the same settings are reused. `orch evolve` fills it in. Those that a
    training made itself (its ``evaluate_here``) are found beside its checkpoints."""
    drain_seconds: float = Field(default=20.0, ge=0, json_schema_extra=DECIDES_NO_RESULT)
    """How long samples that are on their way may go on after a signal to stop; then they are given
    up and made again later."""
    probe_tolerance: float = Field(default=0.05, gt=0, json_schema_extra=DECIDES_NO_RESULT)
    """Largest difference of a probe log-probability (nats) after a swap."""

    @model_validator(mode="after")
    def _published_scores(self) -> Config:
        """What one of our users judges has no published version."""
        if self.scoring == "guru" and self.planned_scorers:
            raise ConfigError(
                f"scoring: guru: reward names {', '.join(self.planned_scorers)}, of which there is "
                "no published version; leave it out, or take scoring: strict"
            )
        if self.scoring == "guru" and self.suite_is_known:
            self.refuse_own_scorers()
        return self

    def refuse_own_scorers(self) -> None:
        """ConfigError if a task has a scorer of the user's own: it has one version, and its scores
        among those of the published scorer would look like published ones."""
        suite = self.whole_suite()
        for task in self.tasks or suite.tasks:
            scorer = self.scorer_of(task, suite.settings(task).scorer)
            if scorer in self.own_scorers():
                raise ConfigError(
                    f"scoring: guru: {task} is judged by {scorer}, of which there is no published "
                    "version; choose tasks without it, or scoring: strict"
                )

    def must_be_equal(self) -> dict[str, Any]:
        """The keys of this config that two evaluations must share for their scores to be compared.

        They stand in the facts of the results, so that a report compares evaluations without
        knowing the keys of an evaluation.
        """
        values = self.model_dump(mode="json")
        return {key: values[key] for key in keys_that_decide(type(self)) if key not in MAY_DIFFER}


MAY_DIFFER = ("models", "data", "seed", "planned_suite", "reward", "planned_scorers")
"""Keys that decide the result and may differ between evaluations that are compared: the models are
what is compared, that the problems are the same is seen from their ids, and what a suite's file
said of the sampling stands in the facts of each task, as does who judged it."""
