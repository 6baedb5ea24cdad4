"""The stages of a run on one line, in the order in which they follow each other.

In: a run and its records. Out: a line of text, or none where it does not fit. Called by app.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.signs import SIGNS, worst
from orchestrator.views.overview.stages import by_stage

ARROW = " → "


def stage_line(run: Run, records: Sequence[Record], width: int) -> Text | None:
    """``prepare ✓ → train ▶ 1 of 2 → evaluate ·``; stages that wait for the same stand together."""
    stages = by_stage(records)
    depths = depths_of(run, stages)
    line = Text()
    for depth in range(max(depths.values(), default=-1) + 1):
        line.append(ARROW if depth else "", style="dim")
        names = [name for name in stages if depths[name] == depth]
        for number, name in enumerate(names):
            line.append(", " if number else "")
            line.append_text(stage_text(name, stages[name]))
    return line if line.cell_len <= width else None


def depths_of(run: Run, stages: Mapping[str, Sequence[Record]]) -> dict[str, int]:
    """For each stage how many stages come before it, one after the other."""
    depths: dict[str, int] = {}
    # A plan has parents first.
    for name, members in stages.items():
        parents = {
            run.by_name[parent].stage
            for member in members
            for parent in run.by_name[member.name].waits_for
        }
        depths[name] = 1 + max((depths.get(parent, 0) for parent in parents - {name}), default=-1)
    return depths


def stage_text(name: str, members: Sequence[Record]) -> Text:
    """A stage with its sign, and how many of its jobs are done."""
    looks = SIGNS[worst(member.state for member in members)]
    done = sum(member.state is JobState.COMPLETED for member in members)
    text = Text(f"{name} ")
    text.append(looks.sign, style=looks.colour)
    if 0 < done < len(members) or (len(members) > 1 and not done):
        text.append(f" {done} of {len(members)}")
    return text
