"""Cluster profiles: which partition, account and GPU type to ask for, and how large its nodes are.
Data, no logic."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import shlex
import shutil
import sys
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.spec import Resources
from orchestrator.errors import CheckError

if TYPE_CHECKING:
    from orchestrator.description.yaml_lines import Mistakes, Node

EVENTS = ("end", "fail", "decision")
"""What a person may be told of: a run ended, jobs died, a run waits for a decision."""

USER_FILE = Path("~/.config/orch/cluster.yaml")


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
    account: str | None = None
    """Slurm account (`sbatch --account`)."""
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
    and whoever looks next submits them."""
    calls_per_minute: int = 120
    """How often a minute all your `orch` processes together may call squeue, sacct, sbatch, scancel
    and scontrol; more wait."""
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
    submit_from_nodes: bool = True
    """Whether jobs may call sbatch here; if not, what a gate lets through waits for the next `orch`
    command."""
    notify: dict[str, Any] = field(default_factory=dict)
    """Who is told when a run ends, jobs die, or it waits for a decision: `{on: [end, fail,
    decision], command: [...], webhook_env: NAME, mail: ADDRESS}`; an experiment's own goes before
    it, without it `~/.config/orch/notify.yaml` holds."""
    sbatch: dict[str, str | int | bool] = field(default_factory=dict)
    """Further sbatch options by their long name: `{constraint: a100-80gb, reservation: course,
    exclusive: true}`."""
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
        return self.python if self.python and not self.wrap else sys.executable

    def variables(self) -> list[str]:
        """Names of the variables that ``environment`` uses."""
        return list(
            dict.fromkeys(
                match[1] or match[2]
                for value in self.environment.values()
                for match in VARIABLE.finditer(value)
            )
        )

    def check_environment(self) -> None:
        """CheckError names a variable that is not set here."""
        lines = [
            f"profile '{self.name}': environment: {key}={value} uses a variable that is "
            "not set here; export it, or write "
            "the value"
            for key, value in self.environment.items()
            if "$"
            in VARIABLE.sub(
                lambda match: "" if (match[1] or match[2]) in os.environ else "$", value
            )
        ]
        if lines:
            raise CheckError(*lines)

    def exports(self) -> list[str]:
        """Shell lines that set ``environment`` on a node. Names of variables stay names there: the
        values come with the job's environment.

        Without one of them the job ends at once, and its log says which.
        """
        self.check_environment()
        needed = [
            f'"${{{name}?is not set in the environment of this job; its profile needs it}}"'
            for name in self.variables()
            if name not in EVERYWHERE
        ]
        given = [f"{key}={double_quoted(value)}" for key, value in self.environment.items()]
        if self.wrap:
            given += [
                f"ORCH_WRAP={shlex.quote(json.dumps(self.wrap))}",
                f"ORCH_PYTHON={shlex.quote(self.python or 'python3')}",
            ]
        # One export for all: a value means the variable as it was, not as another line here sets
        # it.
        return ([f": {' '.join(needed)}"] if needed else []) + (
            ["export " + " \\\n    ".join(given)] if given else []
        )

    def set_up_lines(self, **own: str) -> list[str]:
        """Shell lines of a job script before the command, on Slurm and on one machine alike. One
        of ``setup`` that fails ends the job, and its message is the last line of the log.

        Args:
            own: variables that the cluster sets for the job, besides the profile's.
        """
        lines = ["export PYTHONSAFEPATH=1"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in own.items()]
        lines += self.exports()
        if self.setup:
            lines += ["set -e", *self.setup]
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
        asked = {key: int(getattr(resources, key)) for key in self.limits()}
        return [
            (key, asked[key], most)
            for key, most in self.limits().items()
            if most is not None and asked[key] > most
        ]


VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)
"""``$NAME`` or ``${NAME}``."""
EVERYWHERE = ("HOME", "USER", "LOGNAME", "SHELL")
"""Variables that every job has."""
RESERVED = (
    "job-name",
    "output",
    "error",
    "array",
    "dependency",
    "kill-on-invalid-dep",
    "signal",
    "requeue",
    "no-requeue",
    "parsable",
    "wrap",
    "chdir",
    "test-only",
    "wait",
)
"""Options of sbatch that orch's own bookkeeping hangs on."""
COUNTS = (
    "cpus_per_node",
    "memory_gb_per_node",
    "gpus_per_node",
    "max_minutes",
    "max_jobs",
    "throttle",
    "calls_per_minute",
)
"""Keys that are whole numbers; the plain ones left are text."""


def double_quoted(value: str) -> str:
    """A word for a shell in which variables alone are put in."""
    quoted = re.sub(r'([\\"`])', r"\\\1", value)
    return f'"{quoted}"' if VARIABLE.search(value) else shlex.quote(value)


def known_profiles() -> dict[str, Path]:
    """Profiles by name: those in ``~/.config/orch`` hide shipped ones of the same name."""
    shipped = Path(str(importlib.resources.files("slurm_templates")))
    own = USER_FILE.expanduser().parent
    return {path.stem: path for folder in (shipped, own) for path in sorted(folder.glob("*.yaml"))}


def load_profile(name: str | None = None) -> Profile:
    """The profile called ``name`` (or in that file); without a name the user's own, or ``local``
    where there is no sbatch.

    CheckError has one line per mistake in the file.
    """
    from orchestrator.description.yaml_lines import Mistakes, near, read_file

    name = name or os.environ.get("ORCH_CLUSTER") or default_name()
    path = Path(name).expanduser()
    if not (path.suffix in (".yaml", ".yml") and path.is_file()):
        known = known_profiles()
        if name not in known:
            raise CheckError(
                f"no cluster profile '{name}'{near(name, known)} (a file ending in .yaml, one in "
                f"{USER_FILE.parent}, or a shipped one)"
            )
        path = known[name]
    mistakes = Mistakes()
    root = read_file(path, mistakes)
    values = profile_values(root, mistakes) if root else {}
    if mistakes.lines:
        raise CheckError(*mistakes.in_file_order())
    if "notify" not in values:
        from orchestrator.description.notifications import user_file

        values["notify"] = user_file()
    return Profile(name=path.stem, **values)


def default_name() -> str:
    """Which profile to take when none is named."""
    if USER_FILE.expanduser().is_file():
        return str(USER_FILE.expanduser())
    if shutil.which("sbatch") is None:
        return "local"
    raise CheckError(
        "this machine has sbatch but there is no profile of the cluster: write one with "
        "`orch profile "
        f"init` ({USER_FILE}), or name one: --cluster local"
    )


def profile_values(root: Node, mistakes: Mistakes) -> dict[str, Any]:
    """The values of a profile file, checked key by key."""
    from orchestrator.description.yaml_lines import near, shown

    if not isinstance(root.value, dict):
        mistakes.add(root.where, f"a profile must be a mapping, got {shown(root.plain())}")
        return {}
    known = [item.name for item in fields(Profile) if item.name != "name"]
    values: dict[str, Any] = {}
    for key, node in root.value.items():
        if key not in known:
            mistakes.add(
                node.where,
                f"profile: unknown key '{key}' (value {shown(node.plain())}){near(key, known)}",
            )
        elif key == "notify" and node.value is not None:
            from orchestrator.description.notifications import read_notify

            values[key] = read_notify(node, "profile: notify", mistakes)
        elif (wrong := wrong_type(key, node.plain())) is not None:
            mistakes.add(node.where, f"profile: {key} must be {wrong}, got {shown(node.plain())}")
        elif node.value is not None:
            values[key] = node.plain()
    required = [
        item.name
        for item in fields(Profile)
        if item.default is MISSING and item.default_factory is MISSING
    ]
    for key in required:
        if key not in root.value:
            mistakes.add(
                root.where, f"profile: '{key}' is missing; write kind: slurm or kind: local"
            )
    return values


def wrong_type(key: str, value: Any) -> str | None:
    """What the value should have been, or None if it is right."""
    if key == "kind":
        return None if value in ("slurm", "local") else "slurm or local"
    if value is None:
        return None
    if key in ("setup", "wrap"):
        good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return (
            None
            if good
            else "a list of shell lines"
            if key == "setup"
            else "a list: a program and its arguments"
        )
    if key == "environment":
        good = isinstance(value, dict) and all(
            isinstance(item, str) for pair in value.items() for item in pair
        )
        return None if good else "a mapping NAME: text (quote numbers)"
    if key == "sbatch":
        good = isinstance(value, dict) and all(
            isinstance(item, str | int) for item in value.values()
        )
        ours = (
            [option for option in value if str(option).replace("_", "-") in RESERVED]
            if good
            else []
        )
        return (
            f"without '{ours[0]}', which orch sets itself"
            if ours
            else None
            if good
            else "a mapping option: value"
        )
    if key == "calls_per_minute":
        return None if type(value) is int and value > 0 else "a whole number from 1 on"
    if key == "memory_per":
        return None if value in ("node", "gpu", "cpu") else "node, gpu or cpu"
    if key in COUNTS:
        return None if type(value) is int and value >= 0 else "a whole number"
    if key == "submit_from_nodes":
        return None if isinstance(value, bool) else "true or false"
    return None if isinstance(value, str) else "text"
