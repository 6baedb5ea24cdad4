"""Parameters that are text, or absent, are taken from the command line as they are.

typer has pydantic convert every value, even text to text and an absent value to nothing. Importing
pydantic takes longer than all the rest of `orch status`, and every queued job that calls
`orch advance` pays for it too. This is typer's own interface for a conversion, implemented for what
needs none; numbers, paths and choices are converted by typer.

In: a command of typer. Out: its parameters with this conversion. Called by orchestrator.cli.app.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

try:
    from typer._coercion import RuntimeParam, build_runtime_param
except ImportError:
    # Other versions of typer convert elsewhere: as ever, and perhaps more slowly.
    RuntimeParam = None  # type: ignore[assignment, misc]


if RuntimeParam is not None:

    class PlainText(RuntimeParam):
        """A conversion that leaves text alone. Its base leaves an absent value alone."""

        def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
            if self.annotation in (str, list[str]):
                return value
            return build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)


def keep_text(parameters: Iterable[Any]) -> None:
    """Give each parameter the conversion above, unless it has one already."""
    if RuntimeParam is None:
        return
    for parameter in parameters:
        if parameter._runtime_param is None:
            kind = parameter.type_descriptor
            parameter._runtime_param = PlainText(kind.parameter_info, kind.annotation)
