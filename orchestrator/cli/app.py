"""`orch`: parse, call one function, print what it returns. Heavy imports happen inside the
commands, so that `--help` is fast."""

from __future__ import annotations

from typing import Any

import typer

from orchestrator.cli.commands.advance import advance
from orchestrator.cli.commands.cancel import cancel
from orchestrator.cli.commands.check import check
from orchestrator.cli.commands.compare import compare
from orchestrator.cli.commands.costs import costs
from orchestrator.cli.commands.data import data_app
from orchestrator.cli.commands.diff import diff
from orchestrator.cli.commands.evolve import evolve
from orchestrator.cli.commands.init import init
from orchestrator.cli.commands.launch import launch
from orchestrator.cli.commands.list import list_runs
from orchestrator.cli.commands.logs import logs
from orchestrator.cli.commands.override import override
from orchestrator.cli.commands.page import page
from orchestrator.cli.commands.plan import plan
from orchestrator.cli.commands.profile import profile_app
from orchestrator.cli.commands.report import report
from orchestrator.cli.commands.rerun import rerun
from orchestrator.cli.commands.results import results
from orchestrator.cli.commands.retry import retry
from orchestrator.cli.commands.schema import schema
from orchestrator.cli.commands.status import status
from orchestrator.cli.commands.watch import watch
from orchestrator.cli.commands.why import why

SETTINGS: dict[str, Any] = {
    "help": "Describe a machine-learning experiment once and run it whole, on Slurm or on this "
    "machine.",
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}


app = typer.Typer(**SETTINGS)


app.add_typer(data_app, name="data")


app.add_typer(profile_app, name="profile")


for command in (
    init,
    plan,
    check,
    launch,
    status,
    watch,
    logs,
    list_runs,
    cancel,
    advance,
    override,
    why,
    retry,
    costs,
    page,
    report,
    evolve,
    compare,
    results,
    rerun,
    diff,
    schema,
):  # what a run needs first: help lists them in this order
    app.command("list" if command is list_runs else None)(command)
