"""What an experiment of many small models costs in packs whose jobs take turns and ask a model all
its sets on one load, against a process for each job, and for each set of questions, in one run.

    python -m tests.benchmarks.bench_geography_packing

`orch launch ftwb1 --preset smoke` with one seed, three times on this machine: as it is; with
``pack=1`` everywhere; and so that each of the 15 sets of a model is a job of its own, as the
published plan had them. Counted is the processor time of all that a launch starts: the command, the
scheduler, the processes that hold packs, and every job. Read processor time, not wall time, on a
machine that does other work. The work of the jobs themselves is the same in all, and no packing can
save it: it is what the jobs of the packed run have used behind their fork.
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
TASKS = ("distance", "trianglearea", "angle", "compass", "inside", "perimeter", "crossing")
LONGEST = 7200.0
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
    return sum(float(json.loads(path.read_text())["usage"]["cpu_seconds"]) for path in records)


def one_by_one() -> list[str]:
    """Overrides that take the packs apart."""
    overrides = []
    for stage in STAGES:
        overrides += ["--set", f"{stage}.pack=1", "--set", f"{stage}.at_once=null"]
    return overrides


def set_by_set() -> list[str]:
    """Overrides that make each set of questions a job: 14 tests, and the one of all tasks."""
    sets = {"multi_task": {"test": ["no_atlantis", "multi_task"], "validation": []}}
    for task in TASKS:
        sets[f"{task}.known"] = {"tasks": [task], "test": ["no_atlantis"], "validation": []}
        # Its validation questions are asked beside it, so that as much is asked as in packs.
        sets[f"{task}.new"] = {"tasks": [task], "test": ["atlantis_required"]}
    matrix = json.dumps({"set": sets})
    return [
        *("--set", f"evaluate-base.matrix={matrix}"),
        *("--set", f"evaluate.matrix={matrix}"),
    ]


def main() -> None:
    """All three ways, with what each cost."""
    adopt_orphans()
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    with tempfile.TemporaryDirectory() as name:
        ways = {
            "in packs, all sets on one load": [],
            "a process for each job": one_by_one(),
            "a process for each set": [*one_by_one(), *set_by_set()],
        }
        packed, of_jobs = 0.0, 0.0
        for number, (way, overrides) in enumerate(ways.items()):
            folder = Path(name) / str(number)
            folder.mkdir()
            seconds, wall = spent(folder, "--set", "base.matrix.seed=[1]", *overrides)
            if not overrides:
                packed, of_jobs = seconds, work(folder)
            jobs = len(list(folder.glob("runs/ftwb1/*/jobs/*")))
            print(f"{way}: {jobs} jobs, {seconds:.0f} CPU s, {wall:.0f} s", flush=True)
            print(f"  {seconds / packed:.2f} times the packs", flush=True)
        print(f"work of the jobs themselves, behind their forks: {of_jobs:.0f} CPU s")


if __name__ == "__main__":
    main()
