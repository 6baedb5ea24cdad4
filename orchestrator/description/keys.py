"""The keys that a person writes in an experiment file: one model for each part, with a sentence per
key. A new key begins here.

The readers check files against these models (``checking``), ``schema`` makes the JSON schema for
editors of them, and docs/reference.md prints their sentences. What can only be judged by looking at
several keys or stages stands in the readers: ``stage_reader``, ``gate_reader``, ``experiment``,
which make the checked values, such as ``stage.Stage``, that the planner reads.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, SkipValidation, Tag, model_validator

from engines.contract.checkpoints import check_selector
from engines.contract.config import ConfigError
from engines.contract.written.nodes import shown
from jobs.spec import Resources
from jobs.stages import MOST_POINTS, PAIR_AXES, Scalar
from orchestrator.description.catalogue import WHOLE
from orchestrator.description.checking import FileModel, Must, WordedError
from orchestrator.description.stage_keys.options import BudgetFile, OptionsFile, RetryFile
from orchestrator.description.stage_keys.parts import (
    Gates,
    MetricFile,
    ReadFile,
    ReplacementFile,
    listed,
    read_written,
)
from orchestrator.description.stage_keys.track import Track, TrackFile
from orchestrator.description.sweeps.axis_keys import (
    NAME,
    Axis,
    BestFile,
    RandomFile,
    SearchFile,
    axis_name,
    is_name,
    metric_name,
)

NAME_WORDS = "be a name of letters, digits, '_' and '-', at most 100 of them"
MOST = 10_000_000
"""Of what a job may ask for: 19 years of minutes, ten petabytes."""
MOST_STAGES = 500
"""Of an experiment: they are put in order one by one."""


def stage_name(value: Any) -> Any:
    """A key of ``stages``."""
    if not is_name(value):
        raise WordedError(
            "stage name {wrong} must be at most 100 letters, digits, '_' and '-', starting with a "
            "letter",
            wrong=shown(value),
        )
    return value


def preset_name(value: Any) -> Any:
    """A key of ``presets``."""
    # `--preset full` asks for the file as it is.
    if value == WHOLE or not is_name(value):
        raise WordedError(
            f"preset {{wrong}}: not a name for a preset ('{WHOLE}' means no preset); "
            "use another word",
            wrong=shown(value),
        )
    return value


def variable_name(value: Any) -> Any:
    """A key of ``vars``."""
    if not is_name(value):
        raise WordedError(
            "variable {wrong} must be a word of letters, digits, '_' and '-', at most 100 of them",
            wrong=shown(value),
        )
    return value


def arguments(value: Any) -> Any:
    """A command line as a list of arguments, split as a shell would; ``{axis}`` is filled in later,
    one argument at a time."""
    if not isinstance(value, str):
        return value
    wrong = of_a_shell(value)
    if wrong:
        raise WordedError(
            "'command' has '{wrong}', and no shell reads it: {value}; write a list, "
            '[bash, -c, "..."], or quotes around what is meant as it stands',
            wrong=wrong,
        )
    try:
        return shlex.split(value)
    except ValueError as error:
        raise WordedError(
            "'command' cannot be split into arguments ({error}): {value}; "
            "close the quote, or write a list",
            error=error,
        ) from error


QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
SHELL = re.compile(
    r"\d?>{1,2}(?!=?[-+.\deE]+$).*|&>{1,2}.*|<{1,3}(?!=?[-+.\deE]+$).*|\|{1,2}|&{1,2}|.*;|.*(?:\$\(|`).*"
)
"""A word that means something to a shell alone; `<5` may be an argument."""
SHELL_WORDS = frozenset({"cd", "source", ".", "export", "unset", "ulimit", "umask", "alias"})
"""What a shell does by itself, so that there is no program of that name."""


def of_a_shell(text: str) -> str:
    """The first word of a command line that only a shell understands; empty: there is none."""
    words = QUOTED.sub("q", text).split()
    if words and words[0] in SHELL_WORDS:
        return words[0]
    return next((word for word in words if SHELL.fullmatch(word)), "")


def selector(value: Any) -> Any:
    """Which checkpoints: a word, or epochs."""
    # `type`, not isinstance: [true] is no list of epochs.
    epochs = isinstance(value, list) and value and all(type(epoch) is int for epoch in value)
    if not isinstance(value, str) and not (epochs and min(value) >= 0):
        raise ConfigError(
            f"checkpoints: {shown(value)} is none of last, best, all, every:N, [epoch, ...]"
        )
    check_selector(value)
    return value


def pairs_written(value: Any) -> Any:
    """``pairs``: a list of them, or the values and which of their pairs are meant."""
    pairs = value if isinstance(value, list) else []
    good = all(isinstance(pair, list) and len(pair) == len(PAIR_AXES) for pair in pairs)
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= {"ordered", "unordered"}:
        pairs = list(value.values())
        good = isinstance(pairs[0], list) and len(pairs[0]) > 1
        if good and len(pairs[0]) ** 2 > MOST_POINTS:
            raise WordedError(
                f"{{name}}: {len(pairs[0])} values have too many pairs; {MOST_POINTS} at most"
            )
    if not pairs or not good or not all(isinstance(one, Scalar) for pair in pairs for one in pair):
        raise WordedError(
            "{name} must be such as [[a, b], [a, c]], {{ordered: [a, b, c]}} or "
            "{{unordered: [a, b, c]}}, got {value}"
        )
    return value


class ResourcesFile(FileModel):
    """``resources`` of a stage."""

    QUOTED = False

    # Defaults come from the class that the program uses, so that they stand in one place.
    nodes: int = Field(default=Resources.nodes, ge=1, le=MOST)
    """Nodes of the job; everything below is for each of them. A command is started once on each
    node; engines and packs take one."""
    gpus: int = Field(default=Resources.gpus, ge=0, le=MOST)
    """GPUs per node; the type comes from the cluster's profile."""
    cpus: int = Field(default=Resources.cpus, ge=1, le=MOST)
    """CPU cores per node."""
    memory_gb: int = Field(default=Resources.memory_gb, ge=1, le=MOST)
    """Memory per node, in GB."""
    minutes: int = Field(default=Resources.minutes, ge=1, le=MOST)
    """Time limit."""


class StageFile(OptionsFile):
    """A stage, by its name below ``stages``."""

    MUST = "be a mapping with an engine or a command"

    # Absent is "", not None, as for other texts below: pydantic does not check defaults, so
    # `min_length` refuses what a person left empty, and `engine:` with nothing behind it is a
    # mistake.
    engine: Annotated[str, Field(min_length=1, max_length=300), Must("be a name")] = ""
    """The program each job of the stage runs: `ppo` stands for `python -m engines.ppo`, and
    `path/file.py:function` for an engine of your own."""
    command: Annotated[
        list[Scalar],
        BeforeValidator(arguments, json_schema_input_type=str | list[Scalar]),
        Must("be a text or a list of arguments, each a text or a number", at_item=True),
    ] = Field(default_factory=list, min_length=1)
    """A command of your own instead of an engine: a text that is split at spaces, or a list of
    arguments; `{axis}` is replaced by the job's value, `$ORCH_OUT` by the folder that it may write
    into, `{for_each}` by that of the job which it follows, and no shell reads it."""
    matrix: Annotated[
        dict[Annotated[str, BeforeValidator(axis_name)], Axis],
        Must("name at least one axis with its values, 100 axes at most"),
    ] = Field(default_factory=dict, min_length=1, max_length=100)
    """Axes whose product gives the jobs: a list sets the config key of its name, a mapping brings
    config."""
    pairs: Annotated[
        list[list[Scalar]] | dict[Literal["ordered", "unordered"], list[Scalar]],
        BeforeValidator(pairs_written),
    ] = Field(default_factory=list)
    """Pairs of values, as the two axes `first` and `second`: a list of pairs, or of a list of
    values all of them: `{ordered: [a, b, c]}` (six) or `{unordered: [a, b, c]}` (three). They set
    no config key: the config says `"{first}"`. Below a `for_each` stage with an axis `first`, each
    job gets the pairs that begin with its value."""
    zip: Annotated[
        dict[Annotated[str, BeforeValidator(axis_name)], Axis],
        Must("name the axes that go together, each with as many values, 100 axes at most"),
    ] = Field(default_factory=dict, min_length=1, max_length=100)
    """Axes that go together: `{lr: [0.1, 0.01], epochs: [5, 50]}` are two jobs, the first values
    and the second ones. Each is written as in `matrix`, and the other axes multiply with them."""
    random: RandomFile | None = None
    """Points drawn at random: `{n: 8, seed: 0, axes: {lr: {log_uniform: [1e-4, 1e-1]}}}`. They are
    in the plan, and the other axes multiply with them."""
    search: SearchFile | None = None
    """Points that are drawn in rounds by the results of the rounds before (Optuna's TPE):
    `{metric: val_loss, rounds: 4, n: 6, axes: {lr: {log_uniform: [1e-4, 1e-1]}}}`. The axis `point`
    numbers them; beside them the matrix has `seed` alone."""
    exclude: Annotated[
        list[Annotated[dict[str, Scalar], Field(min_length=1)]],
        Must("be a list of mappings axis: value", at_item=True),
    ] = Field(default_factory=list, min_length=1)
    """Combinations of axis values to leave out of the product."""
    replace: Annotated[
        list[ReplacementFile],
        BeforeValidator(listed, json_schema_input_type=ReplacementFile | list[ReplacementFile]),
    ] = Field(default_factory=list)
    """Jobs that take the place of others, such as a seed that learned nothing, with what follows
    them: `{where: {seed: 2}, by: {seed: 4}, reason: TEXT}`, or a list. The same run goes on: what
    is done stays done."""
    metrics: Annotated[
        dict[Annotated[str, BeforeValidator(metric_name)], MetricFile],
        Must("be a mapping such as {accuracy: {better: higher}}"),
    ] = Field(default_factory=dict, min_length=1)
    """What a command measures, by name: `{accuracy: {better: higher}}`. It writes the values into
    `results.json` and `progress.jsonl` in `$ORCH_OUT`; gates, the best job and reports go by
    them."""
    reads: Annotated[
        list[
            Annotated[
                ReadFile, BeforeValidator(read_written, json_schema_input_type=str | ReadFile)
            ]
        ],
        BeforeValidator(listed, json_schema_input_type=str | ReadFile | list[str | ReadFile]),
        Must("be a kind such as trainer, a mapping such as {kind: jsonl, path: P}, or a list"),
    ] = Field(default_factory=list, min_length=1)
    """What a framework below the command writes anyway, taken as its progress, results and
    checkpoints: `trainer`, `{kind: jsonl, path: logs/{seed}.jsonl}`, or a list."""
    for_each: Annotated[
        Annotated[str, Field(min_length=1, max_length=100), Tag("a name")]
        | Annotated[BestFile, Tag("the best")],
        Discriminator(lambda value: "the best" if isinstance(value, dict | BestFile) else "a name"),
        Must("be a stage, or such as {of: train, best: val_loss, per: [seed]}"),
    ] = ""
    """A stage; this one gets a job per job of that stage, started when that job is done. Or the
    best job of a stage, `{of: train, best: val_loss, per: [seed]}`: one job for each seed, after
    the best of that seed's jobs, chosen when the values are there."""
    after: Annotated[
        list[Annotated[str, Field(max_length=100)]],
        BeforeValidator(listed, json_schema_input_type=str | list[str]),
        Must("be a stage or a list of stages", at_item=True),
    ] = Field(default_factory=list)
    """A stage or a list of stages; every job here waits for all jobs there."""
    when: Gates = Field(default_factory=list)
    """A gate, or a list of them: the stage runs if the results of another stage reach a threshold;
    else its jobs are SKIPPED."""
    unless: Gates = Field(default_factory=list)
    """A gate the other way round: the stage runs if the results do not reach the threshold."""
    checkpoints: Annotated[str | list[int], BeforeValidator(selector)] = ""
    """Which checkpoints of the `for_each` job to use: last, best, all, every:N, or a list of
    epochs."""
    resources: ResourcesFile | None = None
    """What one job asks for: nodes, gpus and cpus (per node), memory_gb (per node), minutes (time
    limit)."""
    pack: int = Field(default=1, ge=1, le=MOST)
    """How many jobs of the stage share one allocation. It asks for CPUs and memory for each of them
    and for GPUs once, which they share; each keeps its own state, log and retry."""
    at_once: int | None = Field(default=None, ge=1, le=MOST)
    """How many jobs of a pack run at a time; all without it. CPUs and memory are asked for so many,
    and time for as many turns as it takes."""
    canary: Annotated[
        bool | Annotated[dict[str, Any], Field(min_length=1)],
        Must("be true, or config keys for a short first job such as {epochs: 1}"),
    ] = False
    """true: the first job runs alone, the others start when it has succeeded. A mapping of config
    keys: a short variant of the first job does, and is thrown away."""
    config: dict[str, Any] | None = None
    """The engine's config; `{of: STAGE, path: P}` and `{of: STAGE, checkpoint: C}` stand for what a
    job there leaves, `"{axis}"` for the job's value on an axis that comes from `for_each`."""


class NotifyFile(FileModel):
    """``notify`` of an experiment file or a profile, and ~/.config/orch/notify.yaml."""

    on: Annotated[
        list[Literal["end", "fail", "decision"]], Must("be a list of end, fail, decision")
    ] = Field(default_factory=list)
    """Of which events, a list of `end`, `fail` and `decision`; all of them without it."""
    command: Annotated[list[str], Must("be a list of words")] = Field(
        default_factory=list, min_length=1
    )
    """A program with its arguments, a list: `{event}`, `{run}`, `{text}` and `{folder}` are filled
    in. No shell."""
    webhook_env: Annotated[
        str, Field(pattern=r"^[A-Za-z_]\w*$"), Must("be the name of a variable")
    ] = ""
    """Name of the environment variable that holds the URL of a webhook (Slack, Mattermost); the URL
    is written nowhere."""
    mail: Annotated[str, Field(pattern=r"^[^\s-]\S*$"), Must("be an address")] = ""
    """Address that gets a mail, through `mail` or `sendmail` where there is one."""

    @model_validator(mode="after")
    def _says_how(self) -> NotifyFile:
        # `on` alone says of what to tell, and nobody would be told.
        if not self.model_fields_set - {"on"}:
            raise WordedError(
                "{name} must be a mapping that says how: command, webhook_env or mail, got {value}"
            )
        return self


class PresetFile(FileModel):
    """A preset, by its name below ``presets``. Its stages are checked when they have been merged
    over the experiment's own."""

    CALLED = "preset '{key}'"

    about: str = ""
    """One sentence for people."""
    vars: dict[str, Any] | None = None
    """Other values of variables."""
    budget: Any = None
    """Another budget."""
    stages: Any = None
    """Changes to stages, by name, and new stages."""


class ExperimentFile(FileModel):
    """An experiment file."""

    experiment: Annotated[
        str,
        Field(pattern=NAME),
        Must(NAME_WORDS),
    ]
    """The experiment's name; its runs lie in `runs/<experiment>/`."""
    about: str = ""
    """One sentence for people: what is compared, on what."""
    include: Annotated[
        str | list[str], Must("be a file or a list of files, relative to this one")
    ] = Field(default_factory=list)
    """A file, or a list of them, relative to this one's folder. This file is merged over it, as a
    preset is over a file. Of several, a later one overrides an earlier one."""
    vars: Annotated[
        dict[Annotated[str, BeforeValidator(variable_name)], Any] | None,
        Must("be a mapping from a name to its value"),
    ] = None
    """Variables by name: `"${name}"` stands for the value, whatever it is, and inside a longer text
    for its words; `$${name}` for itself. A variable may use others, presets and `--set vars.name=`
    change them."""
    stages: Annotated[
        # Not checked here: the readers check each stage by itself, with its name before every
        # message.
        dict[Annotated[str, BeforeValidator(stage_name)], SkipValidation[StageFile]],
        Field(min_length=1, max_length=MOST_STAGES),
        Must(f"name at least one stage, and {MOST_STAGES} at most", got=False),
    ]
    """The stages by name; the keys of a stage are below."""
    notify: NotifyFile | None = None
    """Who gets a message when a run ends, when jobs die and when it waits for a decision. It
    overrides what the cluster's profile says. Its keys are below."""
    retry: RetryFile | None = None
    """What is submitted again by itself, and how often at most: `{host memory: 2, time limit: 2,
    node: 3}`; without it a person decides. Its keys are below."""
    budget: BudgetFile | None = None
    """How many GPU-hours the run may take at most: `{gpu_hours: 200}`. It overrides what the
    cluster's profile says. Its keys are below."""
    track: Annotated[Track | None, Must(TrackFile.MUST)] = None
    """Where engines log the metrics of their progress besides their own files: a list of `wandb`,
    `mlflow`, `tensorboard` and `trackio`, or a mapping that says more. It overrides what the
    cluster's profile says, and `[]` is none. Its keys are below."""
    snapshot: bool = False
    """`true`: commands run in a copy of the files of this folder that git tracks or does not
    ignore, made at launch."""
    presets: Annotated[
        dict[Annotated[str, BeforeValidator(preset_name)], PresetFile] | None,
        Must("be a mapping from a name to its changes"),
    ] = None
    """Variants by name, each with `stages` (and `about`) that are merged over the ones above.
    Mappings merge, scalars and lists replace. null takes a key out (inside `config` it is a value).
    New stages may appear."""
