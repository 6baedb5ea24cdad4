"""Python's UTF-8 mode, whatever the locale of the user or of a node is.

In: how this process was started. Out: nothing, or the same program in place of this one, in that
mode. Called at the start of `orch`, of the program on a node and of the local scheduler.

Files of a run, and what people write, are UTF-8. In a locale such as ISO-8859-1, which
``LANG=en_US`` is on many systems, Python would read them as that, and could not start a program
whose arguments have other letters. For the locale ``C`` Python chooses this mode by itself.
"""

from __future__ import annotations

import os
import sys


def in_utf8_mode() -> None:
    """Start again in UTF-8 mode, unless names of files are UTF-8 already."""
    if sys.getfilesystemencoding() != "utf-8":
        words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execv(words[0], words)  # noqa: S606  # there is nothing here for a shell
