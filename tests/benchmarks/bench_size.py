"""Large runs: a table of 50,000 results, a page of 10,000 jobs, 20 who follow a live run of 2,000
jobs, a plan of 20,000 jobs, a search for secrets; each against a plain program that does the least.

    make bench-size
    python -m tests.benchmarks.bench_size results page      some of them

Nothing is faked but the age of the runs: their files are written by hand, as jobs leave them.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from orchestrator.description.profile import Profile
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.provenance.secret_files import secrecy
from orchestrator.runs.record import JobState
from orchestrator.runs.run import Run
from tests.benchmarks.bench_launch import Ran, timed
from tests.support.cli import ORCH, SMALL, scheduler_of

WATCHERS = 20
LIVE_SECONDS = 30.0
SOURCE_MB, BINARY_MB = 200, 1000


def described(folder: Path, name: str, count: int, keys: str = "", command: str = "t") -> Path:
    """A sweep of so many jobs."""
    path = folder / f"{name}.yaml"
    path.write_text(
        f"experiment: {name}\nabout: large\nstages:\n  a:\n    command: '{command} {{n}}'\n"
        f"    matrix: {{n: {list(range(count))}}}\n    {SMALL}\n{keys}"
    )
    return path


def finished(folder: Path, count: int, rows: int) -> Run:
    """A run whose jobs have completed, with so many results each."""
    run = create_run(
        make_plan(described(folder, "large", count)), Profile(kind="local"), folder / "runs"
    )
    records = run.load()
    for number, record in enumerate(records):
        attempt = run.folder / record.folder / "attempt-1"
        (run.folder / record.folder / "out").mkdir()
        attempt.mkdir()
        began = 1_800_000_000.0 + number
        start = {"token": str(number), "job_id": f"L-{number}", "started": began, "restart": 0}
        end = {"ended": began + 50, "exit_code": 0, "results": True, "pid": 1, "host": "node"}
        (attempt / "claim.json").write_text(json.dumps({**start, "pid": 1, "start": "1"}))
        (attempt / "exit.json").write_text(json.dumps({**start, **end, "signals": []}))
        (attempt / "log.txt").write_text("done\n")
        values = [
            {"metric": "loss", "value": number + one / 7, "n": 1, "axes": {"step": one}}
            for one in range(rows)
        ]
        document = {"schema": 1, "engine": "command", "config": {}, "rows": values, "facts": {}}
        run.results(record).write_text(json.dumps(document))
        records[number] = type(record)(
            **{key: getattr(record, key) for key in ("name", "stage", "identity", "folder")},
            state=JobState.COMPLETED,
            attempt=1,
            token=str(number),
            job_id=f"L-{number}",
            started=began,
            ended=began + 50,
            submitted=began - 5,
            source="results",
        )
    run.save(records)
    return run


def best(call: Callable[[], Ran], times: int = 3) -> Ran:
    """The one of some that took the least processor time."""
    return min((call() for _ in range(times)), key=lambda ran: ran.processor)


def line(name: str, ran: Ran, least: float, words: str) -> None:
    """What was measured."""
    print(
        f"| {name} | {ran.processor:.2f} s | {ran.peak_mib:.0f} MiB | {least:.2f} s ({words}) | "
        f"{ran.processor / least:.1f} |",
        flush=True,
    )


def plainly(path: Path) -> None:
    """Read every results file and write a table, as a short script would."""
    with (path / "plain.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        for found in sorted(path.glob("runs/large/*/jobs/*/out/results.json")):
            for row in json.loads(found.read_bytes())["rows"]:
                writer.writerow([found.parts[-3], row["metric"], row["value"], row["axes"]["step"]])


def processor_of(call: Callable[[], object], times: int = 3) -> float:
    """The least processor time of some calls in this process."""
    took = []
    for _ in range(times):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return min(took)


def results(folder: Path) -> None:
    """`orch results` of 50,000 rows, as text, JSON and CSV."""
    finished(folder, 1000, 50)
    os.environ["ORCH_RUNS"] = str(folder / "runs")
    least = processor_of(lambda: plainly(folder))
    for name, words in (
        ("text in a pipe", []),
        ("JSON", ["--json"]),
        ("CSV", ["--csv", str(folder / "x.csv")]),
    ):
        ran = best(partial(timed, ORCH, "results", "large", *words))
        line(f"results, 50,000 rows, {name}", ran, least, "json and csv of Python")


def page(folder: Path) -> None:
    """`orch page` of 10,000 jobs."""
    run = finished(folder, 10_000, 1)
    os.environ["ORCH_RUNS"] = str(folder / "runs")
    files = [*run.folder.glob("jobs/*/out/results.json"), *run.folder.glob("jobs/*/*/exit.json")]
    least = processor_of(lambda: [json.loads(path.read_bytes()) for path in files])
    ran = best(lambda: timed(ORCH, "page", "large"), 2)
    size = (run.folder / "page.html").stat().st_size / 1024
    line(f"page, 10,000 jobs ({size:.0f} KiB)", ran, least, "json of its 20,000 files")


def plan(folder: Path) -> None:
    """`orch plan` of 20,000 jobs, of commands and of an engine."""
    config = "config: {machines: 5s5a, architecture: lstm-small}"
    seeds = f"matrix: {{seed: {list(range(20_000))}}}"
    engine = folder / "engine.yaml"
    engine.write_text(
        f"experiment: engine\nabout: large\nstages:\n  a:\n    engine: fsm\n    {config}\n"
        f"    {seeds}\n    {SMALL}\n"
    )
    jobs = [{"seed": seed, "machines": "5s5a"} for seed in range(20_000)]

    def hashed() -> None:
        for job in jobs:
            hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()

    least = processor_of(hashed)
    for path in (described(folder, "command", 20_000), engine):
        ran = best(partial(timed, ORCH, "plan", str(path)), 2)
        line(f"plan, 20,000 jobs of {path.stem}", ran, least, "sha256 of a line each")


def watchers(folder: Path) -> None:
    """Processor time per second of those who follow a live run of 2,000 jobs on this machine, and
    of its scheduler."""
    os.chdir(folder)
    os.environ["ORCH_RUNS"] = str(folder / "runs")
    file = described(folder, "live", 2000, command="sleep 1; true")
    file.write_text(
        file.read_text().replace("'sleep 1; true {n}'", "\"sh -c 'sleep 1; true {n}'\"")
    )
    timed(ORCH, "launch", str(file), "--cluster", "local", "--no-watch")
    scheduler = scheduler_of(folder)
    ticks = os.sysconf("SC_CLK_TCK")

    def used(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    for count in (1, WATCHERS):
        following = [
            subprocess.Popen([ORCH, "watch", "live"], stdout=subprocess.DEVNULL)
            for _ in range(count)
        ]
        time.sleep(5)
        pids = [scheduler, *(one.pid for one in following)]
        before = [used(pid) for pid in pids]
        time.sleep(LIVE_SECONDS)
        spent = [after - one for after, one in zip(map(used, pids), before, strict=True)]
        each = [one / LIVE_SECONDS for one in spent]
        print(
            f"{count} follow 2,000 jobs: {sum(each[1:]):.2f} CPU s a second all together, "
            f"the scheduler {each[0]:.2f}",
            flush=True,
        )
        for one in following:
            one.kill()
            one.wait()
    timed(ORCH, "cancel", "live", code=None)


def secrets(folder: Path) -> None:
    """The search for secrets in files, in megabytes a second, against a hash of the same."""
    sources = [
        path.read_bytes()
        for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")
        if path.stat().st_size > 2000
    ]
    found: dict[str, list[Path]] = {}
    for kind, ending, megabytes in (("programs", ".py", SOURCE_MB), ("texts", ".txt", SOURCE_MB)):
        written, number = 0, 0
        while written < megabytes * 10**6:
            path = folder / f"{number}{ending}"
            path.write_bytes(sources[number % len(sources)])
            found.setdefault(kind, []).append(path)
            written += path.stat().st_size
            number += 1
    binary = folder / "weights.bin"
    with binary.open("wb") as file:
        for _ in range(BINARY_MB):
            file.write(os.urandom(1000) * 1000)
    found["a large binary file"] = [binary]
    for kind, paths in found.items():
        size = sum(path.stat().st_size for path in paths) / 10**6
        took = processor_of(partial(list, map(secrecy, paths)), 1)
        least = processor_of(partial(hash_all, paths), 1)
        print(
            f"secrets in {kind} ({size:.0f} MB): {size / took:.0f} MB a CPU second, "
            f"sha256 {size / least:.0f}",
            flush=True,
        )


def hash_all(paths: list[Path]) -> None:
    """Read and hash every file."""
    for path in paths:
        hashlib.sha256(path.read_bytes()).digest()


PARTS: dict[str, Callable[[Path], None]] = {
    "results": results,
    "page": page,
    "plan": plan,
    "watchers": watchers,
    "secrets": secrets,
}


def main() -> int:
    """Measure what is named, or everything."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("| | processor time | memory | the least | ratio |\n| --- | --- | --- | --- | --- |")
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder).resolve())
            os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
