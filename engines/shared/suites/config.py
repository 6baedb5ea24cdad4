"""Which tasks a model is asked, and how it is sampled: the keys that an evaluation and a training
which scores its own checkpoints share.

Light on purpose: the login node checks a config with it, the tasks of a suite included.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from engines.contract.config import IS_PATH, ConfigError, EngineConfig
from engines.contract.files import there
from engines.contract.words import near
from engines.shared.scoring.own import OwnScorer
from engines.shared.scoring.rewards import with_sources
from engines.shared.suites.suite import PlannedSuite, Settings, Suite, is_file, load_suite, planned


class TasksConfig(EngineConfig):
    """Tasks, and how each is sampled."""

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
    def _reward_of_tasks(self) -> TasksConfig:
        """A scorer for a task that is not there is told before anything is submitted."""
        named = self.reward if isinstance(self.reward, dict) else {}
        # Which tasks a folder or a suite has is asked elsewhere.
        known = self.data if isinstance(self.data, dict) and self.suite is None else named
        for task in named:
            if task not in known:
                raise ConfigError(f"reward: there is no task '{task}'{near(task, known)}")
        return self

    @model_validator(mode="after")
    def _tasks_of_the_suite(self) -> TasksConfig:
        """A suite's name and the tasks named of it are checked before anything is submitted."""
        if not self.suite_is_known:
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
        return self

    @property
    def suite_is_known(self) -> bool:
        """Whether there is a suite that can be read. A path without a file passes here, so that the
        check of paths can name it."""
        return self.suite is not None and not (is_file(self.suite) and self.planned_suite is None)

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
