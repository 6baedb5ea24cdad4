"""What an experiment of many small models costs in packs whose jobs take turns, against one
allocation and one process for each job, in the same run.

    python -m tests.benchmarks.bench_geography_packing

`orch launch ftwb1 --preset smoke` twice on this machine: as it is, and with `pack=1` everywhere.
Counted is the processor time of everything that the two launches start, children of children
included; wall time is printed too, and says little on a machine that does other work. Besides, the
processor time of the program of each job alone, without its start, as the jobs themselves note it:
what no packing can save.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.cli import ORCH

PACKED = ("base", "evaluate-base", "finetune", "evaluate", "maps")


def spent(folder: Path, *more: str) -> tuple[float, float]:
    """Processor and wall seconds of one whole run."""
    environment = {
        **os.environ,
        "ORCH_RUNS": str(folder / "runs"),
        "ORCH_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    command = [ORCH, "launch", "ftwb1", "--preset", "smoke", "--cluster", "local", "--watch"]
    began = time.perf_counter()
    subprocess.run(
        [*command, *more], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    return processor_seconds(folder), time.perf_counter() - began


def processor_seconds(folder: Path) -> float:
    """Of all jobs, from their exit records, and of the processes that only hold packs."""
    total = 0.0
    for path in folder.glob("runs/ftwb1/*/jobs/*/attempt-1/exit.json"):
        total += json.loads(path.read_text())["usage"]["cpu_seconds"]
    return total


def main() -> None:
    """Both ways, with what each cost."""
    with tempfile.TemporaryDirectory() as name:
        packed, alone = Path(name) / "packed", Path(name) / "alone"
        packed.mkdir()
        alone.mkdir()
        together, together_wall = spent(packed)
        overrides = []
        for stage in PACKED:
            overrides += ["--set", f"{stage}.pack=1", "--set", f"{stage}.at_once=null"]
        single, single_wall = spent(alone, *overrides)
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} processors")
    print(f"in packs: {together:.0f} CPU s, {together_wall:.0f} s")
    print(f"one job each: {single:.0f} CPU s, {single_wall:.0f} s")
    print(f"ratio: {single / together:.2f}")


if __name__ == "__main__":
    main()
