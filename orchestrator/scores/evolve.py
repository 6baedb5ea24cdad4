"""`orch evolve`: score the checkpoints of trainings, each once, while they run and after; then
report how they evolved.

Checkpoints are linked into the evolution's own folder before anything is submitted: a training that
deletes old ones cannot take them away from a job that waits in the queue. Links are dropped at the
first call after their scores are there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import structs
from pydantic import BaseModel

from engines.contract.config import keys_that_decide
from engines.contract.results import read_results
from jobs.spec import Job, Resources
from jobs.stages import digest
from orchestrator.checks.launch import check
from orchestrator.description.engine_config import config_class, validate
from orchestrator.description.experiment import with_overrides
from orchestrator.description.profile import Profile, load_profile
from orchestrator.description.stage_reader import read_stage
from orchestrator.description.yaml_lines import Mistakes, Node, put, read_file, wrap
from orchestrator.errors import CheckError, DescriptionError, RunError
from orchestrator.lifecycle.retry import submit_eligible
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs import provenance
from orchestrator.runs.create import create_run, write_jobs
from orchestrator.runs.lookup import open_run, runs_root
from orchestrator.runs.plan_file import read_plan, write_plan
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run, named
from orchestrator.scores import evolution as kept
from orchestrator.scores.checkpoints import Tell, Training, gather, look, pruned, usable
from orchestrator.scores.evolution import REPORT, START, Evolution, Scored


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asked for."""

    source: Run | None
    folders: tuple[Path, ...] = ()
    checkpoints: str = "all"
    per_job: int | None = None
    jobs: tuple[str, ...] = ()
    """Only these trainings of the run."""
    base: Path | None = None
    """Configuration and tokenizer for folders that hold weights alone."""
    config_file: Path | None = None
    overrides: tuple[str, ...] = ()
    profile: Profile | None = None


@dataclass(frozen=True)
class Settings:
    """How checkpoints are scored and reported."""

    config: dict[str, Any]
    evaluate: Resources
    report_config: dict[str, Any]
    report: Resources


def source_of(run: Run) -> Run:
    """The run whose trainings a run follows: itself, unless it is an evolution."""
    evolution = kept.read(run.folder)
    if evolution is None:
        return run
    if evolution.source is None:
        raise RunError(
            f"{run.name} follows folders, not a run; name them again: orch evolve "
            f"--folder {evolution.folders[0]}"
        )
    return open_run(Path(evolution.source))


def evaluations(run: Run) -> list[Job]:
    """The jobs of a run that score checkpoints."""
    return [
        job
        for job in run.plan.jobs
        if job.engine == "evaluation" and job.name not in run.plan.trials
    ]


def trainings(request: Request) -> list[Training]:
    """What makes checkpoints: the jobs that the run's own evaluation follows, or the named ones,
    and the folders."""
    found: list[Training] = []
    if request.source is not None:
        run = request.source
        wanted = named(run, request.jobs)
        followed = {
            Path(job.config["models"]["folder"])
            for job in evaluations(run)
            if isinstance(job.config["models"], dict)
            and job.config["models"].get("checkpoint") is None
        }
        for job in run.plan.jobs:
            out = run.job_folder(job) / "out"
            if wanted is None and job.name in run.plan.trials:
                continue
            if (
                job.name in wanted
                if wanted is not None
                else out in followed
                if followed
                else (out / "checkpoints").is_dir()
            ):
                found.append(
                    Training(
                        job.name, dict(job.axes), out, job.config, (out / "results.json").exists()
                    )
                )
        if not found:
            raise RunError(
                f"{run.name}: no job leaves checkpoints yet; name trainings with --job, "
                "or call again later"
            )
    for folder in request.folders:
        if not folder.is_dir():
            raise RunError(f"--folder {folder}: no such folder")
        found.append(Training(str(folder), {"folder": folder.name}, folder, {}, over=True))
    points = [tuple(sorted(one.axes.items())) for one in found]
    return [
        one if points.count(point) == 1 else replace(one, axes={"training": one.name, **one.axes})
        for one, point in zip(found, points, strict=True)
    ]


def settings(request: Request) -> Settings:
    """The run's own evaluation settings, or those of ``--config``, with ``--set`` on top; checked
    whole."""
    mistakes = Mistakes()
    own = evaluations(request.source)[:1] if request.source is not None else []
    config = wrap(
        {key: value for job in own for key, value in job.config.items() if key != "models"},
        "the run's evaluation",
    )
    if request.config_file is not None:
        config = read_file(request.config_file, mistakes) or config
    elif not own:
        raise RunError(
            "there is no evaluation whose settings could be taken; give them: --config "
            "FILE, a YAML file with the config of "
            "engine 'evaluation' (data, max_response_tokens, ...)"
        )
    resources = own[0].resources if own else Resources()
    root = Node(
        {
            "stages": Node(
                {
                    "evaluate": Node(
                        {
                            "engine": wrap("evaluation", ""),
                            "config": config,
                            "resources": wrap(vars(resources), ""),
                        },
                        "",
                    ),
                    "report": wrap(
                        {
                            "engine": "analysis",
                            "config": {},
                            "resources": {"cpus": 1, "memory_gb": 4, "minutes": 30},
                        },
                        "",
                    ),
                },
                "",
            )
        },
        "",
    )
    stages = {
        name: read_stage(name, node, mistakes)
        for name, node in with_overrides(root, request.overrides, mistakes)
        .value["stages"]
        .value.items()
    }
    evaluate, report = stages["evaluate"], stages["report"]
    models = wrap({"folder": ".", "checkpoints": "all"}, "")
    checked = validate(
        config_class("evaluation"),
        put(evaluate.config, ("models",), models),
        evaluate,
        evaluate.sound,
        mistakes,
    )
    reported = validate(
        config_class(REPORT),
        put(report.config, ("points",), wrap([], "")),
        report,
        report.sound,
        mistakes,
    )
    if mistakes.lines or checked is None or reported is None:
        raise DescriptionError(*mistakes.in_file_order())
    return Settings(
        plain(checked, "models"),
        evaluate.resources,
        plain(reported, "points", "trainings", "pruned"),
        report.resources,
    )


def plain(config: BaseModel, *without: str) -> dict[str, Any]:
    """A checked config as JSON values, less what is filled in later."""
    return {
        key: value for key, value in config.model_dump(mode="json").items() if key not in without
    }


def decisive(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of an evaluation's config that decide the score of a given model; paths whole."""
    deciding = set(keys_that_decide(config_class("evaluation"))) - {"models"}

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: whole(item) for key, item in value.items()}
        return str(Path(value).absolute()) if isinstance(value, str) else value

    return {
        key: whole(value) if key == "data" else value
        for key, value in config.items()
        if key in deciding
    }


def adopt(evolution: Evolution, run: Run, config: dict[str, Any], tell: Tell) -> None:
    """Take over what the run's own evaluation has scored with the same settings, on files that are
    still the same."""
    for job in evaluations(run):
        out = run.job_folder(job) / "out"
        if not (out / "results.json").exists() or decisive(job.config) != decisive(config):
            continue
        facts = read_results(out)[1]["facts"]
        if other := [
            task
            for task, fact in facts.get("tasks", {}).items()
            if not still(Path(fact["file"]), fact["sha256"])
        ]:
            tell(
                f"{job.name}: scored on other files ({', '.join(other)}); its checkpoints "
                "are scored again"
            )
            continue
        new = {
            entry["fingerprint"]: entry["name"]
            for entry in facts["checkpoints"]
            if entry.get("fingerprint") and entry["fingerprint"] not in evolution.scored
        }
        evolution.scored |= {
            print_: Scored(folder=str(out), checkpoint=name, job=None)
            for print_, name in new.items()
        }
        if new:
            tell(
                f"{job.name} of the run has scored {', '.join(new.values())} with the "
                "same settings: taken over, not scored again"
            )


def still(path: Path, sha256: str) -> bool:
    """Whether a file has the content that it had."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def finished(request: Request, run: Run) -> list[str]:
    """Evaluations whose samples may be the ones that are wanted: of the run that is followed, and
    of its other evolutions."""
    if request.source is None:
        return []
    folders = [request.source.job_folder(job) / "out" for job in evaluations(request.source)]
    folders += sorted(run.folder.parent.glob(f"{request.source.folder.name}-*/jobs/evaluate*/out"))
    return [
        str(out)
        for out in folders
        if (out / "results.json").exists() and not out.is_relative_to(run.folder)
    ]


def hand_over(run: Run, evolution: Evolution, source: Run) -> None:
    """Tell the run's own evaluations that are not done where samples lie, or will. It decides no
    result: their identity stays."""
    made = [str(run.folder / part.folder / "out") for part in evolution.parts]
    for job in evaluations(source) if made else []:
        path = source.job_folder(job) / "config.json"
        if path.is_file() and not (source.job_folder(job) / "out" / "results.json").exists():
            config = json.loads(path.read_text())
            known = config.get("reuse", [])
            if set(made) - set(known):
                write_json(
                    path, {**config, "reuse": [*known, *(out for out in made if out not in known)]}
                )


def grow(run: Run, request: Request, made: Settings, tell: Tell) -> Evolution:
    """Look, note, link, and extend the plan; with the run's lock held, so that two calls cannot
    take the same checkpoint."""
    selector = kept.selector_of(request.checkpoints)
    followed = trainings(request)
    source = None if request.source is None else str(request.source.folder)
    evolution = kept.read(run.folder) or Evolution(
        source=source, folders=[str(path) for path in request.folders]
    )
    if request.source is not None:
        adopt(evolution, request.source, made.config, tell)
    found = {training.name: look(evolution, training, tell) for training in followed}
    gone: list[str] = []
    for training in followed:
        known = evolution.of(training.name)
        wanted = usable(
            kept.choose(known, selector, training.over),
            found[training.name],
            request.base,
            evolution,
            tell,
        )
        before = set(evolution.taken)
        parts = kept.assign(evolution, training.name, training.axes, wanted, request.per_job)
        new = sum((training.name, one.checkpoint) not in before for one in wanted)
        scoring = sum(len(part.checkpoints) for part in parts)
        tell(
            f"{training.name}: {len(found[training.name])} checkpoints on disk, {new} new "
            f"to the evolution, {scoring} to score"
        )
        gone += pruned(evolution, training, found[training.name])
        absent = (
            sorted(set(selector) - {one.epoch for one in known})
            if isinstance(selector, list)
            else []
        )
        if absent:
            tell(
                f"{training.name}: no checkpoint of "
                f"{', '.join(map(str, absent))}{'' if training.over else ' yet'}; "
                "there are "
                f"{', '.join(str(one.epoch) for one in known if one.checkpoint != START) or 'none'}"
            )
    evolution.pruned = gone
    for line in gone:
        tell(line)
    gather(run.folder, evolution, found, request.base, tell)
    sources = [
        {"job": one.name, "stage": "train", "axes": one.axes, "folder": str(one.out)}
        for one in followed
    ]
    kept.new_report(evolution, sources, made.report_config)
    kept.write(run.folder, evolution)
    return evolution


def empty_plan(request: Request, made: Settings) -> Plan:
    """The plan of an evolution before its first job: named by what it follows and how it scores."""
    source = request.source
    name = f"{source.plan.experiment}-evolution" if source else "evolution"
    follows = [source.uid if source else None, [str(path) for path in request.folders]]
    return Plan(
        experiment=name,
        about="checkpoints of "
        f"{source.name if source else ', '.join(map(str, request.folders))}, scored",
        preset=source.folder.name if source else request.folders[0].name,
        source=Path(__file__),
        jobs=(),
        notify=source.plan.notify if source else {},
        identity=digest([follows, decisive(made.config)]),
    )


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


def evolve(request: Request, tell: Tell) -> tuple[Run, list[Record]]:
    """Score what is new, and report. CheckError if a launch could not work here."""
    root, source = runs_root(), request.source
    # Relative paths in the run's settings begin where it was launched.
    with contextlib.chdir(source.cwd) if source is not None else contextlib.nullcontext():
        trainings(request)  # what is wrong with them is told before a folder is made
        made = settings(request)
        profile = request.profile or (source.profile if source is not None else load_profile(None))
        run = opened(empty_plan(request, made), profile, root)
        with run.lock():
            evolution = grow(run, request, made, tell)
            whole = {**made.config, "reuse": [*made.config["reuse"], *finished(request, run)]}
            plan = replace(
                run.plan, jobs=tuple(kept.jobs_of(evolution, whole, made.evaluate, made.report))
            )
            trouble = check(plan, profile, runs=root)
            if trouble:
                raise CheckError(*trouble, "nothing was submitted")
            provenance.note(run.folder, plan, Path.cwd(), "evolve", tell)
            plan = plan.below(run.folder)
            write_jobs(run.folder, plan)
            write_plan(
                run.folder,
                structs.replace(read_plan(run.folder), plan=plan, profile=asdict(profile)),
            )
            if source is not None:
                hand_over(run, evolution, source)
    run = open_run(run.folder)
    return run, submit_eligible(run, tell)
