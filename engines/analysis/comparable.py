"""Whether evaluations may be compared with one another, and what is not quite alike in them.

In: the ``results.json`` of each evaluation. Out: ConfigError where they sampled or scored in
different ways; sentences for the report where something lesser differs. Called by load.py of both
reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engines.contract.config import ConfigError

MUST_BE_EQUAL = (
    "suite",
    "tasks",
    "samples_per_prompt",
    "temperature",
    "top_p",
    "max_prompt_tokens",
    "max_response_tokens",
    "limit",
    "scoring",
    "scoring_seconds",
)
"""Read from the config of evaluations that were made before they said it in their facts; newer ones
are compared by ``must_be_equal`` there."""


@dataclass
class Conditions:
    """Under which conditions the evaluations were made."""

    settings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(job, what must be the same in all evaluations)."""
    made_with: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(job, versions and sandbox)."""
    steps: dict[str, dict[str, int]] = field(default_factory=dict)
    """arm -> compared checkpoint, with how many seeds."""
    remarks: dict[str, list[str]] = field(default_factory=dict)
    """What an evaluation says of its data, such as problems left out -> the jobs that do."""

    def add(self, job: str, document: dict[str, Any]) -> None:
        """One finished evaluation."""
        facts = document["facts"]
        made_with = dict(facts.get("versions", {}))
        made_with["sandbox"] = facts.get("sandbox")
        self.settings.append((job, settings_of(document)))
        self.made_with.append((job, made_with))
        for remark in facts.get("remarks", []):
            self.remarks.setdefault(remark, []).append(job)

    def add_step(self, arm: str, checkpoint: str, step: int) -> None:
        """The compared checkpoint of one more seed of an arm."""
        shown = f"{checkpoint} (step {step})"
        seeds = self.steps.setdefault(arm, {})
        seeds[shown] = seeds.get(shown, 0) + 1

    def add_specialists(self, others: Conditions) -> None:
        """Those of the specialists, whose steps need not be those of the arms."""
        self.settings += others.settings
        self.made_with += others.made_with
        for remark, jobs in others.remarks.items():
            self.remarks.setdefault(remark, []).extend(jobs)

    def check(self) -> list[str]:
        """What is uneven, in words; ConfigError unless all evaluations sampled and scored alike."""
        # All against the first: what equals it is equal to one another.
        for job, settings in self.settings[1:]:
            refuse_other_settings(self.settings[0], (job, settings))
        return [*self.unlike_versions(), *self.unlike_steps(), *self.all_remarks()]

    def unlike_versions(self) -> list[str]:
        """Programs whose version is not the same in all evaluations."""
        programs: set[str] = set()
        for _, made_with in self.made_with:
            programs.update(made_with)
        unlike = []
        for name in sorted(programs):
            values = sorted({str(made_with.get(name)) for _, made_with in self.made_with})
            if len(values) > 1:
                unlike.append(f"the evaluations were made with unlike {name}: {', '.join(values)}")
        return unlike

    def unlike_steps(self) -> list[str]:
        """That the compared checkpoints were not trained equally long."""
        compared: set[str] = set()
        arms = []
        for arm, checkpoints in self.steps.items():
            compared.update(checkpoints)
            arms.append(f"{arm} {', '.join(sorted(checkpoints))}")
        if len(compared) < 2:
            return []
        return [f"the compared checkpoints are not of the same step: {'; '.join(arms)}"]

    def all_remarks(self) -> list[str]:
        """What the evaluations say, each remark once, with those that say it."""
        said = []
        for remark, jobs in sorted(self.remarks.items()):
            by_all = len(jobs) == len(self.settings)
            said.append(f"{remark} ({'all evaluations' if by_all else ', '.join(jobs)})")
        return said


def settings_of(document: dict[str, Any]) -> dict[str, Any]:
    """What must be the same in all evaluations: what the evaluation says of its config, and what
    each task was sampled with (the suite says some of it)."""
    facts, config = document["facts"], document["config"]
    settings: dict[str, Any] = dict(facts.get("must_be_equal", ()))
    if not settings:
        settings = {key: config[key] for key in MUST_BE_EQUAL if key in config}
    # The values of each key, task by task.
    by_key: dict[str, dict[str, Any]] = {}
    for task, fact in facts.get("tasks", {}).items():
        for key, value in fact["settings"].items():
            by_key.setdefault(key, {})[task] = value
    for key, tasks in by_key.items():
        different = set(tasks.values())
        if len(different) == 1:
            settings[key] = different.pop()
        else:
            for task, value in tasks.items():
                settings[f"{key} of {task}"] = value
    return settings


def refuse_other_settings(
    first: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]
) -> None:
    """ConfigError that names every setting in which two evaluations differ; each comes with its
    job."""
    first_job, ours = first
    other_job, theirs = other
    changed = [
        f"{key} is {ours.get(key)!r} in {first_job} and {theirs.get(key)!r} in {other_job}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]
    if changed:
        raise ConfigError(
            f"not comparable: {'; '.join(changed)}; evaluate both with the same settings"
        )
