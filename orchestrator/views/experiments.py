"""The experiments that a person can launch by name: what each is about, and its presets.

In: the files of ./jobs and the shipped ones. Out: a table. Called by `orch list --experiments`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from engines.contract.written.mistakes import Mistakes, TooMany
from engines.contract.written.nodes import Node
from engines.contract.written.reading import display
from orchestrator.description.catalogue import known_experiments
from orchestrator.description.joining.includes import read_joined
from orchestrator.views.tables.columns import Column, Kind
from orchestrator.views.tables.drawing import Screen, drawn_lines


@dataclass(frozen=True, kw_only=True)
class Known:
    """An experiment as its file describes it, which need not be right."""

    name: str
    """What `orch launch` takes."""
    source: str
    """Its file for one of ./jobs, else `shipped`."""
    about: str
    presets: dict[str, str]
    """What each is about."""
    trouble: str = ""
    """Why its file cannot be read."""


def experiments() -> list[Known]:
    """All of them, by name; a file that is no YAML is among them, with the reason."""
    here = Path("jobs").resolve()
    found = []
    for name, path in known_experiments().items():
        source = display(path) if path.resolve().parent == here else "shipped"
        mistakes = Mistakes()
        root = None
        with contextlib.suppress(TooMany):
            root = read_joined(path, mistakes)
        presets = root.child("presets") if root is not None else None
        known = presets.value if presets is not None and isinstance(presets.value, dict) else {}
        found.append(
            Known(
                name=name,
                source=source,
                about=about(root),
                presets={str(preset): about(node) for preset, node in known.items()},
                trouble=mistakes.lines[0] if mistakes.lines else "",
            )
        )
    return found


def about(node: Node | None) -> str:
    """The `about` of a file or a preset; empty where there is none."""
    found = node.child("about") if node is not None else None
    return found.value if found is not None and isinstance(found.value, str) else ""


def experiments_table(screen: Screen) -> list[Text]:
    """All experiments, a preset a line."""
    rows = []
    for known in experiments():
        rows.append((known.name, "", known.source, known.trouble or known.about))
        for preset, text in known.presets.items():
            rows.append((known.name, preset, known.source, text))
    names, presets, sources, texts = zip(*rows, strict=True)
    columns = [
        Column(name="experiment", kind=Kind.KEY, cells=names),
        Column(name="preset", kind=Kind.KEY, cells=presets),
        Column(name="from", kind=Kind.TEXT, cells=sources, priority=4),
        Column(name="about", kind=Kind.PROSE, cells=texts, priority=1, floor=30),
    ]
    return drawn_lines(columns, screen)
