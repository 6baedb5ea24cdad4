"""Config of the evaluation: which models are scored on which tasks, and how they are sampled.

Light on purpose: the login node checks a config with it, the tasks of a suite included. ``python -m
engines.evaluation CONFIG --out FOLDER`` scores all checkpoints with one vLLM start.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engines.contract.checkpoints import CheckpointsSource
from engines.contract.config import (
    DECIDES_NO_RESULT,
    IS_PATH,
    ConfigError,
    EngineConfig,
    keys_that_decide,
)
from engines.contract.files import there
from engines.contract.words import near
from engines.evaluation.suite import PlannedSuite, Settings, Suite, is_file, load_suite, planned
from engines.shared.scoring.own import OwnScorer
from engines.shared.scoring.rewards import with_sources


class Config(EngineConfig):
    """Config of ``python -m engines.evaluation``."""

    DOES: ClassVar[str] = "evaluated"

    models: CheckpointsSource | str = Field(json_schema_extra=IS_PATH)
    """Checkpoints of a job, or one Hugging Face folder."""
    data: str | dict[str, str] = Field(json_schema_extra=IS_PATH)
    """A folder with ``<task>.test.parquet``, ``<task>.test.jsonl`` (a question and its answer on
    each line) or benchmark files under their authors' names (see the how-to); or task -> file. With
    ``suite``: the folder of its files, or a data set on the Hugging Face hub, such as
    ``LLM360/guru-RL-92k``."""
    suite: str | None = Field(default=None, json_schema_extra=IS_PATH)
    """``guru-online``, ``guru-offline``, or the path of a YAML file of your own: which tasks there
    are, and how each is sampled."""
    planned_suite: PlannedSuite | None = None
    """What the file of ``suite`` says; the planner fills it in, so that an edit of the file changes
    nothing that was launched before."""
    tasks: list[str] | None = None
    """Only these tasks; None is all."""
    reward: str | dict[str, str] | None = None
    """Who judges the answers, for all tasks or task -> who: ``rewards.py:score``, a function of
    your own in a file below the working folder (see the how-to), or one of ours, such as
    ``mathematics``. Other tasks are judged as the suite says, or by the scorer of each row's data
    source."""
    planned_scorers: dict[str, OwnScorer] = Field(default_factory=dict)
    """The files of ``reward`` as they were; the planner fills it in, so that an edit changes
    nothing that was launched before."""
    samples_per_prompt: int | None = Field(default=None, ge=1)
    """Samples of each problem, for all tasks; None is what the suite says, 1 without a suite."""
    temperature: float | None = Field(default=None, ge=0)
    """0 is greedy. None is what the suite says, 0 without a suite."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Share of the probability that tokens are drawn from; None is what the suite says, 1 without a
    suite."""
    max_prompt_tokens: int | None = Field(default=None, ge=1)
    """Longer prompts are counted and not sent; never cut. None is what the suite says, 4096 without
    a suite."""
    max_response_tokens: int | None = Field(default=None, ge=1)
    """Token limit of a response; None is what the suite says, 4096 without a suite."""
    seed: int = 0
    """Seed of the samples."""
    limit: int | None = Field(default=None, ge=1)
    """Only the first so many problems of each task."""
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
    on the same files, with the same settings are reused. `orch evolve` fills it in."""
    drain_seconds: float = Field(default=20.0, ge=0, json_schema_extra=DECIDES_NO_RESULT)
    """How long samples that are on their way may go on after a signal to stop; then they are given
    up and made again later."""
    probe_tolerance: float = Field(default=0.05, gt=0, json_schema_extra=DECIDES_NO_RESULT)
    """Largest difference of a probe log-probability (nats) after a swap."""

    @model_validator(mode="before")
    @classmethod
    def _suite_as_it_is(cls, values: Any) -> Any:
        """Takes in the file of a suite, unless that was done; what another suite said goes."""
        if not isinstance(values, dict):
            return values
        name, before = values.get("suite"), values.get("planned_suite")
        # A config that was planned is read again on the node: it keeps what the file said then.
        if isinstance(before, dict) and before.get("file") == name:
            return values
        # `suite` names another file than the one that was planned: what that one said goes.
        values = {key: value for key, value in values.items() if key != "planned_suite"}
        if not isinstance(name, str) or not is_file(name):
            return values
        found = there(name)
        if found is None or not found.is_file():
            return values  # the next check says that it is missing
        return {**values, "planned_suite": planned(name).model_dump()}

    @model_validator(mode="before")
    @classmethod
    def _reward_as_it_is(cls, values: Any) -> Any:
        """Takes in the files of the users' own functions, unless that was done."""
        return with_sources(values)

    @model_validator(mode="after")
    def _reward_of_tasks(self) -> Config:
        """A scorer for a task that is not there, or that judges what a published one is to, is told
        before anything is submitted."""
        named = self.reward if isinstance(self.reward, dict) else {}
        # Which tasks a folder or a suite has is asked elsewhere.
        known = self.data if isinstance(self.data, dict) and self.suite is None else named
        for task in named:
            if task not in known:
                raise ConfigError(f"reward: there is no task '{task}'{near(task, known)}")
        if self.scoring == "guru" and self.planned_scorers:
            raise ConfigError(
                f"scoring: guru: reward names {', '.join(self.planned_scorers)}, of which there is "
                "no published version; leave it out, or take scoring: strict"
            )
        return self

    @model_validator(mode="after")
    def _tasks_of_the_suite(self) -> Config:
        """A suite's name and the tasks named of it are checked before anything is submitted."""
        # A path without a file passes here, so that the check of paths can name it.
        if self.suite is None or (is_file(self.suite) and self.planned_suite is None):
            return self
        known = self.whole_suite().tasks
        named = list(self.reward) if isinstance(self.reward, dict) else []
        for key, tasks in (("tasks", self.tasks or []), ("reward", named)):
            unknown = [task for task in tasks if task not in known]
            if unknown:
                raise ConfigError(
                    f"{key}: the suite {self.suite} has no {', '.join(unknown)}; it has "
                    f"{', '.join(known)}"
                )
        if self.scoring == "guru":
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

    def own_scorers(self) -> dict[str, OwnScorer]:
        """The users' own scorers, by name."""
        of_suite = self.planned_suite.scorers if self.planned_suite is not None else {}
        return {**of_suite, **self.planned_scorers}

    def scorer_of(self, task: str, otherwise: str | None) -> str | None:
        """Who judges a task: as ``reward`` says, else as the suite does."""
        named = self.reward.get(task) if isinstance(self.reward, dict) else self.reward
        return named or otherwise

    def whole_suite(self) -> Suite:
        """The suite, as it was when the evaluation was planned."""
        assert self.suite is not None
        if self.planned_suite is not None:
            return self.planned_suite.suite
        return load_suite(self.suite)

    def over(self) -> dict[str, int | float]:
        """The settings that this config names itself, which hold for all tasks."""
        # `metric` and `expected_tokens` are settings of a suite that no key of this config changes.
        values = {key: getattr(self, key, None) for key in Settings.model_fields}
        return {key: value for key, value in values.items() if value is not None}

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
