"""Write docs/reference.md from the code: every command and option, every key of an experiment file,
profile and engine config. With it the JSON schemas for editors, which come from the same models.

    python scripts/reference.py            writes docs/reference.md and the schemas
    python scripts/reference.py --check    exit 1 if a file is not what the code says

The sentences are the code's own help texts and the docstrings beneath the fields, so they cannot
drift apart.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from engines.contract.metrics import METRICS
from orchestrator.cli.app import COMMANDS, load
from orchestrator.description.checking import keys_of, models_in
from orchestrator.description.keys import ExperimentFile, NotifyFile, ResourcesFile, StageFile
from orchestrator.description.profile import Profile
from orchestrator.description.schema import PATHS, field_docstrings, schema_text, sentences
from orchestrator.description.stage_keys.options import BudgetFile, OptionsFile, RetryFile
from orchestrator.description.stage_keys.parts import GateFile
from orchestrator.description.stage_keys.track import TrackFile
from orchestrator.description.sweeps.axis_keys import BestFile, DrawFile, RandomFile
from orchestrator.node.slurm.environment import ANSWERS, IN_ITS_PLACE
from orchestrator.node.slurm.environment import KEPT as KEPT_VARIABLES
from orchestrator.node.slurm.variables import EVERYWHERE, INPUTS
from orchestrator.runs.record import JobState

ROOT = Path(__file__).resolve().parent.parent
ENGINES = sorted(
    ".".join(path.parent.relative_to(ROOT / "engines").parts)
    for path in (ROOT / "engines").rglob("__main__.py")
    # It runs the engines of others, whose configs are theirs.
    if path.parent.name != "own"
)
"""Every program below ``engines``, also one inside another's package."""

READ = {
    "ORCH_CLUSTER": "the cluster profile, where `--cluster` is not given: a name or a .yaml file",
    "ORCH_RUNS": "the folder of the runs; without it `./runs`",
    "ORCH_CACHE": "where answers of Slurm, the count of its calls and looks at finished runs lie; "
    "without it "
    "`$XDG_CACHE_HOME/orch`",
    "PYTHONIOENCODING": "how the terminal is encoded, where that is not what the locale says",
    "COLUMNS": "how wide a line of text may be; without it as wide as the terminal, and in a pipe "
    "as wide as the text",
    "TERM": "the kind of terminal; on `dumb` and `unknown` long commands show no bar",
    "XDG_CONFIG_HOME": "`orch/` below it holds your cluster profiles and `notify.yaml`; without it "
    "`~/.config`",
    "XDG_CACHE_HOME": "`orch/` below it is the cache; without it `~/.cache`",
    "TMPDIR": "a job's temporary folder is made below it, else below `/tmp`; `orch` keeps there "
    "which CPUs and GPUs of this machine its local jobs hold",
    "SBATCH_ACCOUNT": "the Slurm account, where the profile names none",
    "SBATCH_PARTITION": "the Slurm partition, where the profile names none",
    "SBATCH_QOS": "the quality of service, where the profile names none",
    "SLURM_CONF": "that of Slurm; answers of two clusters are kept apart by it",
    "CUDA_VISIBLE_DEVICES": "which GPUs the jobs of the cluster `local`, and the processes of a "
    "job, may use",
    "PYTHONPATH": "kept: a command's own comes before orch's, an engine's behind it",
    "RANK": "of a job of several processes: the one of rank 0 writes what `import orch` is told",
    "SLURM_CPUS_PER_TASK": "an engine starts at most so many threads",
    "OMP_NUM_THREADS": "an engine starts at most so many threads; a list of numbers is ignored",
    "VLLM_LOGGING_LEVEL": "`ERROR` for the engines where it is not set",
    "RAY_ADDRESS": "left out by the engines: they start a Ray of their own",
    "ORCH_COUNTS": "set by `orch compare` for the report that it waits for: the number of "
    "the pipe in which that tells how far it is",
    "ORCH_SANDBOX": "set by the first process of a job that tries the sandboxes, for those after "
    "it: `bubblewrap`, `landlock`, the same with `, cold` behind it, or `limits`",
}
"""Environment variables that people may set, or that others set for them."""

SLURM_VARIABLES = (
    "Slurm's programs take options from the environment, and these override the lines of a "
    "script. `orch` sets all that it needs itself. So what begins with a program's prefix or with "
    "`SLURM_` is left out of every call, also a variable that is not listed here. Jobs do not see "
    "it either. What sbatch would read is the user's wish for all their jobs: it would give the "
    "jobs of a run another name, time or place than the run says. What squeue, sacct, sinfo, "
    "scontrol and scancel would read hides jobs from the answer, or from the order to end. Those "
    "that say where Slurm is and who the user is stay. `orch check` names those that are set."
)

GIVEN = {
    "ORCH_OUT": "the folder that the command may write into, the same for every attempt",
    "ORCH_AXES": 'JSON: the job\'s axes, such as `{"seed": 0}`',
    "ORCH_NEEDS": "JSON: the folder of each job that this one follows, by its name",
    "ORCH_CHECKPOINTS": "JSON: name, step and path of each checkpoint that the job is for",
    "ORCH_JOB": "the job's name",
    "ORCH_RUN": "the run's folder",
    "ORCH_ATTEMPT": "which attempt this is, from 1",
    "ORCH_NODES": "how many nodes the job has, where there are several",
    "ORCH_REQUEUE": "a file that `orch.requeue()` makes, for launchers that change the exit code",
}
"""What a user's command finds in its environment."""

TRACKERS = {
    "WANDB_PROJECT": "the project: that of `track`, else the experiment's name",
    "WANDB_NAME": "the job's name",
    "WANDB_RUN_GROUP": "the run: `EXPERIMENT/PRESET-HASH`",
    "WANDB_JOB_TYPE": "the stage",
    "WANDB_TAGS": "the job's axes, `lr=0.1,seed=2`, and the preset",
    "WANDB_RUN_ID": "the job's own id, the same after a requeue and a retry; on several nodes node "
    "0 alone has it",
    "WANDB_RESUME": "`allow`",
    "WANDB_MODE": "`offline`, or `online` where `track` says so",
    "WANDB_DIR": "the job's own folder",
    "MLFLOW_EXPERIMENT_NAME": "the project",
    "MLFLOW_RUN_CONTEXT": "JSON, tags of each run that the job starts: `mlflow.runName`, "
    "`orch.run`, `orch.stage`, `orch.id`, and the job's axes",
    "MLFLOW_RUN_ID": "the run that an earlier start has begun in the job's own database, if it "
    "is one alone",
    "MLFLOW_TRACKING_URI": "a database in the job's own folder, `sqlite:///.../mlflow.db`",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "where artifacts of that database lie",
    "MLFLOW_DISABLE_TELEMETRY": "`true`, unless `track` says `online`",
    "TENSORBOARD_LOGGING_DIR": "the job's own folder; read by transformers, not by TensorBoard",
    "TENSORBOARD_DIR": "the same, read by verl",
    "TRACKIO_DIR": "the job's own folder; trackio reads no name, group or id from a variable",
}
"""What a job's program finds there for trackers, unless the profile or the stage says otherwise."""

INTERNAL = {
    "ORCH_TRACKING": "which variables of trackers orch has set, for a job that launches a run",
    "ORCH_JOB_ID": "the id of a job of the cluster `local`",
    "ORCH_PYTHON": "the profile's `python`, on its way to the node",
    "ORCH_WRAP": "the profile's `wrap`, on its way to the node",
    "SLURMD_NODENAME": "of Slurm",
    "SLURM_ARRAY_JOB_ID": "of Slurm",
    "SLURM_ARRAY_TASK_ID": "of Slurm",
    "SLURM_JOB_ID": "of Slurm",
    "SLURM_GPUS_ON_NODE": "of Slurm",
    "SLURM_JOB_NODELIST": "of Slurm",
    "SLURM_LAUNCH_NODE_IPADDR": "of Slurm",
    "SLURM_NTASKS": "of Slurm",
    "SLURM_PROCID": "of Slurm",
    "SLURM_RESTART_COUNT": "of Slurm",
    "COMP_WORDS": "of the shell, for TAB",
    "COMP_CWORD": "of the shell, for TAB",
    "_ORCH_COMPLETE": "of the shell, for TAB",
}
"""What programs say to one another; not for people to set."""


def cell(value: object) -> str:
    """Text that may stand in a cell of a Markdown table."""
    return str(value).replace("|", "\\|")


def type_name(annotation: object) -> str:
    """A type as a person would write it, the same on every Python: 3.14's own text is `X | None`
    where 3.11's is `Optional[X]`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is type(None):
        return "None"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(argument) for argument in arguments)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin in (None, typing.Literal) or not arguments:
        text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        return text.removeprefix("typing.")
    name = getattr(origin, "__name__", str(origin))
    # `tuple[int, ...]` has an ellipsis.
    inside = ["..." if argument is ... else type_name(argument) for argument in arguments]
    return f"{name}[{', '.join(inside)}]"


def model_table(kind: type[BaseModel], seen: set[type]) -> Iterator[str]:
    """One row per key of a config, then the configs nested in it."""
    seen.add(kind)
    texts = sentences(kind)
    yield "| key | type | default | |"
    yield "| --- | --- | --- | --- |"
    nested: list[type[BaseModel]] = []
    for name, field in keys_of(kind).items():
        default = (
            "required"
            if field.is_required()
            else f"`{field.get_default(call_default_factory=True)!r}`"
        )
        if isinstance(field.get_default(call_default_factory=True), BaseModel):
            default = "as below"
        yield (
            f"| `{name}` | `{cell(type_name(field.annotation))}` | {cell(default)} | "
            f"{cell(texts.get(name, ''))} |"
        )
        nested += [part for part in models_in(field.annotation) if part not in seen]
    for part in nested:
        if part not in seen:
            yield ""
            yield f"`{part.__name__}`: {first_paragraph(part)}"
            yield ""
            yield from model_table(part, seen)


def first_paragraph(thing: object) -> str:
    """What a docstring says first, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def with_code(text: str) -> str:
    """A help text whose `RUN[:JOB]` is code: bare, Markdown takes its brackets for a link."""
    return re.sub(r"\bRUN\[[^\s,;]*", r"`\g<0>`", text)


def second_paragraph(thing: object) -> str:
    """What a docstring says below its first sentence, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[1].split())


def keys_table(kind: type[BaseModel]) -> Iterator[str]:
    """One row per key of a part of a file."""
    yield "| key | |"
    yield "| --- | --- |"
    for key, text in sentences(kind).items():
        yield f"| `{key}` | {cell(text)} |"


def dataclass_table(kind: type) -> Iterator[str]:
    """One row per field of a dataclass."""
    assert is_dataclass(kind)
    texts = field_docstrings(kind)
    yield "| key | type | |"
    yield "| --- | --- | --- |"
    for name, annotation in kind.__annotations__.items():
        yield f"| `{name}` | `{cell(annotation)}` | {cell(texts.get(name, ''))} |"


def commands() -> Iterator[str]:
    """Every command with its arguments and options; those of a group are named with it."""
    parts: list[tuple[str, Any]] = []
    for name in COMMANDS:
        command = load(name)
        if hasattr(command, "commands"):
            parts += [(f"{name} {part}", inner) for part, inner in command.commands.items()]
        else:
            parts.append((name, command))
    for name, command in sorted(parts):
        if command.hidden:
            continue
        words = []
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                word = parameter.metavar or parameter.name.upper()
                words.append(word if parameter.required else f"[{word}]")
        yield f"### `{' '.join(['orch', name, *words])}`"
        yield ""
        yield " ".join((command.help or "").split())
        yield ""
        for parameter in command.params:
            if parameter.param_type_name == "option":
                yield (
                    f"- `{', '.join([*parameter.opts, *parameter.secondary_opts])}` "
                    f"{with_code(parameter.help or '')}"
                ).rstrip()
            elif getattr(parameter, "help", None):
                name = parameter.metavar or parameter.name.upper()
                yield f"- `{name}` {with_code(parameter.help)}"
        yield ""


def engine_configs() -> Iterator[str]:
    """The keys of every engine's config."""
    for name in ENGINES:
        module = importlib.import_module(f"engines.{name}")
        yield from ("", f"## Engine `{name}`", "", first_paragraph(module), "")
        yield from model_table(module.Config, set())


def metrics() -> Iterator[str]:
    """Every metric that results may have."""
    yield from ("", "## Metrics", "", "| metric | unit | range | better | |")
    yield "| --- | --- | --- | --- | --- |"
    for name, metric in METRICS.items():
        better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
        low = "" if metric.low is None else metric.low
        high = "" if metric.high is None else metric.high
        about = cell(metric.about)
        yield f"| `{name}` | {metric.unit} | {low} to {high} | {better} | {about} |"


def variables() -> Iterator[str]:
    """The environment variables."""
    parts = {
        "Read by `orch` and its jobs": READ,
        "Given to a command": GIVEN,
        "Given to engines and commands for their trackers": TRACKERS,
        "Between programs; not to be set": INTERNAL,
    }
    yield from ("", "## Environment variables")
    for title, names in parts.items():
        yield from ("", f"{title}:", "", "| variable | |", "| --- | --- |")
        for name, text in names.items():
            yield f"| `{name}` | {cell(text)} |"


def slurm_variables() -> Iterator[str]:
    """What becomes of the variables that Slurm's programs read."""
    yield from ("", "## Variables of Slurm's programs", "", SLURM_VARIABLES, "")
    yield from ("| variable | read by | as | what becomes of it |", "| --- | --- | --- | --- |")
    programs = {"all of them": EVERYWHERE, **INPUTS}
    for program, names in programs.items():
        for name, meaning in sorted(names.items()):
            if name in KEPT_VARIABLES:
                outcome = "kept"
            elif name in IN_ITS_PLACE:
                outcome = f"the profile's `{IN_ITS_PLACE[name]}`, where it names none"
            elif name in ANSWERS:
                outcome = f"set to `{ANSWERS[name]}`, but for sbatch"
            else:
                outcome = "left out"
            yield f"| `{name}` | {program} | {meaning} | {outcome} |"


def reference() -> str:
    """The whole page."""
    lines = [
        "# Reference",
        "",
        "Written by `python scripts/reference.py` from the code; a test fails when the two differ.",
        "",
    ]
    lines += ["## Commands", ""]
    lines += commands()
    lines += ["## Experiment file", "", *keys_table(ExperimentFile)]
    lines += ["", "### Stage", "", *keys_table(StageFile)]
    lines += ["", "### Stage, preset and profile together", "", second_paragraph(OptionsFile)]
    lines += ["", "### `when` and `unless`", "", *keys_table(GateFile)]
    lines += ["", "### `random`", "", *keys_table(RandomFile)]
    lines += ["", "What an axis is drawn from:", "", *keys_table(DrawFile)]
    lines += ["", "### `for_each: {of: ..}`", "", *keys_table(BestFile)]
    lines += ["", "### `resources`", "", *model_table(ResourcesFile, set())]
    lines += ["", "### `retry`", "", *keys_table(RetryFile)]
    lines += ["", "### `budget`", "", *keys_table(BudgetFile)]
    lines += ["", "### `track`", "", *keys_table(TrackFile)]
    lines += ["", "## Cluster profile", "", *dataclass_table(Profile)]
    lines += ["", "### `notify`", "", *keys_table(NotifyFile)]
    lines += variables()
    lines += slurm_variables()
    lines += ["", "## States", "", "| state | |", "| --- | --- |"]
    lines += [f"| {name} | {cell(text)} |" for name, text in field_assignments(JobState).items()]
    lines += engine_configs()
    lines += metrics()
    return "\n".join(lines) + "\n"


def field_assignments(kind: type) -> dict[str, str]:
    """The string beneath each member of an enumeration."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for member, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name):
            text = (
                below.value.value
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                else ""
            )
            found[member.targets[0].id] = " ".join(str(text).split())
    return found


def main() -> int:
    """Write the files, or with ``--check`` say whether they are up to date."""
    texts = {"docs/reference.md": reference()}
    texts |= {path: schema_text(kind) for kind, path in PATHS.items()}
    if "--check" not in sys.argv[1:]:
        for path, text in texts.items():
            (ROOT / path).write_text(text)
        return 0
    old = [
        path
        for path, text in texts.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_text() != text
    ]
    for path in old:
        print(f"{path} is not what the code says: run python scripts/reference.py", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
