"""Launch and status of 350 empty jobs on the private Slurm, against a raw array of as many tasks in the same run.

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

JOBS = 350
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
            Path("bench.yaml").write_text(
                f"experiment: bench\nabout: empty jobs\nstages:\n  a: {{command: 'true {{n}}', matrix: {{n: {list(range(JOBS))}}}, "
                "resources: {cpus: 1, memory_gb: 1, minutes: 5}}\n")
            started = time.perf_counter()
            launch, _ = timed(ORCH, "launch", "bench.yaml", "--cluster", str(slurm.profile), "--no-watch")
            launch_done = drained(started)
            status, text = timed(ORCH, "status", "--json")
            states = [job["state"] for job in json.loads(text)["jobs"]]
            squeue, _ = timed("squeue", "--me", "--noheader")
    finally:
        slurm.stop()
    print(f"{JOBS} empty jobs, {os.cpu_count()} cores; {states.count('COMPLETED')} of {len(states)} COMPLETED by orch status")
    print("| | raw array | orch | ratio |\n| --- | --- | --- | --- |")
    print(f"| submit | {array:.2f} s | {launch:.2f} s | {launch / array:.0f} |")
    print(f"| submit to done | {array_done:.1f} s | {launch_done:.1f} s | {launch_done / array_done:.1f} |")
    print(f"| look (squeue; orch status) | {squeue:.2f} s | {status:.2f} s | {status / squeue:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
