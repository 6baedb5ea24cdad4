"""`orch schema`: what editors need to complete and check the files that people write."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """The files that there is a schema of."""

    experiment = "experiment"
    profile = "profile"


def schema(
    kind: Annotated[Kind, typer.Argument(help="experiment, or profile.")] = Kind.experiment,
) -> None:
    """Print the JSON schema of experiment files, or of cluster profiles, for editors: completion,
    help and warnings. The configs of all installed engines are in it."""
    from orchestrator.description.schema import schema_text

    print(schema_text(kind.value), end="")
