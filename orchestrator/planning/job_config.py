"""The config of one job: what its stage says, with the values of its axes, its checkpoints, what it
refers to and its inputs put in.

What goes in: a draft, all other drafts and the engine's ``Config``. What comes out: the config as
nodes, so that a mistake in it is still told at the line it comes from, and the jobs it refers to.
Called by ``expand``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node, shown, wrap
from orchestrator.description.engine_config import missing, wants_replaced, wants_results
from orchestrator.description.merging import merge, put
from orchestrator.node.own_results import FILES
from orchestrator.planning.drafts import Draft, Drafts
from orchestrator.planning.searches import is_searched, standing_in

OF_AXIS = re.compile(r"\{(\w+)\}")
"""A value that stands for the job's value on an axis."""


class JobConfig:
    """Makes the config of one job."""

    def __init__(self, draft: Draft, drafts: Drafts, mistakes: Mistakes) -> None:
        self.draft, self.drafts, self.mistakes = draft, drafts, mistakes
        self.references: set[str] = set()
        """Names of the jobs whose files the config names."""

    def add(self, where: str, text: str) -> None:
        """Tell a mistake."""
        self.mistakes.add(where, f"stage '{self.draft.stage.name}': {text}")

    def make(self, kind: type[BaseModel]) -> Node:
        """The whole config."""
        draft, stage = self.draft, self.draft.stage
        # After the axes, as what an axis brings may hold references too.
        config = self.with_axes(kind)
        if "of" in config.value:
            self.add(
                config.value["of"].where,
                "config: 'of' would make the whole config a reference to another job; write it "
                "under the key that it is for: {KEY: {of: STAGE, path: P}}",
            )
            return missing(config)
        config = self.resolve(config, "config")
        # Below here the paths are the planner's own and need no resolving.
        parent = self.drafts.parent_out(draft)
        if stage.checkpoints is not None and parent and "models" in kind.model_fields:
            source = {"folder": parent, "checkpoints": stage.checkpoints}
            config = put(config, ("models",), wrap(source, stage.place("checkpoints")))
        if wants_results(kind):
            config = put(config, ("inputs",), wrap(self.inputs(), stage.place("after")))
        if wants_replaced(kind):
            replaced = [vars(one) for one in self.drafts.replaced]
            config = put(config, ("replaced",), wrap(replaced, stage.place("after")))
        return config

    def with_axes(self, kind: type[BaseModel]) -> Node:
        """What the stage says, with what the values of the axes set or bring."""
        draft, stage = self.draft, self.draft.stage
        config = stage.config
        for axis, entry in stage.matrix.items():
            value = draft.point[axis]
            brought = entry.node(value)
            if entry.brings_config and brought.value is not None:
                # A null replaces here: to an engine it is a value.
                config = merge(config, brought, False)
            elif not entry.brings_config and axis in kind.model_fields:
                config = put(config, (axis,), Node(value, brought.where))
        for axis, value in standing_in(stage.search).items() if stage.search else ():
            config = put(config, (axis,), Node(value, stage.place("search")))
        # Last, over all that the axes say: the canary has to be short.
        if draft.short and stage.canary is not None:
            config = merge(config, stage.canary, False)
        return config

    def inputs(self) -> list[dict[str, Any]]:
        """Every job that this one follows, however far back: what a ``ResultSource`` holds."""
        # A report after evaluations also needs the trainings before them.
        by_name = self.drafts.by_name
        wanted: set[str] = set()
        waiting = list(self.draft.follows)
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += by_name[name].follows
        return [
            {
                "job": name,
                "stage": by_name[name].stage.name,
                "axes": by_name[name].point,
                "folder": self.drafts.out(name),
            }
            # In the order of the plan, so that the config is the same whenever it is made.
            for name in sorted(wanted, key=self.drafts.places.__getitem__)
        ]

    def resolve(self, node: Node, key: str) -> Node:
        """``node`` with every ``{of: STAGE, ..}`` below it replaced, and every ``"{axis}"`` by the
        job's value on that axis."""
        value = node.value
        if isinstance(value, str):
            # The whole text only: `"{seed}"` becomes the number 0, while `"run-{seed}"` and a
            # prompt with braces stay as they are.
            axis = OF_AXIS.fullmatch(value)
            if axis is not None and is_searched(self.draft.stage, axis[1]):
                self.add(
                    node.where,
                    f"{key}: {value} is drawn while the search runs, and sets the key "
                    f"'{axis[1]}' alone; take it out",
                )
            if axis is not None and axis[1] in self.draft.point:
                return Node(self.draft.point[axis[1]], node.where)
            return node
        if isinstance(value, list):
            return Node([self.resolve(item, key) for item in value], node.where)
        if not isinstance(value, dict):
            return node
        if "of" in value:
            return self.reference(node, key)
        below = {name: self.resolve(item, f"{key}.{name}") for name, item in value.items()}
        return Node(below, node.where)

    def reference(self, node: Node, key: str) -> Node:
        """A path into another job's folder, or a checkpoint of that job."""
        values = node.plain()
        words = all(isinstance(value, str) for value in values.values())
        if len(values) != 2 or not values.keys() <= {"of", "path", "checkpoint"} or not words:
            self.add(
                node.where,
                f"{key}: a reference is {{of: STAGE, path: P}} or {{of: STAGE, checkpoint: C}}, "
                f"got {shown(values)}",
            )
            return missing(node)
        job = self.referred(node, key, values["of"])
        if job is None:
            return missing(node)
        chosen = self.draft.candidates and values["of"] == self.draft.stage.for_each
        if not chosen:
            self.references.add(job)
        out = str(self.drafts.parent_out(self.draft)) if chosen else self.drafts.out(job)
        if "checkpoint" in values:
            return wrap({"folder": out, "checkpoint": values["checkpoint"]}, node.where)
        # Only what lies in its `out` is left for other jobs.
        path = PurePosixPath(values["path"])
        if path.is_absolute() or ".." in path.parts:
            self.add(
                node.where,
                f"{key}: path {values['path']!r} must lie below what the job leaves: "
                "no '/' in front, no '..'",
            )
        # A command is given a folder of its own below.
        of_command = self.drafts.by_name[job].stage.engine is None
        below = f"{out}/{FILES}" if of_command else out
        return wrap(f"{below}/{path}", node.where)

    def referred(self, node: Node, key: str, name: str) -> str | None:
        """The one job of stage ``name`` that a reference means."""
        stage, target = self.draft.stage, self.drafts.stages.get(name)
        refers = f"{key}: refers to stage '{name}', which"
        # A stage that is not waited for may not have run yet.
        if name not in stage.needs:
            known = self.drafts.stages
            hint = near(name, known) if target is None else f"; add '{name}' to its 'after'"
            self.add(node.where, f"{refers} stage '{stage.name}' does not wait for{hint}")
            return None
        if target is None:
            return None  # told where the stage names it
        # One parent for each job, so it is clear which is meant; of `after` only if there is one
        # job.
        if name == stage.for_each:
            candidates = self.draft.candidates
            # Any of them stands for the best one: they have one program.
            return candidates[0].name if candidates else self.draft.parent
        jobs = self.drafts.by_stage[name]
        if len(jobs) == 1:
            return jobs[0].name
        if self.drafts.sound[name]:
            self.add(
                node.where,
                f"{refers} has {len(jobs)} jobs and a reference means one; use for_each: {name}",
            )
        return None
