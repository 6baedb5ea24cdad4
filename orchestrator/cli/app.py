"""The table of the commands of `orch`, and the group that imports a command when it is called.

In: the words of a command line. Out: the called command, which typer makes from the function of
that name in ``orchestrator/cli/commands/<name>.py``. Help and completion of names read the table
alone, so that a start imports one command at most. Called by ``orchestrator.cli.__main__``.
"""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli.plain_text import keep_text

COMMANDS = {
    "init": (
        "Write an experiment that runs as it is: jobs/NAME.yaml, and its scripts and data in "
        "jobs/NAME."
    ),
    "plan": (
        "Show the jobs of an experiment, what waits for what, resources and GPU-hours asked for, "
        "and what these cost if the cluster's profile has a price."
    ),
    "check": (
        "Check what a launch needs: partition, account, GPU type, time limit, paths, variables, "
        "batch arithmetic, disk."
    ),
    "launch": "Submit an experiment whole.",
    "status": (
        "Show every job: state with source and age, why it waits or died, progress, expected end."
    ),
    "watch": "Watch a run full-screen: jobs, progress, logs; filter, cancel, retry.",
    "serve": (
        "Serve the runs as a live page on this machine's loopback address, at a secret URL: jobs, "
        "curves, results, logs, costs."
    ),
    "wait": "Wait until a run is over; the exit code says whether it went well.",
    "logs": "Print the log of a job's newest attempt.",
    "list": (
        "List the runs in ./runs (or ORCH_RUNS), newest last, as they were last seen; or the "
        "experiments that there are."
    ),
    "cancel": "End active jobs, and those that wait.",
    "advance": "Evaluate gates and limits, and submit the jobs that may start.",
    "override": "Decide in place of a gate, or of the choice of a best job.",
    "why": (
        "Explain where a job stands: which source decided its state, what it waits for, what its "
        "gate saw in which file, why it was skipped or died."
    ),
    "retry": "Submit failed jobs again, and what waited for them.",
    "costs": (
        "Show GPU- or CPU-hours asked for, used and wasted, what jobs used of what they had, and "
        "what to ask for next time."
    ),
    "page": (
        "Write the run as one HTML page that needs no network: stages, timeline, curves, costs, "
        "causes of death."
    ),
    "report": "Print the report of a run and where its HTML page lies.",
    "evolve": (
        "Score every checkpoint of a run's trainings once, also while they still run, and report "
        "how they evolved."
    ),
    "compare": "Compare two evaluations problem by problem: differences, tests, flipped examples.",
    "results": (
        "Print or export every result of a run as tidy rows: job, axes, metric, value, n, spread; "
        "a missing one with its reason."
    ),
    "pull": (
        "Bring a run here from another machine, by rsync over ssh: results, logs, checkpoints; "
        "interrupted it goes on where it was."
    ),
    "rerun": (
        "Run a recorded experiment once more, as a run of its own, from the description that the "
        "run keeps."
    ),
    "diff": (
        "Show what differs between two runs: jobs, configs, resources, cluster, code, packages, "
        "results."
    ),
    "remove": "Remove a run for good.",
    "archive": (
        "Put a run into one tar file, and remove its folder once every byte was read back; or show "
        "what such a file contains."
    ),
    "schema": (
        "Print the JSON schema of experiment files, or of cluster profiles, for editors: "
        "completion, help and warnings; or that of a document of --json."
    ),
    "track": "What trackers have kept offline.",
    "data": "Prepare the data that training and evaluation read.",
    "profile": "Cluster profiles.",
}
"""Every command, in the order of the help, with the first sentence of its docstring."""

DISTRIBUTION = "slurm-ml-orchestrator"
"""The name of what is installed."""

SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    # Errors of the user are told in __main__; what else is raised is a mistake of ours, and keeps
    # Python's own traceback.
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


class Command(TyperCommand):
    """A command whose text arguments and options are taken as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, and ``--help``, which typer adds here."""
        parameters = super().get_params(ctx)
        keep_text(parameters)
        return parameters


def load(name: str) -> Any:
    """Import one command and have typer make it.

    Its module holds, under the command's own name, a function, or a `typer.Typer` for a group of
    commands such as ``orch data``.
    """
    entry = getattr(importlib.import_module(f"orchestrator.cli.commands.{name}"), name)
    # typer makes commands for a group only: one with this command alone, which is then taken out.
    alone = typer.Typer(**SETTINGS)
    if isinstance(entry, typer.Typer):
        alone.add_typer(entry, name=name)
    else:
        alone.command(name, cls=Command)(entry)
    return typer.main.get_group(alone).commands[name]


class LazyGroup(TyperGroup):
    """A group that knows its commands by the table, and imports the one that is called.

    What it lists are commands of a name and a line of help, which is all that ``--help``, the
    completion of names and "did you mean" ask for. Only a call resolves one of them.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, line in COMMANDS.items():
            self.add_command(TyperCommand(name=name, help=line))

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, such as ``--show-completion``."""
        parameters = super().get_params(ctx)
        keep_text(parameters)
        return parameters

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The called command and its arguments; typer answers a name that is not in the table."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and listed else None, rest


app = typer.Typer(cls=LazyGroup, **SETTINGS)


def print_version(wanted: bool) -> None:
    """Print the version, and end."""
    if wanted:
        import importlib.metadata

        print(f"orch {importlib.metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def orch(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Describe a machine-learning experiment once and run it whole, on Slurm or on this machine."""
