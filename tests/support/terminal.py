"""A program on a terminal of its own: what it shows there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def on_terminal(
    command: Sequence[str],
    columns: int,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end on a terminal of so many columns; everything that it writes, with
    the codes for colours and movements. It must end with exit code 0."""
    known = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        list(command),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**known, "TERM": "xterm-256color", **(variables or {})},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the last process that had the terminal has closed it
                break
            if not part:
                break
            shown += part
        code = process.wait(timeout=60)
    os.close(ours)
    text = shown.decode()
    assert code == 0, text
    return text


def frames(text: str) -> list[str]:
    """The states of the moving line of orchestrator/views/busy, each once, without colours, the
    sign that turns, and times."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    found = []
    for line in re.split(r"[\r\n]+", text):
        line = re.sub(r"^[⠀-⣿] [\d:]+( s)? ", "~ TIME ", line)
        line = re.sub(r" +[\d:]+( s)? left$", " LEFT", line).rstrip()
        if line and line not in found:
            found.append(line)
    return found
