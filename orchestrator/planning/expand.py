"""Stages -> jobs: points of the matrices, whole configs, references resolved, identities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from engines.contract.nearest import near
from jobs.gates import Condition
from jobs.spec import Job
from jobs.stages import Point, Scalar, fill, folder_names, identity, job_name, points
from orchestrator.description.engine_config import missing, validate, wants_results
from orchestrator.description.engine_lookup import config_class, known_engines
from orchestrator.description.gate_reader import GateSpec, resolve
from orchestrator.description.stage import Stage
from orchestrator.description.stage_reader import check_axes
from orchestrator.description.yaml_lines import Mistakes, Node, merge, put, shown, wrap


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A job to be: where it stands, before its config is made."""

    name: str
    stage: Stage
    point: Point
    parent: str | None
    """The job of the ``for_each`` stage that this one follows."""
    after: tuple[str, ...]
    trial: bool = False
    """A short variant of the stage's first job, which the others wait for."""

    @property
    def stage_name(self) -> str:
        """The stage's name; a short first job is a stage of its own, so that nothing takes its
        results for the stage's."""
        return trial_name(self.stage) if self.trial else self.stage.name


def trial_name(stage: Stage) -> str:
    """Name of the short first job of a stage."""
    return f"{stage.name}-canary"


def expand(
    stages: Sequence[Stage], mistakes: Mistakes
) -> tuple[list[Job], dict[str, tuple[Condition, ...]]]:
    """All jobs, in runnable order if ``stages`` are, and the gates by stage. With mistakes the
    result is not complete."""
    expansion = _Expansion(stages, mistakes)
    return expansion.jobs(), expansion.gates()


class _Expansion:
    """The state of one expansion: drafts by stage, then jobs by name."""

    def __init__(self, stages: Sequence[Stage], mistakes: Mistakes) -> None:
        self.stages = {stage.name: stage for stage in stages}
        self.mistakes = mistakes
        self.drafts: dict[str, list[Draft]] = {}
        self.sound: dict[str, bool] = {}
        self.finished: dict[str, Job] = {}
        self.identities: dict[str, str] = {}
        self.referred_to: dict[str, set[str]] = {}

    def add(self, where: str, stage: Stage, text: str) -> None:
        self.mistakes.add(where, f"stage '{stage.name}': {text}")

    def jobs(self) -> list[Job]:
        for stage in self.stages.values():
            self.sound[stage.name] = stage.sound and all(
                self.sound.get(name, False) for name in stage.needs
            )
            self.drafts[stage.name] = self.draft(stage)
            if self.trial(stage) and trial_name(stage) in self.stages:
                self.add(
                    stage.place("canary"),
                    stage,
                    f"'canary' makes a job '{trial_name(stage)}', and a stage has that "
                    "name; rename it",
                )
        self.by_name = {
            draft.name: draft
            for stage in self.stages.values()
            for draft in (*self.trial(stage), *self.drafts[stage.name])
        }
        self.folders = {
            name: f"jobs/{slug}" for name, slug in folder_names(list(self.by_name)).items()
        }
        for stage in self.stages.values():
            kind = self.engine(stage)
            for draft in (*self.trial(stage), *self.drafts[stage.name]):
                self.finish(draft, kind)
        self.same_content()
        return list(self.finished.values())

    def gates(self) -> dict[str, tuple[Condition, ...]]:
        """Each gated stage's conditions."""
        found: dict[str, tuple[Condition, ...]] = {}
        for stage in self.stages.values():
            conditions = [
                self.condition(stage, gate) for gate in stage.gates if self.sound.get(gate.of)
            ]
            if conditions:
                names = [stage.name, *(draft.stage_name for draft in self.trial(stage))]
                found |= dict.fromkeys(names, tuple(one for one in conditions if one is not None))
        return found

    def trial(self, stage: Stage) -> list[Draft]:
        """The short first job of a stage whose ``canary`` asks for one."""
        drafts = self.drafts[stage.name]
        if stage.canary is None or not isinstance(stage.canary.value, dict) or not drafts:
            return []
        return [replace(drafts[0], name=trial_name(stage), trial=True)]

    def canary(self, draft: Draft) -> str | None:
        """The job that must succeed before this one starts."""
        stage = draft.stage
        if stage.canary is None or draft.trial:
            return None
        first = next((trial.name for trial in self.trial(stage)), self.drafts[stage.name][0].name)
        return None if first == draft.name else first

    def condition(self, stage: Stage, gate: GateSpec) -> Condition | None:
        """A gate on the jobs of the stage that it judges; a command's results have no metrics."""
        if self.stages[gate.of].engine is None:
            self.add(
                gate.place("of").where,
                stage,
                f"{gate.key}: stage '{gate.of}' is a command, which has no metrics; name "
                "an engine's",
            )
            return None
        jobs = [(draft.name, draft.point) for draft in self.drafts[gate.of]]
        return resolve(gate, jobs, lambda node, text: self.add(node.where, stage, text))

    def draft(self, stage: Stage) -> list[Draft]:
        """The points of a stage: its own product, for each job of its parent."""
        parents = self.drafts.get(stage.for_each or "", [])
        seen: dict[str, dict[tuple[type, Scalar], Scalar]] = {}  # 1, 1.0 and true are three values
        for parent in parents:
            for axis, value in parent.point.items():
                seen.setdefault(axis, {})[type(value), value] = value
        axes = {axis: tuple(values.values()) for axis, values in seen.items()}
        for axis in stage.matrix.keys() & axes.keys():
            self.add(
                stage.place("matrix"),
                stage,
                f"axis '{axis}' comes from '{stage.for_each}' already; rename it",
            )
        own = {axis: entry.values for axis, entry in stage.matrix.items()}
        if self.sound[stage.name]:
            check_axes(stage, {**axes, **own}, self.mistakes)
        waits = tuple(
            draft.name
            for name in stage.after
            if name != stage.for_each
            for draft in self.drafts.get(name, ())
        )
        drafts = []
        origins: list[tuple[str | None, Point]] = [
            (parent.name, parent.point) for parent in parents
        ] or [(None, {})]
        for parent_name, parent_point in origins:
            after = (parent_name, *waits) if parent_name else waits
            drafts += [
                Draft(
                    name=job_name(stage.name, point),
                    stage=stage,
                    point=point,
                    parent=parent_name,
                    after=after,
                )
                for point in points(own, stage.exclude, [parent_point])
            ]
        if not drafts and self.sound[stage.name]:
            self.add(
                stage.place("exclude"),
                stage,
                "'exclude' leaves no job; exclude less, or take the stage out",
            )
        return drafts

    def engine(self, stage: Stage) -> type[BaseModel] | None:
        """The stage's ``Config``, and the checks that need only it."""
        if stage.engine is None:
            if stage.checkpoints is not None:
                self.add(
                    stage.place("checkpoints"),
                    stage,
                    "a command takes no 'checkpoints'; only engines do",
                )
            return None
        if stage.engine not in known_engines():
            return None  # told when the file was read
        kind = config_class(stage.engine)
        for axis, entry in stage.matrix.items():
            if not entry.brings_config and axis not in kind.model_fields:
                self.add(
                    entry.nodes[0].where if entry.nodes else stage.place("matrix"),
                    stage,
                    f"axis '{axis}' sets the config key '{axis}', which no engine "
                    f"'{stage.engine}' reads"
                    f"{near(axis, kind.model_fields)}",
                )
        if stage.checkpoints is not None:
            self.check_checkpoints(stage, kind)
        if wants_results(kind) and stage.config.child("inputs"):
            self.add(
                stage.config.value["inputs"].where,
                stage,
                "config: 'inputs' is filled in from 'after'; take it out and name the stages there",
            )
        return kind

    def check_checkpoints(self, stage: Stage, kind: type[BaseModel]) -> None:
        """``checkpoints`` needs an engine that takes models and a parent that leaves them."""
        where = stage.place("checkpoints")
        parent = self.stages.get(stage.for_each or "")
        if "models" not in kind.model_fields:
            self.add(
                where,
                stage,
                f"engine '{stage.engine}' takes no 'checkpoints': it has no config key 'models'",
            )
        if parent is not None and parent.engine is None:
            self.add(
                where,
                stage,
                f"stage '{parent.name}' is a command, which leaves no checkpoints; name "
                "an engine's stage",
            )
        if stage.config.child("models"):
            self.add(
                stage.config.value["models"].where,
                stage,
                "config: 'models' is set by 'checkpoints' already; keep one of the two",
            )

    def finish(self, draft: Draft, kind: type[BaseModel] | None) -> None:
        """Make the job of a draft, if nothing is wrong with it."""
        stage, sound = draft.stage, self.sound[draft.stage.name]
        before = len(self.mistakes.lines)
        config: dict[str, Any] = {}
        command = None
        if kind is None and (stage.command is None or not sound or self.mistakes.lines):
            return
        if kind is not None:
            checked = validate(kind, self.config(draft, kind), stage, sound, self.mistakes)
            if checked is None:
                return
            config = checked.model_dump(mode="json")
        elif stage.command is not None:
            command = fill(stage.command, draft.point)
        if (
            not sound
            or len(self.mistakes.lines) > before
            or any(name not in self.finished for name in draft.after)
        ):
            return
        parents = [self.finished[name].identity for name in draft.after]
        self.finished[draft.name] = Job(
            name=draft.name,
            stage=draft.stage_name,
            axes=draft.point,
            engine=stage.engine,
            command=command,
            config=config,
            resources=stage.resources,
            after=draft.after,
            requires=self.requires(draft),
            folder=self.folders[draft.name],
            identity=identity(stage.engine, command, config, parents, self.identities),
            pack=1 if draft.trial else stage.pack,
            canary=self.canary(draft),
        )
        self.identities[f"{{run}}/{self.folders[draft.name]}"] = self.finished[draft.name].identity

    def config(self, draft: Draft, kind: type[BaseModel]) -> Node:
        """The stage's config with the job's axis values, checkpoints, references and inputs put
        in."""
        stage, config = draft.stage, draft.stage.config
        for axis, entry in stage.matrix.items():
            node = entry.node(draft.point[axis])
            if entry.brings_config:
                config = merge(config, node, False) if node.value is not None else config
            elif axis in kind.model_fields:
                config = put(config, (axis,), Node(draft.point[axis], node.where))
        if draft.trial and stage.canary is not None:
            config = merge(config, stage.canary, False)
        config = self.resolve(config, draft, "config")
        if stage.checkpoints is not None and draft.parent and "models" in kind.model_fields:
            where = stage.place("checkpoints")
            source = {"folder": self.out(draft.parent), "checkpoints": stage.checkpoints}
            config = put(config, ("models",), wrap(source, where))
        if wants_results(kind):
            config = put(config, ("inputs",), wrap(self.inputs(draft), stage.place("after")))
        return config

    def requires(self, draft: Draft) -> tuple[str, ...]:
        """The jobs of ``after`` that it cannot do without."""
        wanted = {draft.parent, *self.referred_to.get(draft.name, ())}
        return tuple(name for name in draft.after if name in wanted)

    def out(self, name: str) -> str:
        """Where a job leaves its files, below the run folder."""
        return f"{{run}}/{self.folders[name]}/out"

    def inputs(self, draft: Draft) -> list[dict[str, Any]]:
        """Every job that this one follows, however far back: what a ``ResultSource`` holds."""
        wanted, left, names = set(), list(draft.after), self.by_name
        while left:
            name = left.pop()
            if name not in wanted:
                wanted.add(name)
                left += names[name].after
        return [
            {
                "job": name,
                "stage": names[name].stage.name,
                "axes": names[name].point,
                "folder": self.out(name),
            }
            for name in names
            if name in wanted
        ]

    def resolve(self, node: Node, draft: Draft, key: str) -> Node:
        """``node`` with every ``{of: STAGE, ..}`` below it replaced, and every ``"{axis}"`` by the
        job's value on that axis."""
        if (
            isinstance(node.value, str)
            and (axis := re.fullmatch(r"\{(\w+)\}", node.value))
            and axis[1] in draft.point
        ):
            return Node(draft.point[axis[1]], node.where)
        if isinstance(node.value, list):
            return Node([self.resolve(item, draft, key) for item in node.value], node.where)
        if not isinstance(node.value, dict):
            return node
        if "of" in node.value:
            return self.reference(node, draft, key)
        return Node(
            {name: self.resolve(item, draft, f"{key}.{name}") for name, item in node.value.items()},
            node.where,
        )

    def reference(self, node: Node, draft: Draft, key: str) -> Node:
        """A path into another job's folder, or a checkpoint of that job; the reference as it is
        where that is not possible."""
        values, stage = node.plain(), draft.stage
        words = all(isinstance(value, str) for value in values.values())
        if len(values) != 2 or not values.keys() <= {"of", "path", "checkpoint"} or not words:
            self.add(
                node.where,
                stage,
                f"{key}: a reference is {{of: STAGE, path: P}} or {{of: STAGE, checkpoint: C}}, "
                f"got {shown(values)}",
            )
            return missing(node)
        job = self.referred(node, draft, key, values["of"])
        if job is None:
            return missing(node)
        self.referred_to.setdefault(draft.name, set()).add(job)
        if "checkpoint" in values:
            return wrap({"folder": self.out(job), "checkpoint": values["checkpoint"]}, node.where)
        path = PurePosixPath(values["path"])
        if path.is_absolute() or ".." in path.parts:
            self.add(
                node.where,
                stage,
                f"{key}: path {values['path']!r} must lie below what the job leaves: no "
                "'/' in front, no '..'",
            )
        return wrap(f"{self.out(job)}/{path}", node.where)

    def referred(self, node: Node, draft: Draft, key: str, name: str) -> str | None:
        """The one job of stage ``name`` that a reference means."""
        stage, target = draft.stage, self.stages.get(name)
        if name not in stage.needs:
            hint = near(name, self.stages) if target is None else f"; add '{name}' to its 'after'"
            self.add(
                node.where,
                stage,
                f"{key}: refers to stage '{name}', which stage '{stage.name}' does not "
                f"wait for{hint}",
            )
            return None
        if target is None:
            return None  # told where the stage names it
        if target.engine is None:
            self.add(
                node.where,
                stage,
                f"{key}: stage '{name}' is a command, whose files orch does not know; "
                "write the path itself",
            )
            return None
        jobs = (
            [draft.parent]
            if name == stage.for_each
            else [other.name for other in self.drafts[name]]
        )
        if len(jobs) != 1 and self.sound[name]:
            self.add(
                node.where,
                stage,
                f"{key}: refers to stage '{name}', which has {len(jobs)} jobs and a "
                "reference means one; "
                f"use for_each: {name}",
            )
        return jobs[0] if len(jobs) == 1 else None

    def same_content(self) -> None:
        """The same work twice in a plan is a mistake: the two results could not be told apart."""
        first: dict[str, Job] = {}
        told: dict[tuple[str, str], int] = {}
        for job in self.finished.values():
            other = first.setdefault(job.identity, job)
            pair = (other.stage, job.stage)
            stage = self.by_name[job.name].stage
            if other is not job:
                told[pair] = told.get(pair, 0) + 1
            if other is not job and told[pair] == 1:
                self.add(
                    stage.place("matrix"),
                    stage,
                    f"jobs '{other.name}' and '{job.name}' have the same content; "
                    "take one out, or let what tells them apart reach the config or the command",
                )
