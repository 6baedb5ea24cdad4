"""The live page over a run of ten thousand jobs: what a poll costs the login node, against `orch
status --json` in the same run.

    make bench-serve
    python -m tests.benchmarks.bench_serve --jobs 1000      a smaller one

The run is one of commands that count as done: its records are written, nothing was run.
"""

from __future__ import annotations

import argparse
import gzip
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.runs.run import Run, waiting
from tests.support.cli import ORCH, SMALL, describe
from tests.support.serving import Answered, Served, served

TICKS = os.sysconf("SC_CLK_TCK")
POLLS = 20


def made_run(folder: Path, jobs: int) -> Run:
    """A run of so many jobs whose state file says that all are over, some of them failed."""
    stages = f'  train: {{command: "echo {{n}}", matrix: {{n: {list(range(jobs))}}}, {SMALL}}}\n'
    plan = make_plan(describe(folder, stages))
    run = create_run(plan, Profile(kind="local", name="local"), folder / "runs")
    records = []
    for number, job in enumerate(run.plan.jobs):
        state = JobState.CANCELLED if number % 10 else JobState.SKIPPED
        begun = run.created + number
        times = {"submitted": begun, "started": begun + 1, "ended": begun + 30, "seen": begun + 30}
        records.append(replace(waiting(job), state=state, reason="of this benchmark", **times))
    with run.lock():
        run.save(records)
    return run


def processor(server: Served) -> float:
    """Seconds of processor time that the server has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cost(server: Served, ask: Callable[[], Answered], times: int = 1) -> tuple[float, Answered]:
    """Processor seconds of the server for one answer, as a mean, and the last answer."""
    before = processor(server)
    for _ in range(times):
        answer = ask()
    return (processor(server) - before) / times, answer


def command(folder: Path, *words: str) -> float:
    """Processor seconds of a command."""
    environment = {**os.environ, "ORCH_RUNS": str(folder / "runs")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([ORCH, *words], cwd=folder, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    jobs: int = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = made_run(folder, jobs)
        base = min(command(folder, "status", "--json") for _ in range(3))
        with served(folder) as server:
            first, whole = cost(server, lambda: server.of_run(run.name, "status"))
            known = {"If-None-Match": whole.headers["ETag"]}
            number = whole.headers["X-Orch-Number"]

            def poll() -> Answered:
                return server.of_run(run.name, "status", known, since=number)

            pause = float(whole.headers["X-Orch-Pause"])
            within, answer = cost(server, poll, POLLS)
            assert answer.status == 304
            time.sleep(pause)
            anew, answer = cost(server, poll)
            assert (answer.status, answer.body) == (304, b"")
            overview, seen = cost(server, lambda: server.of_run(run.name, "overview"))
            peak = int(
                next(
                    line.split()[1]
                    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
                    if line.startswith("VmHWM")
                )
            )
    sizes = f"{len(whole.body) / 1e6:.1f} MB, {len(gzip.compress(whole.body, 1)) / 1e6:.2f} packed"
    print(f"{jobs} jobs; processor seconds, and as a part of `orch status --json`")
    for words, seconds in [
        ("orch status --json", base),
        (f"first answer ({sizes})", first),
        ("poll that finds nothing new, read anew", anew),
        ("poll within the pause, from another tab", within),
        (f"overview ({len(seen.body) / 1e3:.0f} KB)", overview),
    ]:
        print(f"{words:52} {seconds:8.3f} {seconds / base:8.3f}")
    print(f"peak memory of the server: {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
