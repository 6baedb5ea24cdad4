"""Text as a terminal shows it, against files of tests/golden/terminal.

ORCH_GOLDEN=write makes the files anew; look at the difference in git before it is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from rich.cells import cell_len
from rich.text import Text

from tests.support.paths import ROOT

FOLDER = ROOT / "tests/golden/terminal"


def plain(lines: Iterable[Text]) -> str:
    """Lines of styled text as plain ones."""
    return "".join(f"{line.plain}\n" for line in lines)


def matches(name: str, lines: Iterable[Text], width: int | None = None, **names: str) -> None:
    """Hold the lines against a golden file, and against the width.

    Args:
        name: Of the file, without its ending.
        lines: What is shown.
        width: What no line may be wider than; None: no bound.
        names: What stands in the file in place of words that change, such as ``RUN``.
    """
    text = plain(lines)
    if width is not None:
        assert [line for line in text.splitlines() if cell_len(line) > width] == []
    for placeholder, word in names.items():
        text = text.replace(word, placeholder)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("ORCH_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()
