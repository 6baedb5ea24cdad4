"""Start `orch`: a user's mistake is one line on standard error and exit code 2."""

from __future__ import annotations

import gc
import os
import sys

from orchestrator.cli import completion, fast_start
from orchestrator.cli.app import SETTINGS, app
from orchestrator.errors import OrchError


def main() -> None:
    """Run `orch`. A mistake of the user is one line (or one per mistake) and exit code 2."""
    gc.set_threshold(200_000)  # thousands of records are made at once and none of them is garbage
    try:
        if completion.VARIABLE in os.environ:
            completion.complete(app)
            return
        fast_start.program(app, sys.argv[1:], **SETTINGS)()
    except OrchError as error:
        for line in error.lines:
            print(f"orch: {line}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
