"""An experiment file -> Experiment: read, with what it includes, presets and ``--set`` merged in,
variables filled in, checked.

What goes in: a file, the name of a preset and ``--set`` arguments. What comes out: an
``Experiment`` whose stages are in an order in which each follows the ones it needs, and every
mistake at once with its line. The keys of the file are defined in ``keys``; its stages
are read by ``stage_reader``. Called by the planner; the commands and the shell's completion find
files here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import LONGEST, Node, one_line
from engines.contract.written.reading import read
from engines.contract.written.tree import DEEPEST
from orchestrator.description.catalogue import WHOLE, refusal
from orchestrator.description.checking import checked, keys_of
from orchestrator.description.joining.includes import read_joined
from orchestrator.description.joining.variables import VARIABLES, with_variables
from orchestrator.description.keys import ExperimentFile, PresetFile, StageFile
from orchestrator.description.merging import merge, put
from orchestrator.description.profile import Messages, Tracking
from orchestrator.description.stage import Stage, in_order
from orchestrator.description.stage_keys.options import BudgetFile
from orchestrator.description.stage_keys.track import in_one_form
from orchestrator.description.stage_reader import read_stage

BUDGET = "budget"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A checked description; its stages are in an order in which each follows the ones it needs."""

    name: str
    about: str
    preset: str | None
    source: Path
    stages: tuple[Stage, ...]
    snapshot: bool = False
    notify: Messages = field(default_factory=Messages)
    """Empty: as the cluster's profile says."""
    retry: dict[str, int] = field(default_factory=dict)
    """How often a job is submitted again by itself, by kind of failure."""
    budget: dict[str, float] = field(default_factory=dict)
    """Empty: as the cluster's profile says."""
    track: Tracking = field(default_factory=Tracking)
    """Where engines log to; empty: as the cluster's profile says."""


def read_experiment(
    path: Path, preset: str | None, overrides: Sequence[str], mistakes: Mistakes
) -> Experiment | None:
    """Read, merge and check a file. All that is wrong goes to ``mistakes``; None if there is no
    stage to look at."""
    root = read_joined(path, mistakes)
    if root is None:
        return None
    chosen = None if preset == WHOLE else preset
    # Presets first, so that --set has the last word and may name a stage of the preset. A file that
    # is no mapping has neither; the check below says what it is.
    merged = root
    if isinstance(root.value, dict):
        merged = with_overrides(with_preset(root, chosen, mistakes), overrides, mistakes)
        # Last, so that a preset or --set may change a variable, or use one.
        merged = with_variables(merged, mistakes)
    written, good = checked(
        ExperimentFile, merged, lambda place, text: mistakes.add(place.where, text)
    )
    # Read from what was written, not from `good`: a stage whose name is wrong is told once, and not
    # again wherever another stage names it.
    stage_nodes = merged.child("stages")
    if stage_nodes is None or not isinstance(stage_nodes.value, dict) or not stage_nodes.value:
        return None
    stages = read_stages(stage_nodes, mistakes)
    notify, track = good.child("notify"), good.child("track")
    return Experiment(
        # Without a good head the experiment has no name, but its stages are judged all the same:
        # every mistake is told at once.
        name=written.experiment if written else "",
        about=written.about if written else "",
        preset=chosen,
        source=path.resolve(),
        stages=in_order(stages, mistakes),
        snapshot=written is not None and written.snapshot,
        notify=cast("Messages", notify.plain()) if notify else {},
        retry=written.retry.bounds if written and written.retry else {},
        budget=written.budget.model_dump() if written and written.budget else {},
        track=in_one_form(track.plain()) if track and track.value is not None else {},
    )


def read_stages(nodes: Node, mistakes: Mistakes) -> dict[str, Stage]:
    """All stages by name, and whether there are the engines that they name."""
    stages = {
        str(name): read_stage(str(name), node, mistakes) for name, node in nodes.value.items()
    }
    for stage in stages.values():
        text = refusal(stage.engine) if stage.engine is not None else ""
        if text:
            mistakes.add(stage.place("engine"), f"stage '{stage.name}': {text}")
    return stages


def with_preset(root: Node, preset: str | None, mistakes: Mistakes) -> Node:
    """The file with one of its presets merged in."""
    presets = root.child("presets")
    known: dict[str, Node] = presets.value if presets and isinstance(presets.value, dict) else {}
    if preset is None:
        return root
    if preset not in known:
        # `full` is no preset, but a person may have meant it.
        names = [WHOLE, *map(str, known)]
        mistakes.add((presets or root).where, f"no preset '{preset}'{near(preset, names)}")
        return root
    chosen = known[preset]
    if not isinstance(chosen.value, dict):
        return root
    # Only these: a preset with `snapshot` or `experiment` in it is a mistake, told by the check of
    # the whole file, and must not change the experiment meanwhile.
    changes = {key: chosen.value[key] for key in keys_of(PresetFile) if key in chosen.value}
    variables = children(root, VARIABLES)
    for name in children(chosen, VARIABLES):
        if name not in variables:
            place = chosen.value[VARIABLES].value[name].where
            hint = near(name, variables)
            mistakes.add(place, f"preset '{preset}': no variable '{name}' in 'vars'{hint}")
    return merge(root, Node(changes, chosen.where), True)


def with_overrides(root: Node, overrides: Sequence[str], mistakes: Mistakes) -> Node:
    """``--set`` arguments on top, in the order given."""
    for argument in overrides:
        root = with_override(root, argument, mistakes)
    return root


def with_override(root: Node, argument: str, mistakes: Mistakes) -> Node:
    """Set one value: ``train.config.epochs=5``. The first word is a stage, the second a key of a
    stage; or ``vars`` and a variable, or ``budget`` and its key."""
    where = one_line(f"--set {argument}", LONGEST)
    path, equals, text = argument.partition("=")
    words = tuple(path.strip().split("."))
    if not equals or not 2 <= len(words) <= DEEPEST or not all(words):
        mistakes.add(where, "must be STAGE.KEY...=VALUE, as in --set train.config.epochs=5")
        return root
    unknown = not_there(root, words[0], words[1])
    if unknown:
        mistakes.add(where, unknown)
        return root
    # The value is YAML, as it would be in the file: [1, 2], true, 1e-4.
    value = read(text, "", mistakes, where)
    if value is None:
        return root
    below_stages = not (is_variable(root, words[0]) or is_budget(root, words[0]))
    try:
        return put(root, ("stages", *words) if below_stages else words, value)
    except KeyError as error:
        mistakes.add(
            where,
            f"'{error.args[0]}' lies below a value that is not a mapping; set that value whole",
        )
        return root


def is_variable(root: Node, word: str) -> bool:
    """Whether ``--set`` with this first word is about a variable; a stage of that name would have
    to be in a file without variables."""
    return word == VARIABLES and root.child(VARIABLES) is not None


def is_budget(root: Node, word: str) -> bool:
    """Whether ``--set`` with this first word is about the budget; a stage of that name goes
    before it."""
    return word == BUDGET and BUDGET not in children(root, "stages")


def not_there(root: Node, first: str, second: str) -> str:
    """Why ``--set`` cannot set such a value; empty if it can."""
    # A typo would make a new stage, key or variable in silence, so all must be there already. What
    # lies deeper is the engine's to judge.
    if is_variable(root, first):
        variables = children(root, VARIABLES)
        return "" if second in variables else f"no variable '{second}'{near(second, variables)}"
    if is_budget(root, first):
        keys = keys_of(BudgetFile)
        return "" if second in keys else f"budget has no key '{second}'{near(second, keys)}"
    stages, keys = children(root, "stages"), keys_of(StageFile)
    if first not in stages:
        return f"no stage '{first}'{near(first, stages)}"
    return "" if second in keys else f"stage '{first}' has no key '{second}'{near(second, keys)}"


def children(root: Node, key: str) -> list[str]:
    """The names below a key of the file."""
    found = root.child(key)
    return [str(name) for name in found.value] if found and isinstance(found.value, dict) else []
