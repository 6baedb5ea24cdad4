"""From the keys of a stage, as a person wrote them, to a checked ``Stage``; every mistake is told
with its line.

What goes in: the nodes of a stage. What comes out: a ``Stage`` (``stage``) of what is right in it.
The keys and what each may be are defined by the model (``keys.StageFile``); what several
keys say together is checked here. Called by ``experiment``, and by `orch evolve` for its own two
stages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node, shown
from jobs.spec import Resources
from jobs.stages import (
    PAIR_AXES,
    Pair,
    Point,
    Scalar,
    literal,
    ordered_pairs,
    placeholders,
    same,
    unordered_pairs,
    value_text,
)
from orchestrator.description.checking import Tell, checked
from orchestrator.description.gate_reader import check_limits, read_gates
from orchestrator.description.keys import StageFile
from orchestrator.description.stage import Axis, Best, Read, Replacement, Searched, Stage
from orchestrator.description.sweeps.axis_keys import BestFile
from orchestrator.description.sweeps.joined import (
    axes_of_drawn,
    check_drawn,
    check_one_place,
    check_search,
    check_zip,
    drawn,
    numbered,
    searched,
    zipped,
)

CHECKPOINT = "checkpoint"
"""``{checkpoint}`` in a command whose stage has ``checkpoints: last`` or ``best``."""
FOLLOWED = "for_each"
"""``{for_each}`` in a command whose stage has ``for_each``: the folder that the job which it
follows has written into."""


def read_stage(name: str, node: Node, mistakes: Mistakes) -> Stage:
    """Check a stage; what is wrong is left out of the result, which is then not ``sound``."""
    before = len(mistakes.lines)

    def tell(place: Node, text: str) -> None:
        mistakes.add(place.where, f"stage '{name}': {text}")

    written, good = written_stage(node, tell)
    axes = axes_read(written, good)
    # Of what was written: an engine of a wrong kind beside a command is two programs all the same.
    if isinstance(node.value, dict):
        check_program(node, tell)
        check_axes_read(axes, written, good, node, tell)
        check_limits(node, tell)
        check_sharing(written, node, tell)
    return Stage(
        name=name,
        node=node,
        engine=written.engine or None,
        command=tuple(literal(word) for word in written.command) or None,
        matrix=axes.all,
        joined=axes.joined,
        search=axes.search,
        metrics={name: one.metric(name) for name, one in written.metrics.items()},
        reads=tuple(Read(**one.model_dump()) for one in written.reads),
        pairs=axes.pairs,
        exclude=tuple(written.exclude),
        replacements=replacements_of(written, good),
        for_each=for_each_of(written),
        best=best_of(written),
        after=tuple(dict.fromkeys(written.after)),
        gates=read_gates(written, good),
        checkpoints=written.checkpoints or None,
        resources=resources_of(written),
        options=written.options,
        pack=written.pack,
        at_once=written.at_once,
        canary=good.child("canary") if written.canary else None,
        config=config_of(good, node),
        sound=len(mistakes.lines) == before,
    )


def written_stage(node: Node, tell: Tell) -> tuple[StageFile, Node]:
    """What is right in a stage, as a model and as nodes."""
    written, good = checked(StageFile, node, tell)
    if written is None:
        # `stages: {train: 4}`: an empty stage takes its place, so that the rest is still read.
        return StageFile(), Node({}, node.where)
    return written, good


def resources_of(written: StageFile) -> Resources:
    """What one job asks for."""
    return Resources(**written.resources.model_dump()) if written.resources else Resources()


def config_of(good: Node, node: Node) -> Node:
    """The config; an empty one where nothing is written."""
    config = good.child("config")
    return config if config and config.value is not None else Node({}, node.where)


@dataclass(frozen=True, kw_only=True)
class StageAxes:
    """The axes of a stage, by the key that they are written under."""

    zipped: dict[str, Axis]
    drawn: dict[str, Axis]
    own: dict[str, Axis]
    """Those of the matrix."""
    points: tuple[Point, ...]
    """Those that were drawn."""
    search: Searched | None
    pairs: tuple[Pair, ...]

    @property
    def all(self) -> dict[str, Axis]:
        """Every axis that sets or brings config, in the order of the names of jobs."""
        return {**self.zipped, **self.drawn, **self.own}

    @property
    def joined(self) -> tuple[tuple[Point, ...], ...]:
        """Axes that vary together, each set of them as the points that it has."""
        sets = (zipped(self.zipped), self.points, numbered(self.search))
        return tuple(found for found in sets if found)


def axes_read(written: StageFile, good: Node) -> StageAxes:
    """The axes of a stage, of what is right in it."""
    points = drawn(written.random)
    return StageAxes(
        zipped=axes_of(good, "zip"),
        drawn=axes_of_drawn(points, good.child("random")),
        own=axes_of(good, "matrix"),
        points=points,
        search=searched(written.search),
        pairs=tuple(pairs_of(written)),
    )


def check_axes_read(
    axes: StageAxes, written: StageFile, good: Node, node: Node, tell: Tell
) -> None:
    """What can be said of the axes of a stage by itself."""
    check_values(axes.own, node, tell)
    check_config_free(axes.zipped, node, tell)
    check_zip(axes.zipped, good, tell)
    check_drawn(axes.points, written.random, good, tell)
    check_one_place({"zip": axes.zipped, "random": axes.drawn, "matrix": axes.own}, tell)
    check_search(axes.search, axes.own, node, tell)
    check_pairs(axes.pairs, axes.all, node, tell)


def for_each_of(written: StageFile) -> str | None:
    """The stage that this one follows job by job, or of which it follows the best."""
    parent = written.for_each
    return (parent.of if isinstance(parent, BestFile) else parent) or None


def best_of(written: StageFile) -> Best | None:
    """Which job of that stage is the best."""
    parent = written.for_each
    if not isinstance(parent, BestFile):
        return None
    per = tuple(dict.fromkeys(parent.per))
    return Best(metric=parent.best, per=per, where=dict(parent.where))


def axes_of(good: Node, key: str) -> dict[str, Axis]:
    """The axes below ``matrix`` or ``zip``, with the place of each value."""
    matrix = good.child(key)
    entries = listed_nodes(good.child("replace"))
    axes = {}
    for name, node in matrix.value.items() if matrix else ():
        brings_config = isinstance(node.value, dict)
        values = tuple(node.value) if brings_config else tuple(item.value for item in node.value)
        nodes = tuple(node.value.values()) if brings_config else tuple(node.value)
        by = [entry.value["by"].value[name] for entry in entries if name in entry.value["by"].value]
        replacing = tuple((one.value, one) for one in by)
        axes[name] = Axis(
            values=values, nodes=nodes, brings_config=brings_config, replacing=replacing
        )
    return axes


def listed_nodes(node: Node | None) -> list[Node]:
    """One entry or a list of them; none of what is not there."""
    if node is None:
        return []
    return list(node.value) if isinstance(node.value, list) else [node]


def replacements_of(written: StageFile, good: Node) -> tuple[Replacement, ...]:
    """What the stage replaces, with the place of each."""
    # Both come from the nodes that are right, so they are equally many.
    both = zip(written.replace, listed_nodes(good.child("replace")), strict=True)
    return tuple(
        Replacement(node=node, where=one.where, by=one.by, reason=one.reason) for one, node in both
    )


def pairs_of(written: StageFile) -> list[Pair]:
    """The pairs of a stage, in their order."""
    if isinstance(written.pairs, list):
        return [(first, second) for first, second in written.pairs]
    found: list[Pair] = []
    for kind, values in written.pairs.items():
        found += ordered_pairs(values) if kind == "ordered" else unordered_pairs(values)
    return found


def check_program(node: Node, tell: Tell) -> None:
    """An engine or a command, and of a command nothing that only engines have."""
    command = node.child("command")
    # Equal: both are there, or neither.
    if (node.child("engine") is None) == (command is None):
        mend = "add one" if command is None else "keep one of the two"
        tell(node, f"needs exactly one of 'engine' and 'command'; {mend}")
    metrics = node.child("metrics")
    if command is None:
        if metrics is not None:
            tell(metrics, "'metrics' are what a command measures; an engine has its own, leave out")
        if node.child("reads") is not None:
            tell(node.value["reads"], "an engine says itself how far it is; leave 'reads' out")
        return
    config, canary = node.child("config"), node.child("canary")
    if config is not None:
        tell(config, "a command has no 'config'; give the values as arguments: --lr {lr}")
    if canary is not None and isinstance(canary.value, dict) and canary.value:
        tell(canary, "a command has no config to shorten; write canary: true")


def check_values(matrix: Mapping[str, Axis], node: Node, tell: Tell) -> None:
    """No axis has a value twice, as it would stand in the jobs' names; a command takes no
    config."""
    for name, axis in matrix.items():
        seen: dict[str, str] = {}
        for value, place in zip(axis.values, axis.nodes, strict=True):
            # By its text: 1 and "1" differ as values, and would make two jobs of the same name.
            text, said = value_text(value), literal(value)
            if seen.get(text, said) != said:
                tell(
                    place,
                    f"axis '{name}': {seen[text]} and {said} would both be {text} in the names of "
                    "jobs, which have a to z, digits and ._+:@/- alone; write one otherwise",
                )
            elif text in seen:
                tell(place, f"axis '{name}' has the value {text} twice; remove one")
            seen[text] = said
    check_config_free(matrix, node, tell)


def check_config_free(axes: Mapping[str, Axis], node: Node, tell: Tell) -> None:
    """No value of an axis brings config for a command."""
    for name, axis in axes.items() if node.child("command") else ():
        for value, place in zip(axis.values, axis.nodes, strict=True):
            if axis.brings_config and place.value:
                text = value_text(value)
                tell(
                    place,
                    f"axis '{name}', value {text}: a command has no config; use a list of values",
                )


def check_pairs(pairs: Sequence[Pair], matrix: Mapping[str, Axis], node: Node, tell: Tell) -> None:
    """No pair is there twice or pairs a value with itself, and no axis has a name of theirs."""
    if not pairs:
        return
    place = node.value["pairs"]
    seen: set[tuple[str, str]] = set()
    for first, second in pairs:
        pair = (value_text(first), value_text(second))
        shown_pair = f"[{', '.join(pair)}]"
        if pair in seen:
            tell(place, f"pairs: {shown_pair} is there twice; remove one")
        if pair[0] == pair[1]:
            tell(place, f"pairs: {shown_pair} pairs a value with itself; take it out")
        seen.add(pair)
    for axis in PAIR_AXES:
        if axis in matrix:
            tell(
                matrix[axis].nodes[0],
                f"axis '{axis}' comes from 'pairs' already; rename it",
            )


def check_sharing(written: StageFile, node: Node, tell: Tell) -> None:
    """What ``pack`` and ``checkpoints`` need of other keys."""
    nodes = written.resources.nodes if written.resources else 1
    # The members of a pack are forks of one process, and so on one node.
    if written.pack > 1 and nodes > 1:
        tell(
            node.value["pack"],
            f"'pack' puts several jobs on one node, and each asks for {nodes} nodes; "
            "take one of the two out",
        )
    elif written.engine and nodes > 1:
        tell(
            node.value["resources"].value["nodes"],
            f"engine '{written.engine}' runs on one node, and 'nodes' is {nodes}; take it out "
            "(a command may have several)",
        )
    if written.at_once is not None and written.pack == 1:
        tell(node.value["at_once"], "'at_once' says how many of a pack run at a time; add 'pack'")
    if written.checkpoints and node.child("for_each") is None:
        tell(
            node.value["checkpoints"],
            "'checkpoints' needs 'for_each', which says whose checkpoints",
        )


def check_excludes(
    stage: Stage, axes: Mapping[str, tuple[Scalar, ...]], tell: Callable[[str, str], None]
) -> None:
    """Every entry of ``exclude`` names axes and values that are there."""
    excludes = stage.node.child("exclude")
    for entry in excludes.value if excludes else ():
        for axis, value in entry.value.items():
            if axis not in axes:
                tell(value.where, f"exclude: no axis '{axis}'{near(axis, axes)}")
            # Exactly as written: `{seed: "0"}` excludes no job of the seed 0, and would be without
            # effect.
            elif not any(same(value.value, known) for known in axes[axis]):
                values = ", ".join(map(repr, axes[axis]))
                wrong = shown(value.glimpse())
                tell(
                    value.where,
                    f"exclude: axis '{axis}' has no value {wrong}; its values: {values}",
                )


def check_axes(
    stage: Stage,
    axes: Mapping[str, tuple[Scalar, ...]],
    mistakes: Mistakes,
    of_chosen: Set[str] = frozenset(),
) -> None:
    """What can only be said once the axes of the ``for_each`` parent are known too: ``exclude`` and
    ``{axis}`` in a command. ``of_chosen``: axes of the best job, whose values are known later."""

    def tell(where: str, text: str) -> None:
        mistakes.add(where, f"stage '{stage.name}': {text}")

    check_excludes(stage, axes, tell)
    used = [axis for argument in stage.command or () for axis in placeholders(argument)]
    if CHECKPOINT in used and CHECKPOINT not in axes and stage.checkpoints is not None:
        used = [axis for axis in used if axis != CHECKPOINT]
        if stage.checkpoints not in ("last", "best"):
            tell(
                stage.place("command"),
                f"command: {{{CHECKPOINT}}} stands for one checkpoint; write checkpoints: last or "
                "best, or read the list in $ORCH_CHECKPOINTS",
            )
    if stage.for_each is not None:
        used = [axis for axis in used if axis != FOLLOWED]
    for axis in dict.fromkeys(used):
        if axis not in axes and axis not in of_chosen:
            tell(
                stage.place("command"),
                f"command: no axis '{axis}' to put in place of {{{axis}}}{near(axis, axes)} "
                f"(for a literal: {{{{{axis}}}}})",
            )
