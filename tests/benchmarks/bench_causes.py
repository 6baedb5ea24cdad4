"""What it costs to say why jobs have died, against reading the ends of their logs.

    make bench-causes

Every reported death of tests/orchestrator/lifecycle/deaths behind a progress bar, and behind lines
of steps, that fill the 64 kB which a look reads of a log. CPU time, the best of some turns; both
sides get the same files.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from orchestrator.lifecycle.failure_causes import with_cause
from orchestrator.node.system import LOG_TAIL_BYTES, tail
from orchestrator.runs.record import JobState, Record
from tests.support.deaths import causes

TURNS = 5
BEFORE = {
    "a progress bar": " {n}%|###    | {n}/9999 [00:10<09:00,  1.88it/s]\r",
    "lines of steps": "step {n} of 9999: loss 2.31, learning rate 0.0003, 812 tokens/s\n",
}
"""What fills a log before its death, by name."""


def logs(folder: Path, line: str) -> list[Path]:
    """A file for each report, behind many of these lines."""
    script = causes()
    before = "".join(line.format(n=n) for n in range(2000))
    paths = []
    for part in script.PARTS:
        for number, report in enumerate(script.reports(part)):
            path = folder / f"{part}-{number}"
            path.write_text(before + "\n".join(report.log))
            paths.append(path)
    return paths


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest turn; the one before the first is not counted."""
    work()
    seconds = []
    for _ in range(TURNS):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return min(seconds)


def main() -> None:
    """Print milliseconds a job and the ratio."""
    record = Record(
        name="a", stage="a", identity="i", folder="jobs/a", token="t", state=JobState.FAILED
    )
    for name, line in BEFORE.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = logs(Path(folder), line)
            ends: Sequence[list[bytes]] = [tail(path) for path in paths]
            reading = best(partial(read_all, paths)) / len(paths)
            judging = best(partial(judge_all, record, ends)) / len(paths)
        print(
            f"{len(paths)} logs of {LOG_TAIL_BYTES // 1000} kB, {name}: reading "
            f"{1e3 * reading:.2f} ms, judging {1e3 * judging:.2f} ms a job, "
            f"{judging / reading:.1f} times as long; 10,000 jobs {1e4 * judging:.0f} s"
        )


def read_all(paths: Sequence[Path]) -> None:
    """What a look does before it judges."""
    for path in paths:
        tail(path)


def judge_all(record: Record, ends: Sequence[list[bytes]]) -> None:
    """Say why each has died."""
    for end in ends:
        with_cause(record, None, end)


if __name__ == "__main__":
    main()
