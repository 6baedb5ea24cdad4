"""How an evolution scores checkpoints and reports on them.

In: the settings of the run's own evaluation, or those of a file, with overrides on top. Out:
``Settings``, checked whole, and which of them decide a score. Called by evolve.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engines.contract.config import keys_that_decide
from jobs.spec import Job, Resources
from orchestrator.description.catalogue import config_class
from orchestrator.description.engine_config import validate
from orchestrator.description.experiment import with_overrides
from orchestrator.description.stage_reader import read_stage
from orchestrator.description.yaml_lines import Mistakes, Node, put, read_file, wrap
from orchestrator.errors import DescriptionError, RunError
from orchestrator.scores.evaluation_jobs import REPORT
from orchestrator.scores.trainings import Request, evaluations

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


def settings(request: Request) -> Settings:
    """The run's own evaluation settings, or those of ``--config``, with ``--set`` on top.
    DescriptionError with every mistake in them."""
    mistakes = Mistakes()
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
        "resources": wrap(vars(resources), ""),
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
