"""Start `orch`, and turn errors of the user into one line each on standard error and exit code 2.

In: the command line, or the variables with which a shell asks for completions. Out: the exit code.
Called by the script `orch` and by queued jobs, as ``python -P -m orchestrator.cli``.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from orchestrator.cli import completion
from orchestrator.cli.app import app
from orchestrator.cli.system_errors import sentence
from orchestrator.errors import OrchError
from orchestrator.runs.documents import damage

NAME = "orch: "
LEAST_WIDTH = 40
"""A terminal that says less does not know its width."""


def main() -> None:
    """Run `orch`. A mistake of the user is one line (or one per mistake) and exit code 2."""
    # Thousands of records are made at once and none of them is garbage.
    gc.set_threshold(200_000)
    try:
        if completion.VARIABLE in os.environ:
            completion.complete(app)
            return
        try:
            app()
        finally:
            tell(damage.told())
    except OrchError as error:
        tell(error.lines)
        sys.exit(2)
    # The reader of a pipe, such as head, has gone. Python writes out what is left at its exit and
    # would fail once more, so that goes to /dev/null.
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    # After its subclass BrokenPipeError.
    except OSError as error:
        line = sentence(error)
        # What the system refuses has a remedy; what it says of a mistake of ours keeps Python's
        # traceback.
        if line is None:
            raise
        tell([line])
        sys.exit(2)


def tell(lines: Sequence[str]) -> None:
    """Say what is wrong on standard error, a line each; on a terminal broken between words."""
    for line in lines:
        told = f"{NAME}{line}"
        if sys.stderr.isatty():
            width = max(LEAST_WIDTH, shutil.get_terminal_size().columns)
            # Paths and commands stay whole, so that they can be copied.
            told = textwrap.fill(
                told,
                width,
                subsequent_indent=" " * len(NAME),
                break_long_words=False,
                break_on_hyphens=False,
            )
        print(told, file=sys.stderr)


if __name__ == "__main__":
    main()
