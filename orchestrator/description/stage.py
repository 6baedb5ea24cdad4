"""A stage of an experiment as it is written; orchestrator/description/stage_reader.py reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.spec import Resources
from jobs.stages import Point, Scalar, same
from orchestrator.description.gate_reader import Written
from orchestrator.description.yaml_lines import Node

STAGE_KEYS: dict[str, str] = {
    "engine": "The program each job of the stage runs: `ppo` stands for `python -m engines.ppo`.",
    "command": "A command of your own instead of an engine: a text that is split at spaces, or a "
    "list of arguments; `{axis}` is replaced "
    "by the job's value, and no shell reads it.",
    "matrix": "Axes whose product gives the jobs: a list sets the config key of its name, a "
    "mapping brings config.",
    "exclude": "Combinations of axis values to leave out of the product.",
    "for_each": "A stage; this one gets a job per job of that stage, started when that job is "
    "done.",
    "after": "A stage or a list of stages; every job here waits for all jobs there.",
    "when": "A gate, or a list of them: the stage runs if the results of another stage reach a "
    "threshold; else its jobs are SKIPPED.",
    "unless": "A gate the other way round: the stage runs if the results do not reach the "
    "threshold.",
    "checkpoints": "Which checkpoints of the `for_each` job to use: last, best, all, every:N, or a "
    "list "
    "of epochs.",
    "resources": "What one job asks for: nodes, gpus and cpus (per node), memory_gb (per node), "
    "minutes (time limit).",
    "pack": "How many jobs of the stage share one allocation. It asks for CPUs and memory for "
    "each of them and for GPUs once, which "
    "they share; each keeps its own state, log and retry.",
    "canary": "true: the first job runs alone, the others start when it has succeeded. A mapping "
    "of config keys: a short variant of "
    "the first job does, and is thrown away.",
    "config": "The engine's config; `{of: STAGE, path: P}` and `{of: STAGE, checkpoint: C}` stand "
    "for what a job there leaves, "
    '`"{axis}"` for the job\'s value on an axis that comes from `for_each`.',
}
"""Every key of a stage, and what it does."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a matrix."""

    values: tuple[Scalar, ...]
    nodes: tuple[Node, ...]
    """For each value its place, and for an axis written as a mapping the config it brings."""
    brings_config: bool
    """Written as a mapping ``value -> config``; else a list, which sets the config key of the axis'
    name."""

    def node(self, value: Scalar) -> Node:
        """The place of ``value``, and the config it brings."""
        return next(
            node for known, node in zip(self.values, self.nodes, strict=True) if same(known, value)
        )


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage as written, checked on its own; what names other stages is checked in
    ``description``."""

    name: str
    node: Node
    engine: str | None
    command: tuple[str, ...] | None
    matrix: dict[str, Axis]
    exclude: tuple[Point, ...]
    for_each: str | None
    after: tuple[str, ...]
    gates: tuple[Written, ...]
    checkpoints: str | list[int] | None
    resources: Resources
    pack: int
    canary: Node | None
    """Config that makes a short variant of the first job; ``true`` for the first job itself."""
    config: Node
    sound: bool
    """No mistake was found in it: mistakes that follow from another one are not worth telling."""

    def place(self, key: str) -> str:
        """Where the stage's ``key`` stands, or the stage itself."""
        found = self.node.child(key)
        return found.where if found else self.node.where

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages it waits for."""
        return (
            *((self.for_each,) if self.for_each else ()),
            *(name for name in self.after if name != self.for_each),
        )

    @property
    def follows(self) -> tuple[str, ...]:
        """The stages that come before it: those it waits for, and those that its gates judge."""
        return tuple(dict.fromkeys((*self.needs, *(gate.of for gate in self.gates))))
