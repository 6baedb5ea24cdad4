"""Stages -> jobs: all jobs are drafted, then all are finished, with whole configs and identities.

What goes in: the checked stages, each behind the ones it needs. What comes out: the jobs in an
order in which they can run, and the gates by stage; with mistakes neither is complete. Called by
the planner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from engines.contract.counting.counts import counted
from engines.contract.metrics import METRICS
from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node
from jobs.choices import Choice
from jobs.gates import Condition
from jobs.searches import Search
from jobs.spec import Chain, Job, Replaced
from jobs.stages import Point, fill, identity, placeholders
from orchestrator.description.catalogue import config_class, refusal
from orchestrator.description.checking import Tell
from orchestrator.description.engine_config import validate, wants_results
from orchestrator.description.gate_reader import GateSpec, Judged, check_metric, resolve
from orchestrator.description.stage import Stage
from orchestrator.description.stage_reader import CHECKPOINT, FOLLOWED
from orchestrator.planning.distinct import tell_same_content, tell_same_work
from orchestrator.planning.drafts import Draft, Drafts, canary_of, draft_all
from orchestrator.planning.job_config import JobConfig
from orchestrator.planning.reads import READS, reads_of, tell_same_files
from orchestrator.planning.same_start import tell_other_start
from orchestrator.planning.searches import check_keys, direction, identities_of, searches_of
from orchestrator.planning.sizes import too_much_judged


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What stages become."""

    jobs: list[Job]
    """In an order in which each follows the ones it waits for."""
    gates: dict[str, tuple[Condition, ...]]
    """By stage, or by job where they are each job's own."""
    choices: dict[str, Choice]
    """By job."""
    searches: dict[str, Search]
    """By stage."""
    replaced: tuple[Replaced, ...]
    chains: dict[str, Chain]
    """By stage."""


def expand(stages: Sequence[Stage], mistakes: Mistakes) -> Expansion:
    """All jobs, in runnable order if ``stages`` are, and what is said of them. With mistakes the
    result is not complete."""
    drafts = draft_all(stages, mistakes)
    choices = choices_of(drafts, mistakes)
    searches = searches_of(drafts, mistakes)
    jobs = finish_all(drafts, choices, searches, mistakes)
    tell_same_content(jobs, drafts, mistakes)
    tell_same_work(jobs, drafts, mistakes)
    tell_other_start(jobs, drafts, mistakes)
    tell_same_files(jobs, drafts.stages, mistakes)
    return Expansion(
        jobs=jobs,
        gates=gates_of(drafts, mistakes),
        choices=choices,
        searches=searches,
        replaced=tuple(drafts.replaced),
        chains=chains_of(stages),
    )


def chains_of(stages: Sequence[Stage]) -> dict[str, Chain]:
    """What each stage follows and does."""
    found = {}
    for stage in stages:
        does = counts = ""
        if stage.engine is not None and not refusal(stage.engine):
            kind = config_class(stage.engine)
            does, counts = kind.DOES, kind.COUNTS
        # A job after the best of several is none of a chain.
        for_each = "" if stage.best is not None else stage.for_each or ""
        directions = {name: one.higher_is_better for name, one in stage.metrics.items()}
        better = {name: higher for name, higher in directions.items() if higher is not None}
        found[stage.name] = Chain(for_each=for_each, does=does, counts=counts, better=better)
    return found


def finish_all(
    drafts: Drafts,
    choices: Mapping[str, Choice],
    searches: dict[str, Search],
    mistakes: Mistakes,
) -> list[Job]:
    """The jobs of all drafts that nothing is wrong with."""
    kinds = {stage.name: engine_of(stage, mistakes) for stage in drafts.stages.values()}
    finished: dict[str, Job] = {}
    identities: dict[str, str] = {}  # by folder, as configs name other jobs
    for draft in counted("planning jobs", drafts.by_name.values()):
        # Some mistakes are told without a program being refused: `..` in a reference.
        before = len(mistakes.lines)
        program = program_of(draft, kinds[draft.stage.name], drafts, mistakes)
        if program is None or len(mistakes.lines) > before:
            continue
        if not drafts.sound[draft.stage.name] or any(
            name not in finished for name in draft.follows
        ):
            continue
        parents = [finished[name].identity for name in draft.after]
        parents += identities_of(draft, drafts, searches)
        if draft.name in choices:
            # What lies behind its choice is named by all among which is chosen.
            parents.append(identity_of_choice(choices[draft.name], finished))
            identities[drafts.choice_folder(draft)] = parents[-1]
        own = identity(
            draft.stage.engine, *program[:2], parents, identities, told(draft, drafts.by_name)
        )
        finished[draft.name] = job_of(draft, program, own, drafts)
        identities[f"{{run}}/{drafts.folders[draft.name]}"] = own
    return list(finished.values())


def told(draft: Draft, by_name: Mapping[str, Draft]) -> Point:
    """The axes of a command that it does not name, and finds in its environment (ORCH_AXES). Those
    of the job that it follows are part of what that one is."""
    if draft.stage.command is None:
        return {}
    named = {axis for argument in draft.stage.command for axis in placeholders(argument)}
    inherited = by_name[draft.parent].point if draft.parent is not None else {}
    return {
        axis: value
        for axis, value in draft.point.items()
        if axis not in named and axis not in inherited
    }


def job_of(draft: Draft, program: Program, own: str, drafts: Drafts) -> Job:
    """A draft as a job with this identity."""
    command, config, references = program
    if draft.stage.engine is None and draft.stage.reads:
        # No part of the identity: a mended one is taken in without running the command again.
        config = {**config, READS: reads_of(draft.stage, draft.point)}
    # A gate that skips one of these takes this job along; without another parent it still runs.
    needed = {draft.parent, *references}
    return Job(
        name=draft.name,
        stage=draft.stage_name,
        axes=draft.point,
        engine=draft.stage.engine,
        command=command,
        config=config,
        resources=draft.stage.resources,
        options=draft.stage.options,
        after=draft.after,
        requires=tuple(name for name in draft.after if name in needed),
        folder=drafts.folders[draft.name],
        identity=own,
        pack=1 if draft.short else draft.stage.pack,
        at_once=None if draft.short else draft.stage.at_once,
        canary=canary_of(draft, drafts),
    )


def identity_of_choice(choice: Choice, finished: Mapping[str, Job]) -> str:
    """What a choice is, whichever job it takes."""
    return choice.identity({name: finished[name].identity for name in choice.jobs})


Program = tuple[tuple[str, ...] | None, dict[str, Any], set[str]]
"""What a job runs: the command of a command, the config of an engine and the jobs that it names."""


def program_of(
    draft: Draft, kind: type[BaseModel] | None, drafts: Drafts, mistakes: Mistakes
) -> Program | None:
    """What a job runs, or None with the mistakes told."""
    stage, sound = draft.stage, drafts.sound[draft.stage.name]
    if kind is not None:
        builder = JobConfig(draft, drafts, mistakes)
        checked = validate(kind, builder.make(kind), stage, sound, mistakes)
        if checked is None:
            return None
        # With the defaults filled in, so that the identity changes with a default of the engine.
        return None, checked.model_dump(mode="json"), builder.references
    # With a mistake anywhere the plan is given up, and placeholders may name axes that are not
    # there.
    if stage.command is None or not sound or mistakes.lines:
        return None
    # What varies among the jobs of which it follows the best is known when that is chosen, and the
    # values of a search when its round is drawn.
    later = {axis: f"{{{axis}}}" for axis in draft.known_later}
    point: Point = {**later, **draft.point}
    parent = drafts.parent_out(draft)
    if parent is None:
        return fill(stage.command, point), {}, set()
    config: dict[str, Any] = {}
    needed: set[str] = set()
    # What the job that it follows leaves is known when it starts: its node fills these in.
    if FOLLOWED not in point and is_named(stage.command, FOLLOWED):
        point = {**point, FOLLOWED: f"{{{FOLLOWED}}}"}
        config["followed"] = drafts.parent_files(draft)
    if stage.checkpoints is not None:
        point = {**point, CHECKPOINT: f"{{{CHECKPOINT}}}"}
        config["models"] = {"folder": parent, "checkpoints": stage.checkpoints}
    if config and draft.parent:
        needed = {draft.parent}
    return fill(stage.command, point), config, needed


def is_named(command: Sequence[str], word: str) -> bool:
    """Whether a command asks for ``{word}``."""
    return any(word in placeholders(argument) for argument in command)


def engine_of(stage: Stage, mistakes: Mistakes) -> type[BaseModel] | None:
    """The ``Config`` of a stage's engine, and the checks that need only it."""

    def add(where: str, text: str) -> None:
        mistakes.add(where, f"stage '{stage.name}': {text}")

    if stage.engine is None:
        return None
    if refusal(stage.engine):
        return None  # told when the file was read
    kind = config_class(stage.engine)
    for axis, entry in stage.matrix.items():
        # An axis written as a list is a config key of that name: `seed: [0, 1]`.
        if not entry.brings_config and axis not in kind.model_fields:
            add(
                entry.nodes[0].where,
                f"axis '{axis}' sets the config key '{axis}', which no engine '{stage.engine}' "
                f"reads{near(axis, kind.model_fields)}",
            )
    check_keys(stage, kind, mistakes)
    if stage.checkpoints is not None:
        check_checkpoints(stage, kind, mistakes)
    inputs = stage.config.child("inputs")
    if wants_results(kind) and inputs is not None:
        add(
            inputs.where,
            "config: 'inputs' is filled in from 'after'; take it out and name the stages there",
        )
    return kind


def check_checkpoints(stage: Stage, kind: type[BaseModel], mistakes: Mistakes) -> None:
    """``checkpoints`` needs an engine that takes models."""
    where, head = stage.place("checkpoints"), f"stage '{stage.name}': "
    if "models" not in kind.model_fields:
        mistakes.add(
            where,
            f"{head}engine '{stage.engine}' takes no 'checkpoints': it has no config key 'models'",
        )
    models = stage.config.child("models")
    if models is not None:
        mistakes.add(
            models.where,
            f"{head}config: 'models' is set by 'checkpoints' already; keep one of the two",
        )


def gates_of(drafts: Drafts, mistakes: Mistakes) -> dict[str, tuple[Condition, ...]]:
    """Each gated stage's conditions; of a stage whose gates name values of the job itself, those of
    each job. Those of a stage hold for its short canary too."""
    found: dict[str, tuple[Condition, ...]] = {}
    for stage in drafts.stages.values():
        # What is wrong with the judged stage has been told; its jobs may be missing here.
        judged = [gate for gate in stage.gates if drafts.sound.get(gate.of)]
        if not judged:
            continue
        gated = [*drafts.by_stage[stage.name]]
        if stage.name in drafts.canaries:
            gated.append(drafts.canaries[stage.name])
        own = any(gate.names_axes for gate in judged)
        asked = [(gate, judged_by(gate, stage, drafts, mistakes)) for gate in judged]
        named = 0
        for draft in gated:
            key = draft.name if own else draft.stage_name
            if key not in found:
                found[key] = conditions_of(draft, asked, mistakes)
                named += sum(len(condition.jobs) for condition in found[key])
            if too_much_judged(stage, judged[0].key, len(gated), named, mistakes):
                break
    return found


def choices_of(drafts: Drafts, mistakes: Mistakes) -> dict[str, Choice]:
    """Of which jobs each one follows the best, for those that follow the best one of several."""
    found: dict[str, Choice] = {}
    for stage in drafts.stages.values():
        if stage.best is None or stage.for_each is None or not drafts.sound.get(stage.for_each):
            continue
        judged = drafts.stages[stage.for_each]
        higher = direction(stage, "for_each", stage.best.metric, judged, mistakes)
        own = [*drafts.by_stage[stage.name]]
        if stage.name in drafts.canaries:
            own.append(drafts.canaries[stage.name])
        for draft in own if higher is not None else ():
            found[draft.name] = Choice(
                metric=stage.best.metric,
                stage=stage.for_each,
                jobs=tuple(one.name for one in draft.candidates),
                higher=bool(higher),
                where=stage.best.where,
            )
    return found


def judged_by(gate: GateSpec, stage: Stage, drafts: Drafts, mistakes: Mistakes) -> Judged:
    """The jobs that a gate of a stage judges; what is wrong with its metric is told."""
    judged = drafts.stages[gate.of]
    is_command = judged.engine is None
    known = judged.metrics if is_command else METRICS
    check_metric(gate, known, is_command, teller(stage, mistakes))
    return Judged(gate, [(draft.name, draft.point) for draft in drafts.by_stage[gate.of]])


def conditions_of(
    draft: Draft, asked: Sequence[tuple[GateSpec, Judged]], mistakes: Mistakes
) -> tuple[Condition, ...]:
    """The gates of a stage as they stand for one job."""
    tell = teller(draft.stage, mistakes)
    found = [resolve(gate, draft.point, judged, tell) for gate, judged in asked]
    return tuple(one for one in found if one is not None)


def teller(stage: Stage, mistakes: Mistakes) -> Tell:
    """Tells what is wrong with a stage."""

    def tell(place: Node, text: str) -> None:
        mistakes.add(place.where, f"stage '{stage.name}': {text}")

    return tell
