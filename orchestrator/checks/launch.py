"""Look for what would let jobs die in their first second, before anything is submitted.

In: a plan and a cluster's profile. Out: one line for each thing that is not as the plan needs it,
with what to do. Called by `orch check`, and by every command that launches.

Two of five jobs that died in the projects this program replaces died of a variable, a path or a
size that the login node knew.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from engines.contract.config import IS_PATH, marked_keys
from engines.contract.counting.counts import counted
from engines.contract.estimates import estimates_of
from engines.contract.files import there
from jobs.spec import Job
from orchestrator.checks.folder import file_system
from orchestrator.checks.slurm import Script, header, shapes, slurm, who
from orchestrator.clusters.local import machine
from orchestrator.description.catalogue import config_class
from orchestrator.description.profile import EVERYWHERE, SHORTEST, Profile, is_secret
from orchestrator.description.stage_keys.sbatch_names import by_name
from orchestrator.errors import CheckError
from orchestrator.planning.plan import RUN, Plan
from orchestrator.runs.choices.rounds import lacking
from orchestrator.runs.provenance.code_copies import measured, said_of
from orchestrator.runs.provenance.redaction import redacted, secret_values

WITHOUT_SLURM = ("environment", "setup", "wrap")
"""Options of a stage that a machine without Slurm can honour too."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""A model or data set on the Hugging Face hub: ``organisation/name``."""


def check(
    plan: Plan,
    profile: Profile,
    script: Script | None = None,
    runs: Path = Path("runs"),
    tell: Callable[[str], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Everything that is not as the plan needs it, one line each with what to do; empty if all is
    well.

    ``script`` makes the script that would be submitted, for `sbatch --test-only`; ``runs`` is where
    runs will lie. ``tell`` gets what else there is to say: which jobs Slurm accepts, and which of
    the user's variables are left out. ``warn`` gets what a launch should say as well: which nodes
    jobs will wait for, and what is charged beyond the request.
    """
    steps: list[Callable[[], Iterable[str]]] = [
        lambda: surroundings(plan, profile),
        lambda: secrets(plan, profile),
        lambda: paths(plan),
        lambda: commands(plan, profile),
        lambda: searches(plan),
        lambda: file_system(runs),
        lambda: disk(plan, runs),
        lambda: snapshot(plan, warn),
    ]
    problems = [line for step in counted("checking what the jobs need", steps) for line in step()]
    # From here on what counts is the request of an allocation: a pack of four may be too large
    # where each of its jobs is not.
    packed = in_packs(plan)
    problems = [*sizes(packed, profile), *problems]
    # Last, as Slurm may take seconds to answer.
    if profile.kind == "slurm":
        problems += slurm(packed, profile, script or (lambda job: header(job, profile)), tell, warn)
    return list(dict.fromkeys(problems))


def unused(plan: Plan, profile: Profile) -> Iterator[str]:
    """What stages say and this cluster cannot honour: one line for all that only Slurm knows."""
    if profile.kind != "local":
        return
    found: dict[str, list[str]] = {}
    for job in plan.jobs:
        for key in job.options.given().keys() - set(WITHOUT_SLURM):
            if job.stage not in found.get(key, ()):
                found.setdefault(key, []).append(job.stage)
    if found:
        named = ", ".join(f"{key} ({', '.join(stages)})" for key, stages in sorted(found.items()))
        yield f"'{profile.name}' is this machine without Slurm, and leaves aside: {named}"


def surroundings(plan: Plan, profile: Profile) -> Iterator[str]:
    """Variables and containers that the profile or a stage names and that are not there."""
    yield from variables(profile)
    yield from wrapper(profile)
    options = {job.stage: job.options for job in plan.jobs}
    for stage, own in options.items():
        if own.environment:
            alone = replace(profile, environment=own.environment)
            yield from variables(alone, f"stage '{stage}'")
        if own.wrap:
            yield from wrapper(profile.with_options(own), f"stage '{stage}'")


def in_packs(plan: Plan) -> Plan:
    """The plan with what each job's allocation asks for."""
    counts = Counter(job.stage for job in plan.jobs)
    jobs = []
    for job in plan.jobs:
        if job.pack > 1:
            # A stage with fewer jobs than a pack takes is one smaller pack.
            members = min(job.pack, counts[job.stage])
            job = replace(job, resources=job.resources.shared_by(members, job.running_of(members)))
        jobs.append(job)
    return replace(plan, jobs=tuple(jobs))


def sizes(plan: Plan, profile: Profile) -> Iterator[str]:
    """Requests that no node can meet; such a job would wait for ever."""
    if profile.kind == "local":
        profile = this_machine(profile)
    for shape in shapes(plan, profile):
        resources, jobs = shape.resources, shape.jobs
        for key, asked, most in shape.profile.over_limits(resources):
            # The members of a pack need cores and memory together, so that no value of one job
            # alone is too large.
            together = jobs[0].pack > 1 and key in ("cpus", "memory_gb")
            of_pack = ", of a pack together," if together else ""
            lower = "pack=1" if together else f"resources.{key}={most}"
            yield (
                f"{who(jobs)}: {key}={asked}{of_pack} is more than the {most} that cluster "
                f"'{profile.name}' has: lower it with --set {jobs[0].stage}.{lower}, or "
                "choose a preset or cluster that fits"
            )
        if profile.kind == "local" and resources.nodes > 1:
            yield (
                f"{who(jobs)}: nodes={resources.nodes}, and this machine is one: --set "
                f"{jobs[0].stage}.resources.nodes=1"
            )


def this_machine(profile: Profile) -> Profile:
    """A local profile with what the machine has, where the file does not set less."""

    def least(value: int | None, has: int) -> int:
        return has if value is None else min(value, has)

    return replace(
        profile,
        cpus_per_node=least(profile.cpus_per_node, machine.cpu_count()),
        memory_gb_per_node=least(profile.memory_gb_per_node, machine.memory_gb()),
        gpus_per_node=least(profile.gpus_per_node, len(machine.gpu_ids())),
    )


def variables(profile: Profile, whose: str = "") -> Iterator[str]:
    """Environment variables that the profile uses and that are not set, or that would not reach the
    jobs. ``whose``: the stage that says so."""
    where = whose or f"profile '{profile.name}'"
    try:
        profile.check_environment(whose)
    except CheckError as error:
        yield from error.lines
    # sbatch takes the whole environment along (ALL), unless an option says less.
    passed = str(by_name(profile.sbatch).get("export", "ALL")).split(",")
    missing = [name for name in profile.variables() if name not in (*EVERYWHERE, *passed)]
    if profile.kind == "slurm" and "ALL" not in passed and missing:
        yield (
            f"{where}: environment uses ${missing[0]}, and sbatch's "
            f"export={','.join(passed)} leaves it behind: name it "
            f"there too, as in sbatch: {{export: '{','.join([*passed, *missing])}'}}"
        )


def secrets(plan: Plan, profile: Profile) -> Iterator[str]:
    """Secrets that would be written into scripts and the run's folder."""
    others = dict(profile.environment)
    for key, value in profile.environment.items():
        # `$HF_TOKEN` stays a name in the script, and a path to a file with a token is no secret.
        is_reference = "$" in value
        is_path = value[:1] in ("/", "~")
        if is_secret(key) and len(value) >= SHORTEST and not is_reference and not is_path:
            yield (
                f"profile '{profile.name}': environment: {key} holds its value, which "
                "would be written into scripts: write "
                f"{key}: ${key}, and export it where orch runs"
            )
            del others[key]
    yield from written_secrets(plan, replace(profile, environment=others))
    known = secret_values()
    if not known:
        # A large plan takes a while to write as text.
        return
    texts = {
        f"profile '{profile.name}'": json.dumps(asdict(profile)),
        "the experiment": json.dumps(plan.to_json()),
    }
    for value, name in known.items():
        for where, text in texts.items():
            # In JSON a value with quotes or backslashes looks otherwise.
            if json.dumps(value)[1:-1] in text:
                yield (
                    f"{where} holds the value of ${name}, which would be written into the "
                    "run's folder: take it out; jobs have the variable in their environment"
                )


def written_secrets(plan: Plan, profile: Profile) -> Iterator[str]:
    """Texts of the plan and the profile that look as if they held a secret. It is not shown."""
    texts = {f"profile '{profile.name}'": dict.fromkeys(strings(asdict(profile)))}
    for job in plan.jobs:
        own = texts.setdefault(f"stage '{job.stage}'", {})
        # A flag and its value are two words.
        own[" ".join(job.command or ())] = None
        own.update(dict.fromkeys(strings([job.axes, job.config, asdict(job.options)])))
    texts["the experiment"] = dict.fromkeys([plan.about, *plan.overrides])
    for where, found in texts.items():
        # All of them at once, as next to none holds one: of ten thousand jobs each has its own.
        together = "\0".join(found)
        if redacted(together, {}) == together:
            continue
        for text in found:
            clean = redacted(text, {})
            if clean != text:
                yield (
                    f"{where} holds what looks like a secret ({shown(clean)}), which would be "
                    "written into the run's folder: take it out; jobs have the variables of the "
                    "environment in which orch is called"
                )


def strings(value: Any) -> Iterator[str]:
    """Every text in a document; behind a key with its name, as it says what the text is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, str):
                yield f"{key}={one}"
            else:
                yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def shown(text: str, around: int = 40) -> str:
    """What stands around the place of a secret."""
    at = text.find("<secret>")
    return " ".join(text[max(0, at - around) : at + around].split())


def wrapper(profile: Profile, whose: str = "") -> Iterator[str]:
    """A container's program or image that is not there. ``whose``: the stage that says so."""
    where = whose or f"profile '{profile.name}'"
    if not profile.wrap:
        return
    # `module load apptainer` may bring the program; that cannot be known here.
    if not profile.setup and shutil.which(profile.wrap[0]) is None:
        yield (
            f"{where}: wrap: no program '{profile.wrap[0]}' on PATH: load "
            "its module in 'setup', or write its whole path"
        )
    for argument in profile.wrap[1:]:
        if argument.endswith((".sif", ".simg", ".sqsh")) and not Path(argument).is_file():
            yield (
                f"{where}: wrap: no image {argument}: put it there, or write "
                "its whole path (no shell reads 'wrap')"
            )


def paths(plan: Plan) -> Iterator[str]:
    """Files that configs name and that are not there. What an earlier job makes is left out, and
    models of the hub."""
    missing: dict[tuple[str, str, str], list[Job]] = {}
    keys_of_engine = cache(lambda engine: marked_keys(config_class(engine), IS_PATH))
    for job in plan.jobs:
        for key in keys_of_engine(job.engine) if job.engine else ():
            for path in named_paths(job.config.get(key)):
                # What another job of the plan makes cannot be there yet.
                if path.startswith(f"{RUN}/") or there(path) is not None:
                    continue
                if not elsewhere(key, path, job):
                    # One line for a path, not one for each of the jobs that name it.
                    missing.setdefault((job.stage, key, path), []).append(job)
    for (stage, key, path), jobs in missing.items():
        yield (
            f"{who(jobs)}: {key}: {path} is not here: put it there, or name another path with "
            f"--set {stage}.config.{key}=..."
        )


def elsewhere(key: str, path: str, job: Job) -> bool:
    """Whether a path that is not here is a name: of a model or a suite's data on the hub, or of a
    suite that comes with the program. Of keys with other names every value must be here."""
    if key == "suite":
        return not path.endswith((".yaml", ".yml"))
    is_hub_name = HUB_NAME.fullmatch(path) is not None
    if key == "data":
        # data/guru looks like a name of the hub, but is meant as a path where a folder data is.
        of_a_suite = bool(job.config.get("suite"))
        return of_a_suite and is_hub_name and not Path(path).parent.exists()
    return key.startswith("model") and is_hub_name


def named_paths(value: Any) -> list[str]:
    """The paths in a config's value: one, one or several per task, or the folder that a checkpoint
    comes from."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict):
        return []
    found = []
    for named in [value["folder"]] if "folder" in value else value.values():
        several = named if isinstance(named, list) else [named]
        found += [path for path in several if isinstance(path, str)]
    return found


def commands(plan: Plan, profile: Profile) -> Iterator[str]:
    """Programs and scripts of command stages that are not there."""
    which = cache(shutil.which)
    # Thousands of jobs of a stage mostly begin with the same two words.
    beginnings = dict.fromkeys((job.stage, job.command[:2]) for job in plan.jobs if job.command)
    options = {job.stage: job.options for job in plan.jobs}
    for stage, words in beginnings:
        own = profile.with_options(options[stage])
        # Lines of set-up may bring a program (a module, an environment), so only a profile without
        # any can be judged here.
        if not own.setup and not own.wrap and which(words[0]) is None:
            yield (
                f"stage '{stage}': command: no program '{words[0]}' on PATH: install it, or "
                "write its whole path"
            )
        for script in scripts_in(words):
            if not Path(script).is_file():
                yield (
                    f"stage '{stage}': command: no file {script} in {Path.cwd()}: call orch "
                    "where it lies"
                )


def searches(plan: Plan) -> Iterator[str]:
    """Whether later rounds of a search can be drawn: after one round the run would stand still."""
    lacks = lacking() if plan.searches else ""
    if lacks:
        yield f"stage '{next(iter(plan.searches))}': search: {lacks}"


def scripts_in(command: tuple[str, ...]) -> list[str]:
    """The script that a command's program is given first, if it looks like one."""
    return [argument for argument in command[1:2] if argument.endswith((".py", ".sh"))]


def disk(plan: Plan, runs: Path) -> Iterator[str]:
    """Whether what the engines expect to write fits where the runs lie."""
    needed = 0.0
    for job in plan.jobs:
        known = estimates_of(job.engine) if job.engine else None
        if known is not None and job.engine is not None:
            config = config_class(job.engine).model_validate(job.config)
            needed += known.disk_gb(config) or 0.0
    folder = runs.resolve()
    # The folder of the runs is made by the first launch; its disk is that of the nearest parent.
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if needed > free:
        yield (
            f"the experiment writes about {needed:.0f} GB and {folder} has {free:.0f} GB "
            "free: delete old runs, keep fewer checkpoints, or point ORCH_RUNS at a larger disk"
        )


def snapshot(plan: Plan, warn: Callable[[str], None]) -> list[str]:
    """Whether the folder can be copied, where the experiment wants that; and scripts that would not
    come with it. ``warn`` is told what else of the folder's files comes along or does not."""
    if not plan.snapshot:
        return []
    try:
        found = measured(Path.cwd())
    except CheckError as error:
        return list(error.lines)
    for line in said_of(found):
        warn(line)
    scripts = {script for job in plan.jobs for script in scripts_in(job.command or ())}
    problems = []
    for script in sorted(scripts):
        path = Path(script)
        # It is here, so the check of the commands finds it; in the copy it would be missing.
        if not path.is_absolute() and path.is_file() and str(path) not in found.taken:
            problems.append(
                f"snapshot: true leaves {script} out, because git ignores it or it looks like a "
                "secret: let git know it, without the secret"
            )
    return problems
