"""`orch schema`: JSON schemas of the files that people write, and of what `--json` prints."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.api.json_documents import VERSIONS
from orchestrator.errors import DescriptionError

FILES = ("experiment", "profile")
NAMES = (*FILES, *sorted(VERSIONS))


def names(incomplete: str) -> list[str]:
    """What the shell offers."""
    return [name for name in NAMES if name.startswith(incomplete)]


def schema(
    kind: Annotated[
        str,
        typer.Argument(
            help="experiment or profile, which people write. Or what commands print with --json: "
            f"{', '.join(sorted(VERSIONS))}.",
            autocompletion=names,
        ),
    ] = "experiment",
) -> None:
    """Print the JSON schema of files, for editors and programs. That of experiment files has the
    configs of all installed engines, and gives an editor completion, help and warnings. Others are
    of cluster profiles and of the documents of --json."""
    # Late, because the shell imports this module for every TAB after the command's name.
    from engines.contract.words import near

    if kind in VERSIONS:
        from orchestrator.cli.json_schemas import document_schema_text

        text = document_schema_text(kind)
    elif kind in FILES:
        from orchestrator.description.schema import schema_text

        text = schema_text(kind)
    else:
        raise DescriptionError(f"no schema '{kind}'{near(kind, NAMES)}")
    print(text, end="")
