"""Launch and status of 350 empty jobs on the private Slurm, against a raw array of as many tasks in the same run; 10,000 jobs waiting.

    make bench
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from private_slurm import PrivateSlurm, missing

JOBS, MANY = 350, 10_000
ORCH = str(Path(sys.executable).with_name("orch"))


def timed(*arguments: str) -> tuple[float, str]:
    """Seconds and output of a command that must succeed."""
    started = time.perf_counter()
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, result.stdout


def drained(started: float) -> float:
    """Seconds since ``started`` when the queue is empty."""
    while subprocess.run(["squeue", "--me", "--noheader"], capture_output=True, text=True, check=True).stdout:
        time.sleep(0.1)
    return time.perf_counter() - started


def experiment(name: str, count: int) -> str:
    """The text of an experiment of empty jobs."""
    return (f"experiment: {name}\nabout: empty jobs\nstages:\n  a: {{command: 'true {{n}}', matrix: {{n: {list(range(count))}}}, "
            "resources: {cpus: 1, memory_gb: 1, minutes: 5}}\n")


def many(profile: Path) -> tuple[float, list[float], float]:
    """Seconds to submit ten thousand jobs that wait for tomorrow, of three looks at them, and of three squeues together."""
    Path("later.yaml").write_text(f"{profile.read_text()}sbatch: {{begin: now+1day}}\n")
    Path("many.yaml").write_text(experiment("many", MANY))
    launch, _ = timed(ORCH, "launch", "many.yaml", "--cluster", "later.yaml", "--no-watch")
    looks = [timed(ORCH, "status", "many")[0] for _ in range(3)]
    squeue = sum(timed("squeue", "--me", "--noheader")[0] for _ in range(3))
    timed("scancel", "--me")
    return launch, looks, squeue


def main() -> int:
    """Run both and print a table."""
    why = missing()
    if why:
        print(why, file=sys.stderr)
        return 2
    slurm = PrivateSlurm()
    try:
        slurm.start()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            started = time.perf_counter()
            array, _ = timed("sbatch", "--account=llmalignment", f"--array=0-{JOBS - 1}", "--mem=10M", "--output=/dev/null", "--wrap=true")
            array_done = drained(started)
            Path("bench.yaml").write_text(experiment("bench", JOBS))
            started = time.perf_counter()
            launch, _ = timed(ORCH, "launch", "bench.yaml", "--cluster", str(slurm.profile), "--no-watch")
            launch_done = drained(started)
            status, text = timed(ORCH, "status", "--json")
            states = [job["state"] for job in json.loads(text)["jobs"]]
            squeue, _ = timed("squeue", "--me", "--noheader")
            many_launch, looks, many_squeue = many(slurm.profile)
    finally:
        slurm.stop()
    completed = f"{states.count('COMPLETED')} of {len(states)} COMPLETED by orch status"
    print(f"{JOBS} empty jobs, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {completed}")
    print("| | raw array | orch | ratio |\n| --- | --- | --- | --- |")
    print(f"| submit | {array:.2f} s | {launch:.2f} s | {launch / array:.0f} |")
    print(f"| submit to done | {array_done:.1f} s | {launch_done:.1f} s | {launch_done / array_done:.1f} |")
    print(f"| look (squeue; orch status) | {squeue:.2f} s | {status:.2f} s | {status / squeue:.0f} |")
    print(f"| launch of {MANY} | | {many_launch:.1f} s | |")
    look = f"{min(looks):.2f} to {max(looks):.2f} s"
    print(f"| look at {MANY} waiting | {many_squeue / 3:.2f} s | {look} | {3 * min(looks) / many_squeue:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
