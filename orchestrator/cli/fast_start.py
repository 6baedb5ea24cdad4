"""Start `orch` quickly: of all its commands typer is given the one that was called, and text on the
command line stays what it is.

typer reads the signature of every command that it knows, and asks pydantic to make text of text:
together more than the rest of an `orch status` of a thousand jobs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import typer


def program(app: typer.Typer, arguments: Sequence[str], **settings: Any) -> Callable[[], Any]:
    """What to call for this command line: one command of ``app`` where the first argument is its
    name, else ``app`` whole.

    ``settings``: those that ``app`` was made with.
    """
    called = [
        info
        for info in app.registered_commands
        if info.callback and arguments[:1] == [info.name or info.callback.__name__]
    ]
    if not called:
        return app
    alone = typer.Typer(**settings)
    alone.callback()(
        nothing
        # typer makes a lone command without a callback the whole program, and its name a wrong
        # argument
    )
    alone.registered_commands = called
    group: Any = typer.main.get_command(alone)
    for command in (group, group.commands[arguments[0]]):
        command.get_params = functools.partial(
            parameters, command.get_params
        )  # --help is made late, and is one of them
    made: Callable[[], Any] = group
    return made


def nothing() -> None:
    """What every command does first."""


def parameters(listed: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    """What a command takes, each of it read by ``process_value`` below."""
    found = listed(context)
    for parameter in found:
        if not isinstance(parameter.process_value, functools.partial):
            parameter.process_value = functools.partial(
                process_value, parameter, parameter.process_value
            )
    return found


def process_value(
    parameter: Any, process: Callable[[Any, Any], Any], context: Any, value: Any
) -> Any:
    """A parameter's value from the command line; typer's own ``process`` for whatever is not
    plainly text, or absent."""
    several = parameter.multiple or parameter.nargs != 1
    kind = getattr(
        getattr(parameter, "type_descriptor", None), "annotation", None
    )  # a typer without it is asked as ever
    if value is None and kind is not None and not parameter.required:
        return () if several else None
    if kind is str and isinstance(value, str) and not several:
        return value
    if (
        kind == list[str]
        and several
        and isinstance(value, list | tuple)
        and value
        and all(isinstance(word, str) for word in value)
    ):
        return list(value)
    return process(context, value)
