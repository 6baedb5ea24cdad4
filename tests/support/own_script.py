"""The files that docs/own-script.md shows, for tests that do what the documentation says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "own-script.md").read_text()


def write_files(folder: Path) -> None:
    """The files that the page shows, with the Python of the tests."""
    for text in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL):
        name = text.splitlines()[0].removeprefix("# ")
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("command: python ", f"command: {sys.executable} "))
