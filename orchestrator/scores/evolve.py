"""`orch evolve`: score the checkpoints of trainings, each once, while they run and after; then
report how they evolved.

In: a request. Out: the run of the evolution, with jobs for what is new. Called by the command.
Checkpoints are linked into the evolution's own folder before anything is submitted: a training that
deletes old ones cannot take them away from a job that waits in the queue. Links are dropped at the
first call after their scores are there.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from engines.contract.checkpoint_formats import Located
from engines.contract.counting.counts import counted
from jobs.stages import digest
from orchestrator.checks.launch import check
from orchestrator.description.profile import Profile
from orchestrator.description.profile_reader import load_profile
from orchestrator.errors import CheckError, RunError
from orchestrator.lifecycle.retry import launch
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs.create import create_run
from orchestrator.runs.documents.job_files import write_jobs
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.layout import OUT, RESULTS, out_folder
from orchestrator.runs.lookup import open_run, runs_root
from orchestrator.runs.plan_file import read_plan, write_plan
from orchestrator.runs.provenance.launches import Tell, note
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.scores.checkpoints import Training, link_all, note_new, pruned, usable
from orchestrator.scores.evaluation_jobs import assign, jobs_of, new_report
from orchestrator.scores.evaluation_settings import Settings, decisive, settings
from orchestrator.scores.evolution import (
    START,
    Evolution,
    ScoreLocation,
    SeenCheckpoint,
    read_evolution,
    write_evolution,
)
from orchestrator.scores.own.taking import adopt_own, scoring, take_own
from orchestrator.scores.results import Evaluated, whole_results
from orchestrator.scores.selection import Selector, choose, selector_of
from orchestrator.scores.trainings import Request, evaluations, trainings


def evolve(request: Request, tell: Tell) -> tuple[Run, list[Record]]:
    """Score what is new, and report. CheckError if a launch could not work here."""
    source = request.source
    if source is not None and source.origin is not None:
        raise RunError(f"{source.name} is {source.origin}: score its checkpoints there")
    # Relative paths in the run's settings begin where it was launched.
    with contextlib.chdir(source.cwd) if source is not None else contextlib.nullcontext():
        # What is wrong with them is told before a folder is made.
        trainings(request)
        made = settings(request)
        profile = request.profile
        if profile is None:
            profile = source.profile if source is not None else load_profile(None)
        run = opened(empty_plan(request, made), profile, runs_root())
        with run.lock():
            evolution = grow(run, request, made, tell)
            extend_plan(run, request, made, evolution, profile, tell)
            if source is not None:
                hand_over(run, evolution, source)
    # Opened anew, because the plan on disk has more jobs now. ``launch`` takes the run's lock
    # itself: POSIX locks do not nest, closing the file once gives the lock up.
    run = open_run(run.folder)
    return run, launch(run, tell)


def empty_plan(request: Request, made: Settings) -> Plan:
    """The plan of an evolution before its first job: named by what it follows and how it scores."""
    source = request.source
    folders = [str(path) for path in request.folders]
    if source is None:
        name, preset = "evolution", request.folders[0].name
        followed = ", ".join(folders)
    else:
        name, preset = f"{source.plan.experiment}-evolution", source.folder.name
        followed = source.name
    follows = [source.uid if source else None, folders]
    chain = source.plan.chains.get(own_stage(made)) if source else None
    return Plan(
        experiment=name,
        about=f"checkpoints of {followed}, scored",
        preset=preset,
        source=Path(__file__),
        jobs=(),
        notify=source.plan.notify if source else {},
        track=source.plan.track if source else {},
        # Only settings that decide a score: with another time limit it is the same evolution.
        identity=digest([follows, made.decides]),
        # By which direction `orch results --best` and the page go.
        chains={"evaluate": chain} if chain else {},
    )


def own_stage(made: Settings) -> str:
    """The stage whose command scores; empty: the engine does."""
    return next((job.stage for job in made.own.values()), "")


def opened(plan: Plan, profile: Profile, root: Path) -> Run:
    """The evolution's run, made at the first call."""
    folder = root / plan.experiment / f"{plan.preset}-{plan.identity[:8]}"
    if not (folder / "plan.json").exists():
        return create_run(plan, profile, root)
    run = open_run(folder)
    if run.profile.kind != profile.kind:
        raise RunError(
            f"{run.name} was begun on '{run.profile.name}'; continue it there: --cluster "
            f"{run.profile.name}"
        )
    return run


def grow(run: Run, request: Request, made: Settings, tell: Tell) -> Evolution:
    """List the checkpoints, note what is new, choose, and link. With the run's lock held, so that
    two calls cannot take the same checkpoint."""
    selector = selector_of(request.checkpoints)
    followed = trainings(request)
    source = None if request.source is None else str(request.source.folder)
    # 1. What earlier calls knew, and what the followed run has scored itself.
    evolution = read_evolution(run.folder) or Evolution(
        source=source, folders=[str(path) for path in request.folders]
    )
    if request.source is not None and made.own:
        adopt_own(evolution, request.source, made.own.values(), tell)
    elif request.source is not None:
        adopt(evolution, request.source, made.config, tell)
    # 2. What is on disk now.
    each = counted("reading checkpoints", followed)
    here = {one.name: note_new(evolution, one, tell) for one in each}
    # 3. Choose among all that is known, and give what nobody has scored to new jobs.
    gone: list[str] = []
    for training in followed:
        chosen = choose(evolution.of(training.name), selector, training.over)
        if made.own:
            own = scoring(request.source, training, made.own.values(), tell)
            take_own(evolution, training, here[training.name], chosen, own, tell)
        else:
            take(evolution, training, here[training.name], chosen, request, tell)
        gone += pruned(evolution, training, here[training.name])
        tell_absent(training, evolution.of(training.name), selector, tell)
    evolution.pruned = gone
    for line in gone:
        tell(line)
    # 4. Link before reporting: what was deleted in between is forgotten here, and no report may
    # count on it.
    link_all(run.folder, evolution, here, request.base, tell)
    sources = [
        {"job": one.name, "stage": "train", "axes": one.axes, "folder": str(one.out)}
        for one in followed
    ]
    new_report(evolution, sources, made.report_config)
    write_evolution(run.folder, evolution)
    return evolution


def take(
    evolution: Evolution,
    training: Training,
    here: dict[str, Located],
    chosen: list[SeenCheckpoint],
    request: Request,
    tell: Tell,
) -> None:
    """Take the chosen checkpoints of one training that can be scored, and say how many."""
    wanted = usable(chosen, here, request.base, evolution, tell)
    before = set(evolution.taken)
    parts = assign(evolution, training.name, training.axes, wanted, request.per_job)
    new = sum((training.name, one.checkpoint) not in before for one in wanted)
    to_score = sum(len(part.checkpoints) for part in parts)
    tell(
        f"{training.name}: {len(here)} checkpoints on disk, {new} new "
        f"to the evolution, {to_score} to score"
    )


def tell_absent(
    training: Training, seen: list[SeenCheckpoint], selector: Selector, tell: Tell
) -> None:
    """Say which of the epochs that were asked for have no checkpoint."""
    if not isinstance(selector, list):
        return
    absent = sorted(set(selector) - {one.epoch for one in seen})
    if not absent:
        return
    there = [str(one.epoch) for one in seen if one.checkpoint != START]
    yet = "" if training.over else " yet"
    tell(
        f"{training.name}: no checkpoint of {', '.join(map(str, absent))}{yet}; "
        f"there are {', '.join(there) or 'none'}"
    )


def adopt(evolution: Evolution, run: Run, config: dict[str, Any], tell: Tell) -> None:
    """Take over what the run's own evaluation has scored with the same settings, on files that are
    still the same."""
    for job in evaluations(run):
        out = run.out_folder(job)
        if not (out / RESULTS).exists() or decisive(job.config) != decisive(config):
            continue
        read = whole_results(out, job.name, Evaluated)
        if read is None:
            continue
        facts = read[1]["facts"]
        changed = changed_tasks(facts)
        if changed:
            tell(
                f"{job.name}: scored on other files ({', '.join(changed)}); its checkpoints "
                "are scored again"
            )
            continue
        names = []
        for entry in facts.get("checkpoints", []):
            # None where the evaluation was given a model's folder instead of a training's
            # checkpoints.
            fingerprint = entry.get("fingerprint")
            if fingerprint and fingerprint not in evolution.scored:
                evolution.scored[fingerprint] = ScoreLocation(
                    folder=str(out), checkpoint=entry["name"], job=None
                )
                names.append(entry["name"])
        if names:
            tell(
                f"{job.name} of the run has scored {', '.join(names)} with the "
                "same settings: reused, not scored again"
            )


def changed_tasks(facts: dict[str, Any]) -> list[str]:
    """Tasks of an evaluation whose files are no longer what was scored."""
    return [
        task
        for task, fact in facts.get("tasks", {}).items()
        if not has_content(Path(fact["file"]), fact["sha256"])
    ]


def has_content(path: Path, sha256: str) -> bool:
    """Whether a file is there, with this content."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def extend_plan(
    run: Run,
    request: Request,
    made: Settings,
    evolution: Evolution,
    profile: Profile,
    tell: Tell,
) -> None:
    """Make the jobs of the evolution those of its run. CheckError if they could not work here."""
    config = made.config
    if not made.own:
        config = {**config, "reuse": [*config["reuse"], *reusable(request, run)]}
    jobs = tuple(jobs_of(evolution, config, made.evaluate, made.report, made.own))
    plan = replace(run.plan, jobs=jobs)
    trouble = check(plan, profile, runs=runs_root())
    if trouble:
        raise CheckError(*trouble, "nothing was submitted")
    note(run.folder, plan, Path.cwd(), "evolve", tell)
    plan = plan.below(run.folder)
    # Before the plan: a job that plan.json names has its files.
    write_jobs(run.folder, plan)
    held = read_plan(run.folder)
    write_plan(run.folder, structs.replace(held, plan=plan, profile=asdict(profile)))


def reusable(request: Request, run: Run) -> list[str]:
    """Finished evaluations whose samples may be the ones that are wanted: of the run that is
    followed, and of its other evolutions."""
    source = request.source
    if source is None:
        return []
    folders = [source.out_folder(job) for job in evaluations(source)]
    # Evolutions of the same run with other settings have the same name, but for the hash at its
    # end.
    folders += sorted(run.folder.parent.glob(f"{source.folder.name}-*/jobs/evaluate*/{OUT}"))
    found = []
    for out in folders:
        if (out / RESULTS).exists() and not out.is_relative_to(run.folder):
            found.append(str(out))
    return found


def hand_over(run: Run, evolution: Evolution, source: Run) -> None:
    """Tell the run's own evaluations that are not done where samples lie, or will. It decides no
    result: their identity stays."""
    made = [str(out_folder(run.folder, part.folder)) for part in evolution.parts]
    for job in evaluations(source):
        # The node reads this file when the job starts, so a job that is still in the queue is in
        # time.
        path = source.job_folder(job) / "config.json"
        if not path.is_file() or (source.out_folder(job) / RESULTS).exists():
            continue
        # Damaged, it is written anew when the job is submitted again; until then it reads nothing.
        config = mapping(path, "left as it is; orch retry writes it anew")
        if config is None:
            continue
        known = config.get("reuse", [])
        new = [out for out in made if out not in known]
        if new:
            write_json(path, {**config, "reuse": [*known, *new]})
