"""docs/own-script.md, done as it says: its scripts, its experiment, its commands."""

import re
import sys

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "own-script.md").read_text()


def blocks() -> dict[str, str]:
    """The files that the page shows, by name."""
    found = {}
    for text in re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL):
        name = text.splitlines()[0].removeprefix("# ")
        found[name] = text.replace("python ", f"{sys.executable} ") if name.endswith("yaml") else text
    return found
