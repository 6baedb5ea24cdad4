"""A cluster's profile: which partition, account and GPU type to ask for, and how large its nodes
are.

Its fields are the keys that a profile's file may have; ``profile_reader`` reads one. Runs keep it
with their plan, and everything that asks a scheduler for something looks here. Light: reading a
profile needs pydantic and YAML, using one does not.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

from jobs.spec import Options, Resources
from orchestrator.description.stage_keys.sbatch_names import by_name
from orchestrator.errors import CheckError
from orchestrator.node.redaction import SHORTEST as SHORTEST
from orchestrator.node.redaction import is_secret as is_secret

EVENTS = ("end", "fail", "decision")
"""What a person may be told of: a run ended, jobs died, a run waits for a decision."""


class Messages(TypedDict, total=False):
    """Who is told of what, as plans and profiles keep it (``NotifyFile`` in keys.py)."""

    on: list[str]
    command: list[str]
    webhook_env: str
    mail: str


class Tracking(TypedDict, total=False):
    """Where engines log to, as plans and profiles keep it (``TrackFile``)."""

    to: list[str]
    online: bool
    project: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One cluster as a user sees it."""

    name: str = ""
    """The profile's name: its file name without `.yaml`. Not written in the file."""
    kind: Literal["slurm", "local"]
    """`slurm`, or `local` for this machine without Slurm."""
    about: str = ""
    """One sentence for people."""
    partition: str | None = None
    """Slurm partition (`sbatch --partition`)."""
    partitions: dict[str, str] = field(default_factory=dict)
    """Partitions by what they offer: `{gpu: a100_normal_q, cpu: normal_q}`. Jobs with GPUs go to
    `gpu`, those without to `cpu`, and a stage may name any of the words (`partition: debug`); what
    is not listed goes to `partition`. The sizes below are those of `partition`, or without it of
    `gpu`; of the others Slurm says what they take."""
    account: str | None = None
    """Slurm account (`sbatch --account`)."""
    cluster: str | None = None
    """Which of several Slurm clusters (`--clusters` of every call); without it the one of this
    machine. A site with one does not need it."""
    qos: str | None = None
    """Slurm quality of service (`sbatch --qos`)."""
    gpu_type: str | None = None
    """GPU type in `--gres=gpu:TYPE:N`; without it any GPU of the partition."""
    cpus_per_node: int | None = None
    """CPU cores of one node; a job that asks for more is a mistake."""
    memory_gb_per_node: int | None = None
    """Memory of one node that jobs may ask for, in GB."""
    gpus_per_node: int | None = None
    """GPUs of one node."""
    max_minutes: int | None = None
    """Longest time limit the partition takes, in minutes."""
    max_jobs: int | None = None
    """How many jobs of yours, of whatever run, may be queued and running at once; the others wait,
    and the next command that checks the run submits them."""
    calls_per_minute: int = 750
    """How often a minute all your `orch` processes together may call squeue, sacct, sbatch, scancel
    and scontrol at most; more wait. While Slurm answers slowly, it is 120."""
    throttle: int | None = None
    """How many jobs of one array may run at once (`sbatch --array=...%N`); without it as many as
    fit."""
    setup: list[str] = field(default_factory=list)
    """Shell lines that a job runs before anything else: `module load`, `source .../activate`."""
    python: str | None = None
    """Python of the jobs, with the engines installed: a path, or `python` for the one that `setup`
    activates; without it orch's own."""
    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of every job. `$NAME` in a value is that variable where `orch` runs: it
    reaches the job with its environment and is written nowhere, so this is the place for tokens
    (`HF_TOKEN: $HF_TOKEN`)."""
    price_per_gpu_hour: float | None = None
    """What an hour of one GPU costs; `orch plan` and `orch costs` then show money beside
    GPU-hours."""
    currency: str = "USD"
    """Of `price_per_gpu_hour`."""
    submit_from_nodes: bool = True
    """Whether jobs may call sbatch here; if not, what a gate lets through waits for the next `orch`
    command."""
    budget: dict[str, float] = field(default_factory=dict)
    """How many GPU-hours a run may take whose experiment has no budget: `{gpu_hours: 200}`."""
    notify: Messages = field(default_factory=Messages)
    """Who gets a message when a run ends, jobs die, or it waits for a decision: `{on: [end, fail,
    decision], command: [...], webhook_env: NAME, mail: ADDRESS}`. An experiment's own overrides it.
    Without it `~/.config/orch/notify.yaml` counts."""
    track: Tracking = field(default_factory=Tracking)
    """Where engines log the metrics of their progress: `[wandb, tensorboard]` (of `wandb`,
    `mlflow`, `tensorboard` and `trackio`), or `{to: [wandb], online: true, project: NAME}`. An
    experiment's own replaces it, whole."""
    sbatch: dict[str, str | int | float | bool | list[str | int] | None] = field(
        default_factory=dict
    )
    """Further sbatch options: `{constraint: a100-80gb, reservation: course, exclusive: true}`. One
    that orch writes too, such as `cpus-per-task` or `mem`, takes the place of orch's; `false`
    leaves an option out, a list is written with commas."""
    memory_per: Literal["node", "gpu", "cpu"] = "node"
    """What the site counts memory by: a job's `memory_gb` is asked for as `--mem`, or divided among
    its GPUs (`--mem-per-gpu`) or CPUs."""
    wrap: list[str] = field(default_factory=list)
    """Program and arguments that every engine or command is started through, such as a container:
    `[apptainer, exec, --nv, /x/image.sif]`. `python` is then the one inside (`python3` without it).
    No shell reads it: write whole paths."""

    @property
    def host_python(self) -> str:
        """The Python that runs outside of ``wrap``."""
        # With `wrap`, `python` is one inside the container, and this one runs outside of it.
        return self.python if self.python and not self.wrap else sys.executable

    def money(self, gpu_hours: float) -> str:
        """What GPU-hours cost, such as ``31.60 USD``; empty where the price is not known."""
        if self.price_per_gpu_hour is None:
            return ""
        return f"{gpu_hours * self.price_per_gpu_hour:,.2f} {self.currency}"

    def variables(self) -> list[str]:
        """Names of the variables that ``environment`` uses, each once."""
        names = []
        for value in self.environment.values():
            names += variables_in(value)
        return list(dict.fromkeys(names))

    def with_options(self, options: Options, gpus: int = 0) -> Profile:
        """The profile as it holds for a job: what its stage says goes before what the profile says.

        Mappings (`sbatch`, `environment`) are merged key by key, the stage's set-up lines come
        after the profile's, anything else replaces.

        Args:
            gpus: how many the job asks for; without a word of its stage, a profile with
                ``partitions`` chooses by that.
        """
        partition = self.partition_of(options, gpus)
        asked = by_name(options.sbatch)
        own = {"constraint": options.constraint} if options.constraint else {}
        wrap, python = self.wrap, self.python
        if options.wrap is not None:
            wrap = list(options.wrap)
            if bool(wrap) != bool(self.wrap):
                # The profile's Python is one outside of containers, or one inside: not this one.
                python = None
        # What the profile says of its nodes holds for one partition; what is not known is None.
        same = partition == self.measured_partition
        return replace(
            self,
            partition=partition,
            account=options.account or self.account,
            qos=options.qos or self.qos,
            sbatch={**by_name(self.sbatch), **asked, **own},
            environment={**self.environment, **options.environment},
            setup=[*self.setup, *options.setup],
            wrap=wrap,
            python=python,
            cpus_per_node=self.cpus_per_node if same else None,
            memory_gb_per_node=self.memory_gb_per_node if same else None,
            gpus_per_node=self.gpus_per_node if same else None,
            max_minutes=self.max_minutes if same else None,
        )

    def partition_of(self, options: Options, gpus: int) -> str | None:
        """Where a job goes; this machine has no partitions, whatever a stage says."""
        if self.kind == "local":
            return self.partition
        if options.partition is not None:
            return self.partitions.get(options.partition, options.partition)
        return self.partitions.get("gpu" if gpus else "cpu", self.partition)

    @property
    def measured_partition(self) -> str | None:
        """The partition whose nodes the profile describes."""
        if self.kind == "local":
            return self.partition
        return self.partition or self.partitions.get("gpu")

    def check_environment(self, whose: str = "") -> None:
        """CheckError names a variable that is not set here. ``whose``: the stage that says so."""
        lines = []
        where = whose or f"profile '{self.name}'"
        for key, value in self.environment.items():
            all_set = all(name in os.environ for name in variables_in(value))
            # A `$` that begins no name would be read as one by the shell of the job.
            if not all_set or "$" in VARIABLE.sub("", value):
                lines.append(
                    f"{where}: environment: {key}={value} uses a "
                    "variable that is not set here; export it, or write the value"
                )
        if lines:
            raise CheckError(*lines)

    def exports(self) -> list[str]:
        """Shell lines that set ``environment`` on a node. Names of variables stay names there: the
        values come with the job's environment.

        Without one of them the job ends at once, and its log says which.
        """
        self.check_environment()
        # `${NAME?text}` ends a shell with the text when NAME is not set; set but empty is let pass.
        # Slurm brings the values with the environment of the submission.
        needed = [
            f'"${{{name}?is not set in the environment of this job; its profile needs it}}"'
            for name in self.variables()
            if name not in EVERYWHERE
        ]
        given = [f"{key}={double_quoted(value)}" for key, value in self.environment.items()]
        if self.wrap:
            given += [
                # Not put before the command here: the program on the node starts the engine through
                # it, and stays outside, where it can ask Slurm to requeue the job.
                f"ORCH_WRAP={shlex.quote(json.dumps(self.wrap))}",
                f"ORCH_PYTHON={shlex.quote(self.python or 'python3')}",
            ]
        # One export for all: a value means the variable as it was, not as another line here sets
        # it.
        lines = []
        if needed:
            # `:` does nothing but have its arguments expanded.
            lines.append(f": {' '.join(needed)}")
        if given:
            lines.append("export " + " \\\n    ".join(given))
        return lines

    def set_up_lines(self, **own: str) -> list[str]:
        """Shell lines of a job script before the command, on Slurm and on one machine alike. One
        of ``setup`` that fails ends the job, and the last line of the log names it.

        Args:
            own: variables that the cluster sets for the job, besides the profile's.
        """
        lines = ["export PYTHONSAFEPATH=1"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in own.items()]
        lines += self.exports()
        if self.setup:
            # After the exports, so that set-up lines may use these variables.
            lines += [*NAMED_END, "set -e", *self.setup, "trap - DEBUG ERR EXIT"]
        return lines

    def limits(self) -> dict[str, int | None]:
        """The largest request one node can take, by key of ``Resources``."""
        return {
            "cpus": self.cpus_per_node,
            "memory_gb": self.memory_gb_per_node,
            "gpus": self.gpus_per_node,
            "minutes": self.max_minutes,
        }

    def over_limits(self, resources: Resources) -> list[tuple[str, int, int]]:
        """(key, asked for, most) for each request that no node of this cluster can meet."""
        over = []
        for key, most in self.limits().items():
            asked = int(getattr(resources, key))
            # A limit that the profile does not state is unknown, not zero.
            if most is not None and asked > most:
                over.append((key, asked, most))
        return over


NAMED_END = (
    # The line of this script that runs; not those of scripts and functions that it calls. In the
    # trap below it is 1.
    "trap '[ $LINENO = 1 ] || orch_line=$LINENO' DEBUG ERR",
    # Here only if one of them has ended the shell, also by `exit 0`: the trap is taken off behind
    # the last one. $0 is the script itself.
    "trap 'orch_code=$?"
    '; echo "orch-error: setup ended with exit code $orch_code in: $(sed -n "${orch_line}p" "$0")'
    ' (a line whose exit code is not 0 ends the job: write || true behind it if it may fail)"'
    "; exit $((orch_code ? orch_code : 1))' EXIT",
)
"""Shell lines before those of ``setup``, which let the log name the one that ended the job."""
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)
"""``$NAME`` or ``${NAME}``."""
EVERYWHERE = ("HOME", "USER", "LOGNAME", "SHELL")
"""Variables that every job has."""


def variables_in(value: str) -> list[str]:
    """Names of the variables in a text."""
    return [match[1] or match[2] for match in VARIABLE.finditer(value)]


def double_quoted(value: str) -> str:
    """A word for a shell in which variables alone are put in."""
    # All that is special between double quotes but the dollar sign: backslash, quote, backtick.
    quoted = re.sub(r'([\\"`])', r"\\\1", value)
    return f'"{quoted}"' if VARIABLE.search(value) else shlex.quote(value)
