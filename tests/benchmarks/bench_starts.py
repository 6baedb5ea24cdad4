"""What starts often: an empty job on its node, and a look at a run that is over.

    make bench-starts
    python -m tests.benchmarks.bench_starts --against FOLDER      an older checkout, in the same turns

Processor time of the process and all its children, the ways taking turns; median and least. Nothing
of Slurm: its own share is in ``bench_launch``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.node.launcher.build import build, compilers
from orchestrator.node.launcher.plain import LAUNCH, body_of, launch_file
from orchestrator.runs.documents.launch_files import put
from tests.support.cli import SMALL
from tests.support.paths import ROOT

ROUNDS = 15
TOKEN = "0123456789"

Way = Callable[[], None]


def used(way: Way) -> tuple[float, float]:
    """Milliseconds of processor time and of wall time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    way()
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * busy, 1000 * (ended - began)


def program(*command: str | Path, **environment: str) -> Way:
    """Run a command to its end; it must succeed."""
    words, variables = list(map(str, command)), {**os.environ, **environment}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)

    def way() -> None:
        subprocess.run(
            words, env=variables, check=True, stdin=subprocess.DEVNULL, capture_output=True
        )

    return way


def empty_job(folder: Path, checkout: Path, launcher: Path | None = None) -> Way:
    """An attempt at a job that does nothing, as a scheduler starts it; its folder is made anew
    beforehand, which is not counted. ``launcher``: what starts it in place of Python."""
    job = folder / "jobs" / "a"
    document = {
        "name": "a",
        "engine": None,
        "command": ["true"],
        "needs": {},
        "cwd": str(folder),
        "identity": "i",
        "resources": {"gpus": 0, "cpus": 1, "memory_gb": 1, "minutes": 5, "nodes": 1},
    }
    node = checkout / "orchestrator" / "node" / "__main__.py"
    python = (sys.executable, "-I", "-S", "-u", node, job, "1", TOKEN)
    start = program(*([launcher] if launcher else []), *python, ORCH_JOB_ID="L-1")

    def way() -> None:
        shutil.rmtree(job, ignore_errors=True)
        (job / "attempt-1").mkdir(parents=True)
        (job / "job.json").write_text(json.dumps(document))
        if launcher is not None:
            content = (job / "job.json").read_bytes()
            body = body_of(str(job), TOKEN, str(checkout), content, (b"", None))
            assert body is not None
            put(job / "attempt-1" / LAUNCH, launch_file({0: body}))
        start()
        assert (job / "out" / "results.json").exists()

    return way


def launched(folder: Path) -> dict[str, Way]:
    """The same by the launcher, as each compiler makes it that is there, and its first word."""
    ways: dict[str, Way] = {}
    for compiler in [name for name in compilers() if name != "gcc"]:  # which is cc here
        target = folder / f"launcher-{compiler}"
        build(target, compiler)
        ways[f"launcher --version, by {compiler}"] = program(target, "--version")
        name = f"an empty job on the node, launcher by {compiler}"
        ways[f"{name}, {target.stat().st_size // 1024} kB"] = empty_job(
            folder / compiler, ROOT, target
        )
    return ways


def finished_run(folder: Path) -> None:
    """A run of six jobs on this machine that is over, as if an hour ago."""
    (folder / "six.yaml").write_text(
        "experiment: six\nabout: empty jobs\nstages:\n"
        f"  a: {{command: 'true {{n}}', matrix: {{n: [1, 2, 3, 4, 5]}}, {SMALL}}}\n"
        f"  b: {{command: 'true', after: [a], {SMALL}}}\n"
    )
    subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "orchestrator.cli",
            "launch",
            "six.yaml",
            "--cluster",
            "local",
        ],
        cwd=folder,
        env={**os.environ, "ORCH_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.cli", "wait", "six"],
        cwd=folder,
        env={**os.environ, "ORCH_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    for path in [*(folder / "runs").rglob("*"), folder / "runs"]:
        os.utime(path, (time.time() - 3600, time.time() - 3600), follow_symlinks=False)


def look(folder: Path, checkout: Path, kept: bool) -> Way:
    """`orch status` of a checkout; ``kept``: the look before may answer."""
    cache = folder / f"cache-{checkout.name}-{kept}"
    code = "from orchestrator.cli.__main__ import main; main()"
    start = program(
        *(sys.executable, "-P", "-c", code, "status", "six"),
        ORCH_RUNS=str(folder / "runs"),
        ORCH_CACHE=str(cache),
        PYTHONPATH=str(checkout),
    )

    def way() -> None:
        if not kept:
            shutil.rmtree(cache, ignore_errors=True)
        start()

    return way


def measure(ways: dict[str, Way], rounds: int) -> None:
    """Print a table: each way once a round, in turns."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            seen[name].append(used(way))
    print("| | processor ms, median (least) | wall ms, median |\n| --- | --- | --- |")
    for name, values in seen.items():
        busy = [one for one, _ in values]
        wall = statistics.median(one for _, one in values)
        print(f"| {name} | {statistics.median(busy):.1f} ({min(busy):.1f}) | {wall:.1f} |")


def main() -> int:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--against", type=Path, help="an older checkout, measured in the same turns"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        finished_run(folder)
        ways = {
            "sh -c true": program("sh", "-c", "true"),
            "python -I -S -c pass": program(sys.executable, "-I", "-S", "-c", "pass"),
            "python -c pass": program(sys.executable, "-c", "pass"),
            "an empty job on the node, Python": empty_job(folder / "node", ROOT),
            **launched(folder),
            "orch status, first look": look(folder, ROOT, kept=False),
            "orch status, looked at before": look(folder, ROOT, kept=True),
        }
        if options.against:
            before = options.against.resolve()
            ways["an empty job on the node, before"] = empty_job(folder / "node-before", before)
            ways["orch status, before"] = look(folder, before, kept=True)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds")
        measure(ways, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
