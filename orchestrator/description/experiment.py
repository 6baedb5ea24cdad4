"""An experiment file -> Experiment: strict keys, presets and ``--set`` applied, every mistake found
at once with its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.description.catalogue import WHOLE
from orchestrator.description.engine_config import known_engines
from orchestrator.description.stage import NAME, STAGE_KEYS, Stage
from orchestrator.description.stage_reader import read_stage
from orchestrator.description.yaml_lines import (
    Mistakes,
    Node,
    merge,
    near,
    put,
    read,
    read_file,
    shown,
)

__all__ = [
    "KEYS",
    "STAGE_KEYS",
    "Experiment",
    "read_experiment",
]

KEYS: dict[str, str] = {
    "experiment": "The experiment's name; its runs lie in `runs/<experiment>/`.",
    "about": "One sentence for people: what is compared, on what.",
    "stages": "The stages by name; the keys of a stage are below.",
    "notify": "Who is told when a run ends, when jobs die and when it waits for a decision; goes "
    "before what the cluster's profile says. "
    "Its keys are below.",
    "snapshot": "`true`: commands run in a copy of the files of this folder that git tracks or "
    "does "
    "not ignore, made at launch.",
    "presets": "Variants by name, each with `stages` (and `about`) that are merged over the ones "
    "above: mappings merge, "
    "scalars and lists replace, null takes a key out (inside `config` it is a value), "
    "new stages may appear.",
}
"""Every key of an experiment file, and what it does."""

PRESET_KEYS = ("about", "stages")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A checked description; its stages are in an order in which each follows the ones it needs."""

    name: str
    about: str
    preset: str | None
    source: Path
    stages: tuple[Stage, ...]
    snapshot: bool = False
    notify: dict[str, Any] = field(default_factory=dict)
    """Empty: as the cluster's profile says."""


def read_experiment(
    path: Path, preset: str | None, overrides: Sequence[str], mistakes: Mistakes
) -> Experiment | None:
    """Read, merge and check a file. All that is wrong goes to ``mistakes``; None if there is no
    stage to look at."""
    root = read_file(path, mistakes)
    if root is None:
        return None
    if not isinstance(root.value, dict):
        mistakes.add(
            root.where,
            f"must be a mapping with the keys {', '.join(KEYS)}, got {shown(root.plain())}",
        )
        return None
    check_keys(root, KEYS, "", mistakes)
    chosen = None if preset == WHOLE else preset
    merged = with_overrides(with_preset(root, chosen, mistakes), overrides, mistakes)
    stages_node = merged.child("stages")
    if stages_node is None or not isinstance(stages_node.value, dict) or not stages_node.value:
        mistakes.add((stages_node or root).where, "'stages' must name at least one stage")
        return None
    stages = {
        str(name): read_stage(str(name), node, mistakes) for name, node in stages_node.value.items()
    }
    engines = known_engines()
    for stage in stages.values():
        if stage.engine is not None and stage.engine not in engines:
            hint = near(stage.engine, engines)
            mistakes.add(
                stage.place("engine"),
                f"stage '{stage.name}': unknown engine '{stage.engine}'{hint}",
            )
    for name, node in stages_node.value.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            mistakes.add(
                node.where,
                f"stage name {name!r} must be letters, digits, '_' and '-', starting with a letter",
            )
    return Experiment(
        name=text_of(merged, "experiment", mistakes, name=True),
        about=text_of(merged, "about", mistakes),
        preset=chosen,
        source=path.resolve(),
        stages=in_order(stages, mistakes),
        snapshot=wants_snapshot(merged, mistakes),
        notify=messages(merged, mistakes),
    )


def wants_snapshot(root: Node, mistakes: Mistakes) -> bool:
    """The key ``snapshot``; false where it is not there."""
    node = root.child("snapshot")
    if node is not None and not isinstance(node.value, bool):
        mistakes.add(node.where, f"'snapshot' must be true or false, got {shown(node.plain())}")
    return node is not None and node.value is True


def messages(root: Node, mistakes: Mistakes) -> dict[str, Any]:
    """The key ``notify``; empty where it is not there, or wrong."""
    from orchestrator.description.notifications import (
        read_notify,
    )  # what it is built on needs the plan

    node = root.child("notify")
    return {} if node is None else read_notify(node, "'notify'", mistakes)


def check_keys(node: Node, known: Any, inside: str, mistakes: Mistakes) -> None:
    """Every key of ``node`` must be known."""
    for key, value in node.value.items():
        if key not in known:
            mistakes.add(
                value.where,
                f"{inside}unknown key '{key}' (value {shown(value.plain())}){near(key, known)}",
            )


def text_of(root: Node, key: str, mistakes: Mistakes, name: bool = False) -> str:
    """A text at the top of the file; with ``name`` it must be there and fit for a folder's name."""
    node = root.child(key)
    value = node.value if node else None
    if not name and node is None:
        return ""
    if not isinstance(value, str) or (name and not NAME.fullmatch(value)):
        rule = "a name of letters, digits, '_' and '-'" if name else "text"
        mistakes.add((node or root).where, f"'{key}' must be {rule}, got {shown(value)}")
        return ""
    return value


def with_preset(root: Node, preset: str | None, mistakes: Mistakes) -> Node:
    """The file with one of its presets merged in. The other presets are checked for their keys
    only."""
    presets = root.child("presets")
    known: dict[str, Node] = presets.value if presets and isinstance(presets.value, dict) else {}
    if presets and presets.value is not None and not isinstance(presets.value, dict):
        mistakes.add(
            presets.where,
            f"'presets' must be a mapping from a name to its changes, got {shown(presets.plain())}",
        )
    for name, node in known.items():
        if name == WHOLE or not isinstance(name, str) or not NAME.fullmatch(name):
            mistakes.add(
                node.where,
                f"preset {name!r}: not a name for a preset ('{WHOLE}' means no preset); "
                "use another word",
            )
        elif not isinstance(node.value, dict):
            mistakes.add(
                node.where, f"preset '{name}' must be a mapping, got {shown(node.plain())}"
            )
        else:
            check_keys(node, PRESET_KEYS, f"preset '{name}': ", mistakes)
    if preset is None:
        return root
    if preset not in known:
        mistakes.add(
            (presets or root).where,
            f"no preset '{preset}'{near(preset, [WHOLE, *map(str, known)])}",
        )
        return root
    chosen = known[preset]
    if not isinstance(chosen.value, dict):
        return root
    return merge(
        root,
        Node({key: chosen.value[key] for key in PRESET_KEYS if key in chosen.value}, chosen.where),
        True,
    )


def with_overrides(root: Node, overrides: Sequence[str], mistakes: Mistakes) -> Node:
    """``--set`` arguments on top, in the order given."""
    for argument in overrides:
        root = with_override(root, argument, mistakes)
    return root


def with_override(root: Node, argument: str, mistakes: Mistakes) -> Node:
    """Set one value: ``train.config.epochs=5``. The first word is a stage, the second a key of a
    stage."""
    where = f"--set {argument}"
    path, equals, text = argument.partition("=")
    words = tuple(path.strip().split("."))
    if not equals or len(words) < 2 or not all(words):
        mistakes.add(where, "must be STAGE.KEY...=VALUE, as in --set train.config.epochs=5")
        return root
    stages = root.child("stages")
    known: dict[Any, Node] = stages.value if stages and isinstance(stages.value, dict) else {}
    if words[0] not in known:
        mistakes.add(where, f"no stage '{words[0]}'{near(words[0], map(str, known))}")
        return root
    if words[1] not in STAGE_KEYS:
        mistakes.add(
            where, f"stage '{words[0]}' has no key '{words[1]}'{near(words[1], STAGE_KEYS)}"
        )
        return root
    value = read(text, "", mistakes, where)
    if value is None:
        return root
    try:
        return put(root, ("stages", *words), value)
    except KeyError as error:
        mistakes.add(
            where,
            f"'{error.args[0]}' lies below a value that is not a mapping; set that value whole",
        )
        return root


def in_order(stages: dict[str, Stage], mistakes: Mistakes) -> tuple[Stage, ...]:
    """Stages so that each follows what it needs, in the file's order where that is free. Cycles and
    unknown names are mistakes.

    Stages of a cycle, and those that need one, are left out.
    """
    for stage in stages.values():
        for key, names in (
            ("for_each", [stage.for_each] if stage.for_each else []),
            ("after", stage.after),
        ):
            for name in names:
                if name not in stages:
                    mistakes.add(
                        stage.place(key),
                        f"stage '{stage.name}': {key}: no stage '{name}'{near(name, stages)}",
                    )
        for gate in stage.gates:
            if gate.of not in stages:
                mistakes.add(
                    gate.place("of").where,
                    f"stage '{stage.name}': {gate.key}: no stage "
                    f"'{gate.of}'{near(gate.of, stages)}",
                )
    ordered: dict[str, Stage] = {}
    while True:
        ready = next(
            (
                stage
                for stage in stages.values()
                if stage.name not in ordered
                and all(name in ordered or name not in stages for name in stage.follows)
            ),
            None,
        )
        if ready is None:
            break
        ordered[ready.name] = ready
    left = {name: stage for name, stage in stages.items() if name not in ordered}
    if left:
        cycle = find_cycle(left)
        first = stages[cycle[0]]
        key = next(
            key
            for key, names in (
                ("after", first.after),
                ("for_each", (first.for_each,)),
                *((gate.key, (gate.of,)) for gate in first.gates),
            )
            if cycle[1] in names
        )
        mistakes.add(
            first.place(key),
            f"stage '{first.name}' waits for itself: {' -> '.join(cycle)}; take one of "
            f"them out of '{key}'",
        )
    return tuple(ordered.values())


def find_cycle(stages: dict[str, Stage]) -> list[str]:
    """A cycle among stages that all need one another or a cycle: follow needs until a name comes
    back."""
    trail = [next(iter(stages))]
    while True:
        following = next(name for name in stages[trail[-1]].follows if name in stages)
        if following in trail:
            return [*trail[trail.index(following) :], following]
        trail.append(following)
