"""Start `orch`, and turn errors of the user into one line each on standard error and exit code 2.

In: the command line, or the variables with which a shell asks for completions. Out: the exit code.
Called by the script `orch` and by queued jobs, as ``python -P -m orchestrator.cli``.
"""

from __future__ import annotations

import gc
import io
import os
import sys

# What else is needed is imported where it is: the answer to a look that was kept needs none of it.
from orchestrator.cli import COMPLETION
from orchestrator.errors import OrchError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "orch: "
LEAST_WIDTH = 40
"""A terminal that says less does not know its width."""


def main() -> None:
    """Run `orch`. A mistake of the user is one line (or one per mistake) and exit code 2."""
    if sys.getfilesystemencoding() != "utf-8":
        from orchestrator.node.light.utf8 import in_utf8_mode

        in_utf8_mode()
    usable_streams()
    # Thousands of records are made at once and none of them is garbage.
    gc.set_threshold(200_000)
    try:
        run()
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
        from orchestrator.cli.system_errors import sentence

        line = sentence(error)
        # What the system refuses has a remedy; what it says of a mistake of ours keeps Python's
        # traceback.
        if line is None:
            raise
        tell([line])
        sys.exit(2)


def usable_streams() -> None:
    """Let nothing that is printed end the command: a stream that the caller has closed is the null
    device, and a letter that a terminal has not is written as Python writes it (``\\xe9``)."""
    # In this order, each gets the number that is free.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    own = None
    # The user's locale, where this program has left it (utf8.py).
    if "utf8" in sys._xoptions and "PYTHONIOENCODING" not in os.environ:
        import locale

        own = locale.getencoding()
        sys.argv[1:] = [os.fsencode(word).decode(own, "surrogateescape") for word in sys.argv[1:]]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=own, errors="backslashreplace")


def run() -> None:
    """Answer the shell, print what was kept, or run the command."""
    if COMPLETION in os.environ:
        from orchestrator.cli import completion

        completion.complete(app)
        return
    if sys.argv[1:2] == ["status"]:
        from orchestrator.cli import kept

        if kept.answered():
            return
    from orchestrator.runs.documents import damage

    try:
        app()
    finally:
        tell(damage.told())


def app() -> None:
    """Read the command line by typer, and run the command."""
    from orchestrator.cli.app import app as typers

    typers()


def tell(lines: Sequence[str]) -> None:
    """Say what is wrong on standard error, a line each; on a terminal broken between words."""
    import shutil
    import textwrap

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
        # Where nothing can be written (a full disk), the exit code alone says it.
        try:
            print(told, file=sys.stderr)
        except OSError:
            return


if __name__ == "__main__":
    main()
