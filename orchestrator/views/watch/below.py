"""What stands below the table of `orch watch`: the log of the chosen job, or why it stands where it
does.

In: a run, the record of the job, the room there is. Out: text. Called by app.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from orchestrator.node.system import tail
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.signs import SIGNS
from orchestrator.views.tables.drawing import Screen
from orchestrator.views.tables.told import explained
from orchestrator.views.watch.rows import LEAST_WIDTH
from orchestrator.views.why import why


def log_lines(run: Run, job: Record) -> list[str]:
    """The end of a job's log, or why there is none."""
    if job.attempt:
        lines = [line.decode(errors="replace") for line in tail(run.log(job))]
        if lines:
            return lines
    reason = f": {job.reason}" if job.reason else ""
    return [f"{job.state}, no log yet{reason}"]


def why_text(run: Run, job: Record, records: Sequence[Record], width: int, room: int) -> Text:
    """What `orch why` says on a terminal so wide, and that there is more of it than so many
    lines."""
    looks = SIGNS[job.state]
    screen = Screen(max(width, LEAST_WIDTH))
    lines = explained(why(run, job, records), screen, looks.sign, looks.colour)
    if len(lines) > room:
        more = f"{len(lines) - room + 1} more lines: orch why {job.name}"
        lines = [*lines[: room - 1], Text(more, style="dim")]
    return Text("\n").join(lines)
