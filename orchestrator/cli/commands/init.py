"""`orch init`: a small experiment file to begin with."""

from __future__ import annotations

import importlib.resources
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import DescriptionError


class Template(StrEnum):
    """What the file begins with; each is a file in jobs/templates."""

    command = "command"
    sweep = "sweep"


def init(
    name: Annotated[str, typer.Argument(help="the experiment's name; its file is jobs/NAME.yaml.")],
    template: Annotated[
        Template,
        typer.Option(
            help="command: one program, run per seed; sweep: a grid, and what follows it."
        ),
    ] = Template.command,
) -> None:
    """Write a small experiment file, jobs/NAME.yaml, that runs as it is with --cluster local. A
    file that is there stays as it is."""
    from orchestrator.description.sweeps.axis_keys import is_name

    if not is_name(name):
        raise DescriptionError(
            f"'{name}' must be a name of letters, digits, '_' and '-', starting with a letter"
        )
    packaged = importlib.resources.files("jobs")
    text = (packaged / "templates" / f"{template.value}.yaml").read_text(encoding="utf-8")
    # An editor finds the schema of the installed package from anywhere by its absolute path.
    schema = Path(str(packaged / "experiment.schema.json")).resolve()
    text = text.replace("../experiment.schema.json", str(schema)).replace("NAME", name)
    path = Path("jobs") / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    try:
        # "x" fails if the file is there, also if it was made a moment ago.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise DescriptionError(
            f"{path}: is there already; take another name, or remove it first"
        ) from error
    print(f"wrote {path}; run it here: orch launch {name} --cluster local --watch")
