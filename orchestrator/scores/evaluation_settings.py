"""How an evolution scores checkpoints and reports on them.

In: the settings of the run's own evaluation, or those of a file, with overrides on top. Out:
``Settings``, checked whole, and which of them decide a score. Called by evolve.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from pydantic import BaseModel

from engines.contract.config import keys_that_decide
from engines.contract.written.mistakes import Mistakes, TooMany
from engines.contract.written.nodes import Node, wrap
from engines.contract.written.reading import read_file
from jobs.spec import Job, Resources
from orchestrator.description.catalogue import config_class
from orchestrator.description.engine_config import validate
from orchestrator.description.experiment import with_overrides
from orchestrator.description.merging import put
from orchestrator.description.stage_reader import read_stage
from orchestrator.errors import DescriptionError, RunError
from orchestrator.runs.documents.job_files import JOB
from orchestrator.runs.documents.reading import content_of, decoded
from orchestrator.runs.run import Run
from orchestrator.scores.evaluation_jobs import MEASURED, REPORT
from orchestrator.scores.trainings import Request, evaluations, own_evaluations

REPORT_STAGE = {
    "engine": "analysis",
    "config": {},
    "resources": {"cpus": 1, "memory_gb": 4, "minutes": 30},
}
"""The report as it is without overrides, in the words of an experiment file."""


@dataclass(frozen=True)
class Settings:
    """How checkpoints are scored and reported."""

    config: dict[str, Any]
    evaluate: Resources
    report_config: dict[str, Any]
    report: Resources
    own: dict[str, Job] = field(default_factory=dict)
    """Where commands score: the run's jobs that do, by name; then there is no config."""

    @property
    def decides(self) -> Any:
        """What decides the scores, in plain values."""
        if not self.own:
            return decisive(self.config)
        return [[name, job.identity] for name, job in self.own.items()]


def settings(request: Request) -> Settings:
    """The run's own evaluation settings, or those of ``--config``, with ``--set`` on top.
    DescriptionError with every mistake in them."""
    mistakes = Mistakes()
    try:
        return settings_read(request, mistakes)
    except TooMany:
        raise DescriptionError(*mistakes.in_file_order()) from None


def settings_read(request: Request, mistakes: Mistakes) -> Settings:
    """The settings, with what is wrong told in ``mistakes`` as far as it was looked for."""
    source = request.source
    if source is not None and request.config_file is None and not evaluations(source):
        found = own_evaluations(source)
        if found:
            return settings_of_commands(request, source, found, mistakes)
    own = None
    if request.source is not None:
        # Of several evaluations in the run, the first one's settings count.
        own = next(iter(evaluations(request.source)), None)
    described = stages_node(own, config_node(request, own, mistakes))
    stages = {}
    overridden = with_overrides(described, request.overrides, mistakes)
    for name, node in overridden.value["stages"].value.items():
        stages[name] = read_stage(name, node, mistakes)
    evaluate, report = stages["evaluate"], stages["report"]
    # What the jobs fill in later is checked with stand-ins.
    models = wrap({"folder": ".", "checkpoints": "all"}, "")
    config = put(evaluate.config, ("models",), models)
    checked = validate(config_class("evaluation"), config, evaluate, evaluate.sound, mistakes)
    config = put(report.config, ("points",), wrap([], ""))
    reported = validate(config_class(REPORT), config, report, report.sound, mistakes)
    if mistakes.lines or checked is None or reported is None:
        raise DescriptionError(*mistakes.in_file_order())
    return Settings(
        config=plain(checked, "models"),
        evaluate=evaluate.resources,
        report_config=plain(reported, "points", "trainings", "pruned"),
        report=report.resources,
    )


def settings_of_commands(
    request: Request, source: Run, found: Sequence[Job], mistakes: Mistakes
) -> Settings:
    """How the run's own command scores: as in the experiment, with other resources if asked."""
    refuse_what_a_command_has_not(request, found[0])
    for argument in request.overrides:
        path = argument.partition("=")[0]
        if path.startswith("evaluate.") and not path.startswith("evaluate.resources."):
            mistakes.add(
                f"--set {argument}",
                f"the checkpoints are scored by the command of stage '{found[0].stage}'; of it "
                "only evaluate.resources can be set here",
            )
    stages = {
        # A stand-in: each job has its own command.
        "evaluate": wrap({"command": ["true"], "resources": found[0].resources.to_dict()}, ""),
        "report": wrap(REPORT_STAGE, ""),
    }
    described = Node({"stages": Node(stages, "")}, "")
    overridden = with_overrides(described, request.overrides, mistakes)
    nodes = overridden.value["stages"].value
    evaluate, report = (read_stage(name, nodes[name], mistakes) for name in stages)
    chain = source.plan.chains.get(found[0].stage)
    # What the jobs fill in later is checked with a stand-in.
    filled = put(report.config, ("points",), wrap([], ""))
    filled = put(filled, ("higher",), wrap(dict(chain.better) if chain else {}, ""))
    reported = validate(config_class(MEASURED), filled, report, report.sound, mistakes)
    if mistakes.lines or reported is None:
        raise DescriptionError(*mistakes.in_file_order())
    own = [as_in_the_run(source, replace(job, resources=evaluate.resources)) for job in found]
    return Settings(
        config={},
        evaluate=evaluate.resources,
        report_config=plain(reported, "points", "trainings", "pruned"),
        report=report.resources,
        own={job.name: job for job in own},
    )


def refuse_what_a_command_has_not(request: Request, own: Job) -> None:
    """RunError for options that mean the evaluation of language models."""
    given = {
        "--folder": bool(request.folders),
        "--base": request.base is not None,
        "--per-job": request.per_job not in (None, 1),
    }
    for option, is_given in given.items():
        if is_given:
            raise RunError(
                f"{option}: the checkpoints of this run are scored by the command of stage "
                f"'{own.stage}', one in each job, and only those of its own trainings; leave it "
                "out, or give the settings of engine 'evaluation': --config FILE"
            )
    for read in own.config.get("reads", ()):
        if read["path"] and not read["path"].startswith("$ORCH_OUT"):
            raise RunError(
                f"stage '{own.stage}' reads {read['path']}, which would be the same file for every "
                "checkpoint; let its command write below $ORCH_OUT, and read there"
            )


class Known(TypedDict):
    """What is read of a ``job.json`` here."""

    command: list[str] | None
    needs: dict[str, str]
    cwd: str


def as_in_the_run(source: Run, job: Job) -> Job:
    """A job of the followed run with what its node knew: the folder it ran in, and those of the
    jobs that it follows."""
    # Of one that follows the best job of several it says which one that is, once it is known.
    path = source.job_folder(job) / JOB
    try:
        known = decoded(content_of(path), Known)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{path}: {why}: orch retry --job {job.name} writes it anew") from error
    config = {**job.config, "cwd": known["cwd"], "beside": known["needs"]}
    return replace(job, command=tuple(known["command"] or ()), config=config)


def config_node(request: Request, own: Job | None, mistakes: Mistakes) -> Node:
    """The evaluation's config as written: in the file that was named, or in the run's own job."""
    if request.config_file is None and own is None:
        raise RunError(
            "there is no evaluation whose settings could be taken; give them: --config FILE, "
            "a YAML file with the config of engine 'evaluation' (data, max_response_tokens, ...)"
        )
    own_config = {} if own is None else own.config
    # Each part of the evolution fills in the models that it scores.
    values = {key: value for key, value in own_config.items() if key != "models"}
    node = wrap(values, "the run's evaluation")
    if request.config_file is not None:
        node = read_file(request.config_file, mistakes) or node
    return node


def stages_node(own: Job | None, config: Node) -> Node:
    """The two stages of an evolution as an experiment file would have them, for overrides."""
    resources = Resources() if own is None else own.resources
    evaluate = {
        "engine": wrap("evaluation", ""),
        "config": config,
        "resources": wrap(resources.to_dict(), ""),
    }
    stages = {"evaluate": Node(evaluate, ""), "report": wrap(REPORT_STAGE, "")}
    return Node({"stages": Node(stages, "")}, "")


def plain(config: BaseModel, *without: str) -> dict[str, Any]:
    """A checked config as JSON values, less what is filled in later."""
    values = config.model_dump(mode="json")
    return {key: value for key, value in values.items() if key not in without}


def decisive(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of an evaluation's config that decide the score of a given model; paths whole."""
    deciding = set(keys_that_decide(config_class("evaluation"))) - {"models"}
    found = {}
    for key, value in config.items():
        if key in deciding:
            found[key] = whole_paths(value) if key == "data" else value
    return found


def whole_paths(value: Any) -> Any:
    """A path, or paths by name, as absolute ones: two runs may begin in different folders."""
    if isinstance(value, dict):
        return {key: whole_paths(item) for key, item in value.items()}
    return str(Path(value).absolute()) if isinstance(value, str) else value
