"""What a stage may say of where its jobs run and in what surroundings (`partition`, `sbatch`,
`environment`, ...), and what an experiment may say of retries by themselves and of its budget.

In: values as a person wrote them. Out: ``Options``, which the planner puts into every job of the
stage, and the bounds of retries by kind of failure. ``keys`` takes the models in as parts of a
stage and of an experiment; how options and a profile go together is ``Profile.with_options``.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from engines.contract.written.nodes import shown
from jobs.spec import Options
from orchestrator.description.checking import FileModel, Must, WordedError
from orchestrator.description.profile import SHORTEST, is_secret
from orchestrator.description.stage_keys.sbatch_names import (
    LONG,
    broken_value,
    by_name,
    option_name,
    said_twice,
)
from orchestrator.node.claims import NODE_FAILURE

RESERVED = (
    # By the end of its name, the token, a submission is found again.
    "job-name",
    # One log a job, at a place that orch reads.
    "output",
    "error",
    # What an element runs is looked up by its index.
    "array",
    "dependency",
    "kill-on-invalid-dep",
    # The warning before the time limit, at which engines save, and what may start them again.
    "signal",
    "requeue",
    "no-requeue",
    "parsable",
    "wrap",
    "chdir",
    # By the profile's key `cluster`: what asks for a job must ask the same one.
    "clusters",
    # Nothing would be submitted, or sbatch would answer when the job has ended.
    "help",
    "usage",
    "version",
    "test-only",
    "wait",
)
"""Options of sbatch that orch's own bookkeeping depends on."""

SAID_ELSEWHERE = {
    "partition": "the stage's key 'partition'",
    "account": "the stage's key 'account'",
    "qos": "the stage's key 'qos'",
    "constraint": "the stage's key 'constraint'",
    "nodes": "resources.nodes",
    "ntasks": "resources.nodes: one task a node",
    "ntasks-per-node": "resources.nodes: one task a node",
    "ntasks-per-gpu": "resources.nodes: one task a node",
    "cpus-per-task": "resources.cpus",
    "cpus-per-gpu": "resources.cpus",
    "mem": "resources.memory_gb",
    "mem-per-cpu": "resources.memory_gb and the profile's memory_per",
    "mem-per-gpu": "resources.memory_gb and the profile's memory_per",
    "gres": "resources.gpus and the profile's gpu_type (what else is counted, such as shards, by "
    "the profile's `sbatch`, for jobs without GPUs)",
    "gpus": "resources.gpus, which are per node",
    "gpus-per-node": "resources.gpus and the profile's gpu_type",
    "gpus-per-task": "resources.gpus, which are per node",
    "gpus-per-socket": "resources.gpus, which are per node",
    "time": "resources.minutes",
    # Slurm takes it without a word where the site has no container runtime, and runs without one.
    "container": "the stage's key 'wrap'",
    "export": "the stage's key 'environment'",
}
"""What Slurm would take without a word although the stage has said it already: which of the two
holds depends on the option, and on Slurm's version. Each with where it is said."""

OWN = (*RESERVED, "open-mode")
"""Options that orch sets."""

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPTION = re.compile(r"-{0,2}[A-Za-z0-9][A-Za-z0-9_-]*")


def one_word(value: Any) -> Any:
    """A name as Slurm has them: one word, which a line of a script can hold."""
    if isinstance(value, str):
        value = value.strip()
        if re.search(r"[\s,:;=\"'\\]", value) or not value.isprintable():
            raise WordedError("{name} must be one name, got {value}")
    return value


def names_with_commas(value: Any) -> Any:
    """One such name, or several with commas between them."""
    if isinstance(value, str):
        words = [one_word(word) for word in value.split(",")]
        value = ",".join(filter(None, words))
    return value


def filled_words(value: Any) -> Any:
    """A program and its arguments, the first of which is there."""
    if isinstance(value, list) and value and value[0] == "":
        raise WordedError("{name} must begin with a program, got {value}")
    return value


def named_variables(value: Any) -> Any:
    """Environment variables that a shell can set."""
    for name in value if isinstance(value, dict) else ():
        if VARIABLE_NAME.fullmatch(str(name)) is None:
            raise WordedError("environment: {wrong!r} is no name of a variable", wrong=name)
    return value


def words_alone(value: Any) -> Any:
    """A mapping whose keys are words, such as options of sbatch."""
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            raise WordedError(
                "{name}: key {wrong} must be text; put it in quotes", wrong=shown(key)
            )
    return value


def sbatch_options(value: Any) -> Any:
    """Options of sbatch that a stage may set."""
    for option in words_alone(value) if isinstance(value, dict) else ():
        name = option_name(str(option))
        # sbatch refuses a beginning of several options; which of them is meant does not matter.
        # So does it not of a letter, which orch reads as sbatch's option of one letter.
        bare = str(option).lstrip("-").replace("_", "-").lower()
        meant = [known for known in (*SAID_ELSEWHERE, *OWN) if known.startswith(bare)]
        if bare not in LONG and name not in (*SAID_ELSEWHERE, *OWN) and meant:
            name = meant[0]
        if name in SAID_ELSEWHERE:
            raise WordedError(
                "sbatch must be without '{option}'; say it by {place}",
                option=option,
                place=SAID_ELSEWHERE[name],
            )
        if name in OWN:
            raise WordedError(
                "sbatch must be without '{option}', which orch sets itself", option=option
            )
    return well_formed(value)


def well_formed(value: Any) -> Any:
    """Options of sbatch each of which is there once, with a value of one line."""
    if not isinstance(value, dict):
        return value
    for option in value:
        if OPTION.fullmatch(option.strip()) is None:
            raise WordedError("sbatch: {wrong!r} is no name of an option", wrong=option)
    twice = said_twice(value)
    if twice is not None:
        raise WordedError("sbatch says one option twice: {twice}; leave one out", twice=twice)
    broken = broken_value(value)
    if broken is not None:
        raise WordedError("sbatch: the value of '{option}' must be one line", option=broken)
    return value


def stage_environment(value: Any) -> Any:
    """Environment variables of a stage: none that orch sets, and no secret."""
    for name, text in named_variables(value).items() if isinstance(value, dict) else ():
        if str(name).startswith(("ORCH_", "SLURM_", "SBATCH_")):
            raise WordedError(
                "environment must be without {wrong}, which orch and Slurm set themselves",
                wrong=name,
            )
        # A path to a file with a token is no secret.
        is_path = str(text)[:1] in ("/", "~")
        if is_secret(str(name)) and len(str(text)) >= SHORTEST and not is_path:
            # The value is not shown.
            raise WordedError(
                "environment: {wrong} looks like a secret, and experiment files are shared: export "
                "it where orch runs, or name it in the environment of the cluster's profile "
                "({wrong}: ${wrong})",
                wrong=name,
            )
    return value


class OptionsFile(FileModel):
    """The keys of a stage that say where its jobs run, beside ``resources``.

    The options of a job come from four places. A later one overrides an earlier one: the cluster's
    profile, the stage in the experiment file, the preset's changes to the stage, `--set`. A preset
    and `--set` change the stage, key by key, as they do with its other keys. What the stage says
    then overrides the profile: `partition`, `account`, `qos`, `constraint` and `wrap` take the
    place of the profile's; `sbatch` and `environment` are merged name by name; the lines of `setup`
    come after the profile's. Without a `partition` of its own a stage goes to the profile's
    `partitions`: `gpu` if it asks for GPUs, else `cpu`. Where these say nothing, it goes to the
    profile's `partition`. `orch launch --dry-run` names the source of every option. None of it is
    part of a job's identity, so a launch with other options continues the same run.
    """

    partition: Annotated[
        str, BeforeValidator(names_with_commas), Field(min_length=1), Must("be a name")
    ] = ""
    """Slurm partition: a word of the profile's `partitions`, or Slurm's own name (several with
    commas between); without it the profile's."""
    account: Annotated[str, BeforeValidator(one_word), Field(min_length=1), Must("be a name")] = ""
    """Slurm account, instead of the profile's."""
    qos: Annotated[str, BeforeValidator(one_word), Field(min_length=1), Must("be a name")] = ""
    """Slurm quality of service, instead of the profile's."""
    constraint: Annotated[str, Field(min_length=1), Must("be text such as a100-80gb")] = ""
    """Features that its nodes must have (`sbatch --constraint`), instead of the profile's."""
    sbatch: Annotated[
        dict[str, str | int | float | bool | list[str | int] | None],
        BeforeValidator(sbatch_options),
        Must("be a mapping option: value"),
    ] = Field(default_factory=dict)
    """Further sbatch options: `{reservation: course, exclusive: true}`; they override the
    profile's of the same name, `false` leaves one of these out, a list is written with commas."""
    environment: Annotated[
        dict[str, str],
        BeforeValidator(stage_environment),
        Must("be a mapping NAME: text (quote numbers)"),
    ] = Field(default_factory=dict)
    """Environment variables of its jobs, over those of the profile; `$NAME` in a value is that
    variable where `orch` runs. No place for secrets: these belong into the profile."""
    setup: Annotated[list[str], Must("be a list of shell lines")] = Field(default_factory=list)
    """Shell lines that its jobs run after those of the profile."""
    wrap: Annotated[
        list[str] | None,
        BeforeValidator(filled_words),
        Must("be a list: a program and its arguments"),
    ] = None
    """Program and arguments that its jobs are started through, such as a container, instead of the
    profile's; `[]`: none. Where the profile has no container, an engine's Python is the `python3`
    inside."""

    @property
    def options(self) -> Options:
        """What the stage says itself."""
        return Options(
            partition=self.partition or None,
            account=self.account or None,
            qos=self.qos or None,
            constraint=self.constraint or None,
            sbatch=by_name(self.sbatch),
            environment=self.environment,
            setup=tuple(self.setup),
            wrap=None if self.wrap is None else tuple(self.wrap),
        )


class BudgetFile(FileModel):
    """``budget`` of an experiment, a preset or a profile."""

    MUST = "be a mapping such as {gpu_hours: 200}"

    gpu_hours: Annotated[
        float, Field(gt=0, allow_inf_nan=False), Must("be a number of hours above 0")
    ]
    """How many GPU-hours the run may take, over all attempts. A job counts as its GPUs by its time
    limit while it is submitted, and as what it took when it is over. What does not fit waits. It
    goes on when others have taken less, or when a person raises the budget and launches again."""


Times = Annotated[int, Field(ge=0, le=10), Must("be a whole number from 0 to 10")]


class RetryFile(FileModel):
    """``retry`` of an experiment."""

    MUST = "be a mapping such as {host memory: 2, time limit: 2, node: 3}"

    host_memory: Times = Field(default=0, alias="host memory")
    """How often a job that ran out of memory is submitted again with half as much again."""
    time_limit: Times = Field(default=0, alias="time limit")
    """How often a job that reached its time limit is submitted again with half as much time again,
    as long as it comes further than the time before."""
    node: Times = 0
    """How often a job whose node failed is submitted again on other nodes."""
    preempted: Times = 0
    """How often a job is submitted again that had to make room for others, where the site ends such
    jobs for good; what Slurm itself starts again is not counted."""
    network: Times = 0
    """How often a job that could not reach a server, or was asked to wait by one, is submitted
    again."""
    file_system: Times = Field(default=0, alias="file system")
    """How often a job whose files went away under it (a stale handle, an error of input or output)
    is submitted again on other nodes."""
    port: Times = 0
    """How often a job that found its port in use is submitted again."""

    @property
    def bounds(self) -> dict[str, int]:
        """How often at most, by the kind of failure as the lifecycle calls it."""
        kinds = {
            "host memory": self.host_memory,
            "time limit": self.time_limit,
            NODE_FAILURE: self.node,
            "preempted": self.preempted,
            "network": self.network,
            "file system": self.file_system,
            "port in use": self.port,
        }
        return {kind: times for kind, times in kinds.items() if times}
