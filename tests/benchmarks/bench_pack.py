"""Packs against single jobs on the private Slurm, and warm starts against cold ones, in the same
run.

    python -m tests.benchmarks.bench_pack

315 empty jobs from launch to done, one allocation each and 15 in one; 16 trainings of a tiny
sequence model in one pack whose members are forks of a process that has imported torch, and in one
whose members import it themselves. Read processor time, not wall time, on a machine that does other
work.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.bench_launch import drained, timed
from tests.support.cli import ORCH
from tests.support.node import PROGRAM
from tests.support.private_slurm import started

JOBS, PACK, MODELS = 315, 15, 16
HEAD = "0123456789"


def empty(name: str, pack: int) -> str:
    """The text of an experiment of empty jobs."""
    return (
        f"experiment: {name}\nabout: empty jobs\nstages:\n  a: {{command: 'true {{n}}', "
        f"matrix: {{n: {list(range(JOBS))}}}, "
        f"resources: {{cpus: 1, memory_gb: 1, minutes: 5}}, pack: {pack}}}\n"
    )


def launched(profile: Path, name: str, pack: int) -> tuple[float, float, int]:
    """Seconds to submit and to done, and how many jobs completed."""
    Path(f"{name}.yaml").write_text(empty(name, pack))
    started = time.perf_counter()
    launch = timed(ORCH, "launch", f"{name}.yaml", "--cluster", str(profile), "--no-watch").seconds
    done = drained(started)
    told = timed(ORCH, "status", name, "--json").output
    return launch, done, sum(job["state"] == "COMPLETED" for job in json.loads(told)["jobs"])


def trained(folder: Path, warm: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of one pack of tiny trainings, without Slurm."""
    entries = []
    for seed in range(MODELS):
        job = folder / "jobs" / str(seed)
        (job / "attempt-1").mkdir(parents=True)
        (job / "job.json").write_text(
            json.dumps(
                {
                    "name": str(seed),
                    "engine": "fsm",
                    "command": None,
                    "needs": {},
                    "cwd": str(folder),
                }
            )
        )
        (job / "config.json").write_text(
            json.dumps(
                {
                    "architecture": {"kind": "lstm", "width": 8, "layers": 1},
                    "train_sequences": 16,
                    "validation_sequences": 8,
                    "test_sequences": 8,
                    "epochs": 1,
                    "seed": seed,
                    "device": "cpu",
                }
            )
        )
        entries.append([str(job), 1, f"{HEAD}+{seed}"])
    (folder / "arrays" / HEAD).mkdir(parents=True)
    (folder / "arrays" / HEAD / "members.json").write_text(
        json.dumps({"": {"pack": entries, "warm": warm}})
    )
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-I", "-S", "-u", str(PROGRAM), str(folder / "arrays" / HEAD)],
        check=True,
        env={**os.environ, "ORCH_JOB_ID": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = len(list(folder.glob("jobs/*/out/results.json")))
    if done != MODELS:
        raise RuntimeError(f"{done} of {MODELS} trainings have results; see {folder}")
    return (
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        time.perf_counter() - started,
    )


def main() -> int:
    """Run all and print two tables."""
    from engines.fsm.config import WARM

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cold, cold_wall = trained(Path(folder) / "cold", [])
        warm, warm_wall = trained(Path(folder) / "warm", list(WARM))
        print(
            f"{MODELS} tiny trainings in one pack, {os.cpu_count()} cores, load "
            f"{os.getloadavg()[0]:.1f}"
        )
        print("| | processor s | wall s |\n| --- | --- | --- |")
        print(
            f"| each imports torch | {cold:.1f} | {cold_wall:.1f} |\n| forks of one "
            f"process | {warm:.1f} | {warm_wall:.1f} |",
            flush=True,
        )
        with started() as slurm:
            rows = {
                name: launched(slurm.profile, name, pack)
                for name, pack in (("alone", 1), ("packed", PACK))
            }
        print(f"{JOBS} empty jobs, load {os.getloadavg()[0]:.1f}")
        print("| | submit | submit to done | COMPLETED |\n| --- | --- | --- | --- |")
        for name, (launch, done, count) in rows.items():
            print(f"| {name} | {launch:.2f} s | {done:.1f} s | {count} of {JOBS} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
