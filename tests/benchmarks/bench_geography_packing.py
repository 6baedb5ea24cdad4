"""What an experiment of many small models costs in packs whose jobs take turns, against one
allocation and one process for each job, in the same run.

    python -m tests.benchmarks.bench_geography_packing

`orch launch ftwb1 --preset smoke` twice on this machine: as it is, and with ``pack=1`` everywhere.
Counted is the processor time of all that the two launches start: the command, the scheduler, the
processes that hold packs, and every job. Read processor time, not wall time, on a machine that does
other work. The work of the jobs themselves is the same both ways, and no packing can save it: it is
what the jobs of the packed run have used behind their fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.node.system import adopt_orphans
from tests.support.cli import ORCH

STAGES = ("base", "evaluate-base", "finetune", "evaluate", "maps")
LONGEST = 3600.0
"""Seconds that a run may take."""


def spent(folder: Path, *more: str) -> tuple[float, float]:
    """Processor and wall seconds of one whole run."""
    environment = {
        **os.environ,
        "ORCH_RUNS": str(folder / "runs"),
        "ORCH_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    command = [ORCH, "launch", "ftwb1", "--preset", "smoke", "--cluster", "local", "--no-watch"]
    before, began = used(), time.perf_counter()
    subprocess.run(
        [*command, *more], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    while not list(folder.glob("runs/ftwb1/*/jobs/report/out/results.json")):
        if time.perf_counter() - began > LONGEST:
            raise SystemExit(f"{folder}: not done after {LONGEST:.0f} s")
        time.sleep(1)
    # The scheduler and its jobs have no other parent, so their time is counted when they end.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return used() - before, time.perf_counter() - began


def used() -> float:
    """Processor seconds of all processes below this one that have ended."""
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def work(folder: Path) -> float:
    """Processor seconds that the jobs of a run have used, as their exit records say."""
    records = folder.glob("runs/ftwb1/*/jobs/*/attempt-1/exit.json")
    return sum(json.loads(path.read_text())["usage"]["cpu_seconds"] for path in records)


def main() -> None:
    """Both ways, with what each cost."""
    adopt_orphans()
    with tempfile.TemporaryDirectory() as name:
        packed, alone = Path(name) / "packed", Path(name) / "alone"
        packed.mkdir()
        alone.mkdir()
        together, together_wall = spent(packed)
        behind_the_fork = work(packed)
        overrides = []
        for stage in STAGES:
            overrides += ["--set", f"{stage}.pack=1", "--set", f"{stage}.at_once=null"]
        single, single_wall = spent(alone, *overrides)
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} processors, 71 jobs each")
    print(f"in packs: {together:.0f} CPU s ({behind_the_fork:.0f} in jobs), {together_wall:.0f} s")
    print(f"one process each: {single:.0f} CPU s, {single_wall:.0f} s")
    print(f"ratio: {single / together:.2f}")
    overhead = (single - behind_the_fork) / (together - behind_the_fork)
    print(f"ratio of what is not the work of the jobs: {overhead:.1f}")


if __name__ == "__main__":
    main()
