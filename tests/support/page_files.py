"""The files that a page of the docs shows, for tests that do what the page says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.support.paths import ROOT

NAMED = re.compile(r"```\w+\n(?=# (\S+\.\w+)\n)(.*?)```", re.DOTALL)
"""A block whose first line is the name of its file."""


def write_files(page: str, folder: Path) -> list[str]:
    """The named files of ``docs/<page>``, with the Python of the tests; their names."""
    found = dict(NAMED.findall((ROOT / "docs" / page).read_text()))
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("command: python ", f"command: {sys.executable} "))
    return list(found)


def commands(page: str) -> list[str]:
    """The commands that a page shows, in their order, without the words behind them."""
    text = (ROOT / "docs" / page).read_text()
    lines = re.findall(r"^    ((?:orch|python) .*)$", text, re.MULTILINE)
    return [re.split(r"\s+#", line)[0].strip() for line in lines]
