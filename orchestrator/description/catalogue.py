"""Which experiments there are: names in, files out.

Light: the shell asks for these names while a person waits, and reading what is in the files takes
pydantic and every engine's config. Called by the commands that plan, and by completion.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from orchestrator.description.yaml_lines import near
from orchestrator.errors import DescriptionError

WHOLE = "full"
"""The experiment without a preset; the word stands in the run's name."""


def known_experiments() -> dict[str, Path]:
    """Experiments by name: those of ``./jobs`` hide packaged ones of the same name."""
    packaged = Path(str(importlib.resources.files("jobs")))
    found = {
        path.stem: path
        for folder in (packaged, Path("jobs"))
        for path in sorted(folder.glob("*.yaml"))
    }
    return dict(sorted(found.items()))


def find_experiment(name: str) -> Path:
    """The file of an experiment given by name or path. DescriptionError lists the known ones."""
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml"):
        raise DescriptionError(
            f"{name}: no such file; `orch list` and jobs/*.yaml show what there is"
        )
    known = known_experiments()
    if name not in known:
        raise DescriptionError(
            f"no experiment '{name}' in ./jobs or among the packaged ones{near(name, known)}"
        )
    return known[name]
