"""Stages -> drafts: which jobs there will be, before the config of any is made.

What goes in: the stages of an experiment, each behind the ones it needs. What comes out: a draft
per job with its name, its point and the jobs it waits for. Called by ``expand``, which needs all
drafts at hand when it makes the first config: a config may refer to jobs of other stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from jobs.choices import FOLDER as CHOICES
from jobs.choices import LINK
from jobs.ranking import SEED
from jobs.searches import POINT
from jobs.spec import Replaced
from jobs.stages import PAIR_AXES, Point, Scalar, folder_names, job_name, same
from orchestrator.description.stage import Best, Stage
from orchestrator.description.stage_reader import check_axes
from orchestrator.description.sweeps.joined import only_seeds
from orchestrator.node.own_results import FILES
from orchestrator.planning.reads import check_reads
from orchestrator.planning.replacements import Place, check_replacements, places_of_each
from orchestrator.planning.sizes import points_below, too_many, too_much_judged

Axes = dict[str, tuple[Scalar, ...]]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A job to be: where it stands, before its config is made."""

    name: str
    stage: Stage
    point: Point
    place: Place
    """The same, with what it was before another took its place."""
    parent: str | None
    """The job of the ``for_each`` stage that this one follows."""
    after: tuple[str, ...]
    candidates: tuple[Draft, ...] = ()
    """The jobs of the ``for_each`` stage of which it follows the best one, in place of a parent."""
    short: bool = False
    """A short variant of the stage's first job, made for its ``canary``."""

    @property
    def replaces(self) -> str:
        """Name of the job whose place it takes; empty if it takes none."""
        return job_name(self.stage_name, self.place.before) if self.place.reason else ""

    @property
    def known_later(self) -> tuple[str, ...]:
        """Axes whose values are known once it is chosen what it follows, or its round is drawn."""
        names = [axis for one in self.candidates for axis in (*one.point, *later_axes(one.stage))]
        return tuple(dict.fromkeys([*names, *later_axes(self.stage)]))

    @property
    def follows(self) -> tuple[str, ...]:
        """Names of the jobs that it comes after, also those of which it follows one."""
        return (*(one.name for one in self.candidates), *self.after)

    @property
    def stage_name(self) -> str:
        """The stage's name; a short canary is a stage of its own, so that nothing takes its results
        for the stage's."""
        return canary_name(self.stage) if self.short else self.stage.name


@dataclass(frozen=True, kw_only=True)
class Drafts:
    """All jobs to be."""

    stages: Mapping[str, Stage]
    by_stage: Mapping[str, Sequence[Draft]]
    """The points of each stage; a short canary is not among them."""
    canaries: Mapping[str, Draft]
    """The short canary of each stage that has one."""
    sound: Mapping[str, bool]
    """Of each stage whether it and all it needs are without a mistake: what follows from another
    mistake is not worth telling."""
    by_name: Mapping[str, Draft]
    """In the order of the plan: a short canary before its stage."""
    folders: Mapping[str, str]
    """Each job's folder below the run's."""

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each job stands in the plan."""
        return {name: number for number, name in enumerate(self.by_name)}

    @cached_property
    def replaced(self) -> list[Replaced]:
        """The jobs that take the place of others."""
        return [
            Replaced(job=draft.replaces, by=draft.name, reason=draft.place.reason)
            for draft in self.by_name.values()
            # A short canary counts for nothing.
            if draft.replaces and not draft.short
        ]

    def out(self, name: str) -> str:
        """Where a job leaves its files."""
        return f"{{run}}/{self.folders[name]}/out"

    def parent_out(self, draft: Draft) -> str | None:
        """Where the job that this one follows leaves its files: its ``for_each`` parent, or the
        best one of its candidates."""
        if draft.candidates:
            return f"{self.choice_folder(draft)}/{LINK}/out"
        return None if draft.parent is None else self.out(draft.parent)

    def parent_files(self, draft: Draft) -> str:
        """The same, where that one's program has written into: a command has a folder of its own
        below."""
        one = draft.candidates[0] if draft.candidates else self.by_name[str(draft.parent)]
        out = str(self.parent_out(draft))
        return f"{out}/{FILES}" if one.stage.engine is None else out

    def choice_folder(self, draft: Draft) -> str:
        """Where it is kept which of its candidates a job follows."""
        return f"{{run}}/{CHOICES}/{PurePosixPath(self.folders[draft.name]).name}"


def later_axes(stage: Stage) -> tuple[str, ...]:
    """The axes of a stage's search."""
    return tuple(stage.search.axes) if stage.search is not None else ()


def canary_name(stage: Stage) -> str:
    """Name of the short first job of a stage."""
    return f"{stage.name}-canary"


def draft_all(stages: Sequence[Stage], mistakes: Mistakes) -> Drafts:
    """The drafts of all stages."""
    by_stage: dict[str, list[Draft]] = {}
    canaries: dict[str, Draft] = {}
    sound: dict[str, bool] = {}
    names = {stage.name for stage in stages}
    for stage in stages:
        # The stages come in order, so those that this one needs have been seen. One that is not
        # there is not sound either.
        sound[stage.name] = stage.sound and all(sound.get(name, False) for name in stage.needs)
        by_stage[stage.name] = draft_stage(stage, by_stage, sound[stage.name], mistakes)
        canary = short_canary(stage, by_stage[stage.name])
        if canary is not None:
            canaries[stage.name] = canary
            check_canary_name(stage, names, mistakes)
    # A short canary goes before its stage, whose jobs wait for it: a plan is in runnable order.
    ordered: list[Draft] = []
    for stage in stages:
        if stage.name in canaries:
            ordered.append(canaries[stage.name])
        ordered += by_stage[stage.name]
    folders = folder_names([draft.name for draft in ordered])
    return Drafts(
        stages={stage.name: stage for stage in stages},
        by_stage=by_stage,
        canaries=canaries,
        sound=sound,
        by_name={draft.name: draft for draft in ordered},
        folders={name: f"jobs/{folder}" for name, folder in folders.items()},
    )


def draft_stage(
    stage: Stage, drafted: Mapping[str, Sequence[Draft]], sound: bool, mistakes: Mistakes
) -> list[Draft]:
    """The points of a stage: its own product, for each job of its parent."""
    # None without `for_each`, or where its stage is missing or empty, which has been told.
    parents = drafted.get(stage.for_each or "", ())
    mistakes_before = len(mistakes.lines)
    matrix = {axis: entry.values for axis, entry in stage.matrix.items()}
    check_stage_axes(stage, parents, matrix, sound, mistakes)
    # `after` waits for every job of a stage. One that is named in both counts as `for_each`.
    others = [name for name in stage.after if name != stage.for_each]
    waits = tuple(draft.name for name in others for draft in drafted.get(name, ()))
    above = places_above(stage, parents, mistakes)
    before = sum(map(len, drafted.values()))
    parts = [place for place, _, _ in above]
    own = points_below(stage, parts)
    if too_many(stage, before, own, len(waits), mistakes):
        return []
    judged = own // max(1, len(above)) * sum(len(candidates) for _, _, candidates in above)
    if too_much_judged(stage, "for_each", own, judged, mistakes):
        return []
    drafts = []
    places = []
    placed = places_of_each(stage, parts)
    for (_, parent, candidates), below in zip(above, placed, strict=True):
        after = waits if parent is None else (parent, *waits)
        drafts += [draft_of(stage, one, parent, after, candidates) for one in below]
        places += below
    if sound:
        check_replacements(stage, places, mistakes)
    # With a mistake here or further up it may be empty for that reason alone.
    if not drafts and sound and len(mistakes.lines) == mistakes_before:
        mistakes.add(
            stage.place("exclude"),
            f"stage '{stage.name}': 'exclude' leaves no job; exclude less, or take the stage out",
        )
    return drafts


Above = tuple[Place, str | None, tuple[Draft, ...]]
"""A point that a stage's own axes multiply with; the job that is followed, and those of which one
is."""


def places_above(stage: Stage, parents: Sequence[Draft], mistakes: Mistakes) -> list[Above]:
    """What the own axes of a stage multiply with: its parents, the groups of which it follows the
    best, or a single point without axes."""
    if stage.best is not None:
        groups = best_groups(stage, stage.best, parents, mistakes)
        return [(place, None, candidates) for place, candidates in groups]
    if parents:
        return [(parent.place, parent.name, ()) for parent in parents]
    return [(Place(point={}, before={}), None, ())]


def draft_of(
    stage: Stage,
    place: Place,
    parent: str | None,
    after: tuple[str, ...],
    candidates: tuple[Draft, ...],
) -> Draft:
    """One job to be."""
    return Draft(
        name=job_name(stage.name, place.point),
        stage=stage,
        point=place.point,
        place=place,
        parent=parent,
        after=after,
        candidates=candidates,
    )


def best_groups(
    stage: Stage, best: Best, parents: Sequence[Draft], mistakes: Mistakes
) -> list[tuple[Place, tuple[Draft, ...]]]:
    """The jobs among which is chosen, by their values on the axes of ``per``."""
    known = axes_of(parents)
    for axis in best.per:
        if parents and axis not in known:
            mistakes.add(
                stage.place("for_each"),
                f"stage '{stage.name}': for_each: per: '{stage.for_each}' has no axis '{axis}'"
                f"{near(axis, known)}",
            )
            return []
    groups: dict[str, list[Draft]] = {}
    for parent in parents:
        # By text, as in names: to Python 1, 1.0 and True are one key.
        key = job_name("", {axis: parent.point[axis] for axis in best.per})
        groups.setdefault(key, []).append(parent)
    found = []
    for group in groups.values():
        first = group[0].place
        point = {axis: first.point[axis] for axis in best.per}
        before = {axis: first.before[axis] for axis in best.per}
        reason = first.reason if before != point else ""
        found.append((Place(point=point, before=before, reason=reason), tuple(group)))
    return found


def check_stage_axes(
    stage: Stage, parents: Sequence[Draft], own: Axes, sound: bool, mistakes: Mistakes
) -> None:
    """The stage's own axes go together with those that come from its parents."""
    inherited = axes_of(parents)
    later = set(later_axes(stage))
    if stage.best is not None:
        per = stage.best.per
        of_search = [axis for one in parents[:1] for axis in later_axes(one.stage)]
        later |= {*inherited, *of_search} - set(per)
        inherited = {axis: values for axis, values in inherited.items() if axis in per}
    own = {**axes_of_search(stage, inherited, mistakes), **own}
    for axis in stage.matrix:
        if axis in inherited:
            mistakes.add(
                stage.place("matrix"),
                f"stage '{stage.name}': axis '{axis}' comes from '{stage.for_each}' already; "
                "rename it",
            )
    for axis, values in axes_of_pairs(stage).items():
        known = inherited.get(axis, values)
        for value in values:
            if not any(same(value, one) for one in known):
                mistakes.add(
                    stage.place("pairs"),
                    f"stage '{stage.name}': pairs: axis '{axis}' of '{stage.for_each}' has no "
                    f"value {value!r}; its values: {', '.join(map(repr, known))}",
                )
        own = {axis: values, **own}
    if sound:
        check_axes(stage, {**inherited, **own}, mistakes, frozenset(later))
        check_reads(stage, {**inherited, **own}, mistakes)


def axes_of_search(stage: Stage, inherited: Axes, mistakes: Mistakes) -> Axes:
    """The axis that numbers the points of a search; nothing that comes from a parent but seeds
    multiplies with it."""
    if stage.search is None:
        return {}
    for axis in inherited:
        if axis != SEED:
            mistakes.add(
                stage.place("for_each"), f"stage '{stage.name}': search: {only_seeds(axis)}"
            )
    return {POINT: tuple(range(stage.search.rounds * stage.search.n))}


def axes_of_pairs(stage: Stage) -> Axes:
    """The two axes of a stage's pairs with their values; none without pairs."""
    both = zip(*stage.pairs, strict=True)
    return {
        axis: tuple(dict.fromkeys(values))
        for axis, values in zip(PAIR_AXES, both, strict=bool(stage.pairs))
    }


def axes_of(drafts: Sequence[Draft]) -> Axes:
    """The axes of some jobs with their values, each once."""
    values: dict[str, dict[tuple[type, Scalar], Scalar]] = {}
    for draft in drafts:
        for axis, value in draft.point.items():
            # To Python 1, 1.0 and True are the same key; as values of an axis they are three.
            values.setdefault(axis, {})[type(value), value] = value
    return {axis: tuple(each.values()) for axis, each in values.items()}


def short_canary(stage: Stage, drafts: Sequence[Draft]) -> Draft | None:
    """The short first job of a stage whose ``canary`` says how to shorten it."""
    if stage.canary is None or not isinstance(stage.canary.value, dict) or not drafts:
        return None
    # The first job's point and parent, so that it tries what the first job would do.
    return replace(drafts[0], name=canary_name(stage), short=True)


def check_canary_name(stage: Stage, names: set[str], mistakes: Mistakes) -> None:
    """No other stage has the name of a short canary."""
    name = canary_name(stage)
    if name in names:
        mistakes.add(
            stage.place("canary"),
            f"stage '{stage.name}': 'canary' makes a job '{name}', and a stage has that name; "
            "rename it",
        )


def canary_of(draft: Draft, drafts: Drafts) -> str | None:
    """The job that must succeed before this one starts."""
    stage = draft.stage
    # Without a short variant (`canary: true`) the first job is the canary itself.
    if stage.canary is None or draft.short:
        return None
    first = drafts.canaries.get(stage.name, drafts.by_stage[stage.name][0])
    return None if first.name == draft.name else first.name
