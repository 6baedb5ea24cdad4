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

SECTIONS = {
    "Describe and launch": {
        "init": "Write an example experiment that runs as it is.",
        "plan": "Show the jobs, what waits for what, and the hours asked for.",
        "check": "Find what would stop a launch.",
        "launch": "Submit an experiment whole.",
    },
    "Follow": {
        "status": "Show every job: its state, progress, and why it waits or died.",
        "watch": "Watch a run full-screen; filter, cancel and retry jobs there.",
        "serve": "Serve the runs as a live page for the browser.",
        "wait": "Wait until a run is over; the exit code tells how it went.",
        "logs": "Print the log of a job's newest attempt.",
        "why": "Explain why a job waits, was skipped or died.",
        "list": "List the runs, the newest last, or the experiments.",
    },
    "Steer": {
        "cancel": "End active jobs, and those that wait.",
        "retry": "Submit failed jobs again, and what waited for them.",
        "advance": "Evaluate gates and limits, and submit the jobs that may start.",
        "override": "Decide in place of a gate, or of the choice of a best job.",
    },
    "Results": {
        "results": "Print or export every result of a run.",
        "report": "Print the report of a run and where its HTML page lies.",
        "page": "Write the run as one HTML page that needs no network.",
        "evolve": "Score every checkpoint of a run's trainings once.",
        "compare": "Compare two evaluations, problem by problem.",
        "costs": "Show hours asked for, used and wasted.",
    },
    "Repeat and keep": {
        "rerun": "Run a recorded experiment again, as a run of its own.",
        "diff": "Show what differs between two runs.",
        "pull": "Bring a run here from another machine, by rsync over ssh.",
        "archive": "Put a run into one tar file, and remove its folder.",
        "remove": "Remove a run for good.",
        "track": "Send what trackers have kept offline.",
    },
    "Set up": {
        "profile": "Write and list the profiles of clusters.",
        "data": "Prepare the data that training and evaluation read.",
        "schema": "Print the JSON schema of files, for editors and programs.",
    },
}
"""Every command under what a person wants to do, in the order of the help, with the first sentence
of its docstring. Such a sentence fits one line of 80 columns."""

COMMANDS = {name: line for commands in SECTIONS.values() for name, line in commands.items()}

NAME = max(map(len, COMMANDS))
"""How wide the names are."""

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


class Sections(TyperGroup):
    """A group whose help lists the commands under what they are for."""

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """A list for each section, all with names of one width."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(NAME), line) for name, line in commands.items()])


class LazyGroup(Sections):
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
