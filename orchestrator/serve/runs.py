"""The runs that a server shows, as they were last read, and what has changed since.

In: the name of a run. Out: a ``Seen``: its records, the rows of `orch status` and the number of the
reading at which each row changed last. Called by answers.py and actions.py.

However many pages ask, a run is read at most once in a few seconds, and by one thread at a time:
the lock of a run is one of processes, not of threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.lookup import find_run, open_run
from orchestrator.runs.record import FINAL, Record
from orchestrator.runs.run import Run
from orchestrator.views.status import row
from orchestrator.views.watch.ending import pause_of

LEAST_SECONDS = 2.0
"""Between two readings of a run on this machine; of one on Slurm as long as `orch watch` waits."""
OF_THE_CLOCK = ("age_seconds", "elapsed_seconds", "stalled_seconds")
"""What changes in a row by time alone."""
PLAN = "plan.json"


@dataclass(frozen=True)
class Seen:
    """A run as it was last read. Never changed: other threads may be at it."""

    run: Run
    stamp: tuple[int, int]
    """Of the plan file that it was opened from."""
    records: Sequence[Record]
    trouble: str
    read_at: float
    """Unix seconds."""
    number: int
    """Rises by one whenever anything but the time has changed."""
    rows: Mapping[str, dict[str, Any]]
    """By job, what `orch status --json` says of it."""
    changed: Mapping[str, int]
    """By job, the number at which its row changed last."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What answers have computed, handed on from reading to reading."""

    @property
    def pause(self) -> float:
        """Seconds between two readings."""
        return max(LEAST_SECONDS, pause_of(self.run))

    def record(self, name: str) -> Record:
        """The record of a job. RunError if there is none of this very name."""
        found = next((one for one in self.records if one.name == name), None)
        if found is None:
            raise RunError(f"{self.run.name} has no job '{name}'")
        return found

    @property
    def is_due(self) -> bool:
        """Whether it is time to read it anew."""
        return not 0 <= time.time() - self.read_at < self.pause


class Runs:
    """All runs of a folder, and one that may lie elsewhere."""

    def __init__(self, root: Path, chosen: Run | None) -> None:
        self.root = root
        self.chosen = chosen
        self.seen: dict[str, Seen] = {}
        self.lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """The folder of the run of this very name. RunError if there is none."""
        if self.chosen is not None and name == self.chosen.name:
            return self.chosen.folder
        parts = name.split("/")
        # No other path than one that `orch list` would name.
        is_name = len(parts) == 2 and all(part and part[0] != "." for part in parts)
        path = self.root / name
        if not is_name or "\0" in name or not (path / PLAN).exists():
            raise RunError(f"no run '{name}' in {self.root}")
        return path

    def first(self) -> str | None:
        """The run that a page begins with: the chosen one, or the newest; None: there is none."""
        if self.chosen is not None:
            return self.chosen.name
        try:
            return find_run(None, self.root).name
        except RunError:
            return None

    def get(self, name: str) -> Seen:
        """A run, read anew if its time has come. RunError if there is none of this very name.

        Who comes while another thread reads the same run gets what was known before, so that a
        scheduler that is slow to answer keeps nobody waiting but the first.
        """
        known = self.seen.get(name)
        if known is not None and not known.is_due:
            return known
        if self.lock.acquire(blocking=known is None):
            try:
                return self.read(name)
            finally:
                self.lock.release()
        assert known is not None
        return known

    @contextmanager
    def alone(self, name: str) -> Iterator[Run]:
        """A run for one thread alone, which may change it; it is read anew afterwards."""
        with self.lock:
            try:
                yield self.opened(name)[0]
            finally:
                if name in self.seen:
                    self.seen[name] = replace(self.seen[name], read_at=0.0)

    def opened(self, name: str) -> tuple[Run, tuple[int, int]]:
        """A run with the plan that is on disk now, and the stamp of that file."""
        folder = self.folder(name)
        stamp = stamp_of(folder / PLAN)
        known = self.seen.get(name)
        # Another launch, a search that has drawn, an evolution that has grown: another plan.
        if known is not None and known.stamp == stamp and not known.run.plan.searches:
            return known.run, stamp
        return open_run(folder), stamp

    def read(self, name: str) -> Seen:
        """Ask what a status asks, and number what is new. With the lock held."""
        before = self.seen.get(name)
        if before is not None and not before.is_due:
            return before
        run, stamp = self.opened(name)
        records, trouble = refresh(run)
        known = {record.name: record for record in ([] if before is None else before.records)}
        old = {} if before is None else before.rows
        rows = rows_of(run, records, known, old)
        new = [job for job, values in rows.items() if is_new(values, old.get(job))]
        number, changed, kept = 1, dict.fromkeys(rows, 1), dict[str, Any]()
        if before is not None:
            number, changed, kept = before.number, dict(before.changed), before.kept
            if new or trouble != before.trouble or stamp != before.stamp:
                number = before.number + 1
                changed |= dict.fromkeys(new, number)
        seen = Seen(run, stamp, records, trouble, time.time(), number, rows, changed, kept)
        self.seen[name] = seen
        return seen


def stamp_of(path: Path) -> tuple[int, int]:
    """What tells one writing of a file from another."""
    known = path.stat()
    return known.st_mtime_ns, known.st_ino


def rows_of(
    run: Run,
    records: Sequence[Record],
    known: Mapping[str, Record],
    old: Mapping[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The row of each job. What has ended is not computed again: there may be ten thousand."""
    now = run.now()
    rows = {}
    for record in records:
        before = old.get(record.name)
        is_still = record.state in FINAL and known.get(record.name) == record
        if before is not None and is_still and before["axes"] == run.by_name[record.name].axes:
            age = max(0.0, now - record.seen) if record.seen else None
            rows[record.name] = {**before, "age_seconds": age}
        else:
            rows[record.name] = row(run, record, now)
    return rows


def is_new(values: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Whether a row says more than that time has passed."""
    if before is None:
        return True
    for key, value in values.items():
        if key not in OF_THE_CLOCK and value != before[key]:
            return True
    return (values["stalled_seconds"] is None) != (before["stalled_seconds"] is None)
