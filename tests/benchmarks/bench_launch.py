"""Launch, status and kills on the private Slurm: against a raw array and snakemake in the same run,
ten thousand jobs, a hundred SIGKILLs.

    make bench-launch
    python -m tests.benchmarks.bench_launch --groups 5 --many 1000 --kills 10      a smaller one

Snakemake and its Slurm plugin are installed into a virtual environment in a temporary folder, which
is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.cli import ORCH, SMALL
from tests.support.private_slurm import PrivateSlurm, started

MEMBERS = 15
SNAKEMAKE_SECONDS = 1200
"""Longest that snakemake may take for the graph."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that has ended."""

    seconds: float
    processor: float
    """Seconds of processor time, of the command and its children."""
    peak_mib: float
    """Largest resident memory of the command, or of a child of it."""
    output: str


def timed(*arguments: str, seconds: float = 600, code: int | None = 0) -> Ran:
    """Run a command and measure it; ``code``: what it must end with."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.perf_counter() - started > seconds:
                process.kill()
            time.sleep(0.005)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        out.seek(0)
        text = out.read()
    if code is not None and process.returncode != code:
        raise RuntimeError(
            f"{' '.join(arguments[:4])} ended with {process.returncode}: {text[-2000:]}"
        )
    used = ended[2]
    return Ran(
        seconds=time.perf_counter() - started,
        processor=used.ru_utime + used.ru_stime,
        peak_mib=used.ru_maxrss / 1024,
        output=text,
    )


def machine_seconds() -> float:
    """Processor time that the whole machine has spent: of Slurm, the jobs and the client, so a
    figure of this graph only where nothing else runs."""
    user, nice, system, _, _, irq, softirq = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def drained(started: float) -> float:
    """Seconds since ``started`` when the queue is empty."""
    while subprocess.run(
        ["squeue", "--me", "--noheader"], capture_output=True, text=True, check=True
    ).stdout:
        time.sleep(0.2)
    return time.perf_counter() - started


def graph(groups: int) -> str:
    """An experiment of empty jobs: a job per group, fifteen after it, one after these, and one
    after all."""
    stages = [
        f"  a{g}: {{command: 'true a{g}', {SMALL}}}\n"
        f"  b{g}: {{command: 'true {{k}}', for_each: a{g}, matrix: {{k: "
        f"{list(range(MEMBERS))}}}, {SMALL}}}\n"
        f"  c{g}: {{command: 'true c{g}', after: [b{g}], {SMALL}}}\n"
        for g in range(groups)
    ]
    last = (
        f"  d: {{command: 'true d', after: [{', '.join(f'c{g}' for g in range(groups))}], "
        f"{SMALL}}}\n"
    )
    return f"experiment: bench\nabout: empty jobs\nstages:\n{''.join(stages)}{last}"


def snakefile(groups: int) -> str:
    """The same graph for snakemake; a job of it touches its file."""
    rule = "rule {name}:\n    {inputs}output: touch('{out}')\n    shell: 'true'\n"
    return (
        "rule all:\n    input: 'd'\n"
        + rule.format(name="a", inputs="", out="a{g}")
        + rule.format(name="b", inputs="input: 'a{g}'\n    ", out="b{g}_{k}")
        + rule.format(
            name="c",
            inputs=f"input: expand('b{{{{g}}}}_{{k}}', k=range({MEMBERS}))\n    ",
            out="c{g}",
        )
        + rule.format(name="d", inputs=f"input: expand('c{{g}}', g=range({groups}))\n    ", out="d")
    ).replace("rule b:", "wildcard_constraints: g=r'\\d+', k=r'\\d+'\nrule b:")


def orch_graph(groups: int, profile: Path) -> tuple[Ran, float, Ran, Counter[str]]:
    """Launch, seconds from launch to done, a look, and the states."""
    Path("bench.yaml").write_text(graph(groups))
    started = time.perf_counter()
    launch = timed(ORCH, "launch", "bench.yaml", "--cluster", str(profile), "--no-watch")
    done = drained(started)
    look = timed(ORCH, "status", "bench")
    states = Counter(
        job["state"] for job in json.loads(timed(ORCH, "status", "bench", "--json").output)["jobs"]
    )
    return launch, done, look, states


def array_graph(jobs: int) -> tuple[Ran, float]:
    """One raw array of as many empty jobs: what Slurm itself needs at least."""
    started = time.perf_counter()
    submit = timed(
        "sbatch",
        "--account=llmalignment",
        f"--array=0-{jobs - 1}",
        "--mem=10M",
        "--output=/dev/null",
        "--wrap=true",
    )
    return submit, drained(started)


def calls_graph(groups: int) -> float:
    """The graph by as many calls of sbatch as ``orch`` makes, for the same CPU, memory and time and
    with the same dependencies: what Slurm needs for it at least; seconds to done."""
    asked = ["--account=llmalignment", "--cpus-per-task=1", "--mem=1G", "--nodes=1", "--time=5"]

    def submit(*options: str) -> str:
        call = ["sbatch", "--parsable", "--output=/dev/null", "--wrap=true", *asked, *options]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    started = time.perf_counter()
    last = []
    for _ in range(groups):
        members = submit(f"--array=0-{MEMBERS - 1}", f"--dependency=afterok:{submit()}")
        last.append(submit(f"--dependency=afterok:{members}"))
    submit(f"--dependency=afterok:{':'.join(last)}")
    return drained(started)


def snakemake_graph(groups: int, folder: Path) -> tuple[Ran, str]:
    """Snakemake with its Slurm executor on the same graph, and its versions. RuntimeError or
    OSError if it cannot run here."""
    python = folder / "venv" / "bin" / "python"
    timed(sys.executable, "-m", "venv", str(folder / "venv"))
    timed(
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "snakemake",
        "snakemake-executor-plugin-slurm",
    )
    listed = timed(str(python), "-m", "pip", "list", "--format=freeze").output
    versions = ", ".join(
        line
        for line in listed.splitlines()
        if line.startswith(("snakemake==", "snakemake-executor-plugin-slurm=="))
    )
    (folder / "Snakefile").write_text(snakefile(groups))
    os.environ["PATH"] = f"{python.parent}:{os.environ['PATH']}"
    ran = timed(
        str(python),
        "-m",
        "snakemake",
        "--directory",
        str(folder),
        "--snakefile",
        str(folder / "Snakefile"),
        "--executor",
        "slurm",
        "--jobs",
        "1000",
        "--latency-wait",
        "30",
        "--default-resources",
        "slurm_account=llmalignment",
        "slurm_partition=a100_normal_q",
        "mem_mb=1000",
        "runtime=5",
        seconds=SNAKEMAKE_SECONDS,
    )
    if not (folder / "d").exists():
        raise RuntimeError(f"snakemake did not finish: {ran.output[-500:]}")
    return ran, versions


def many(count: int, profile: Path) -> tuple[Ran, list[Ran], list[Ran]]:
    """Launch of many jobs that wait for tomorrow, three looks that ask squeue, and three
    squeues."""
    Path("later.yaml").write_text(f"{profile.read_text()}sbatch: {{begin: now+1day}}\n")
    Path("many.yaml").write_text(
        f"experiment: many\nabout: empty jobs\nstages:\n  a: {{command: 'true {{n}}', "
        f"matrix: {{n: {list(range(count))}}}, {SMALL}}}\n"
    )
    launch = timed(ORCH, "launch", "many.yaml", "--cluster", "later.yaml", "--no-watch")
    looks = []
    for _ in range(3):
        time.sleep(6)  # older than a shared answer
        looks.append(timed(ORCH, "status", "many"))
    squeues = [timed("squeue", "--me", "--noheader") for _ in range(3)]
    timed("scancel", "--me")
    return launch, looks, squeues


def kill_at_random(times: int, profile: Path, seed: int = 1) -> tuple[int, int, Counter[str]]:
    """Kill ``times`` orch commands at random moments of their life; jobs lost, jobs doubled, and
    what was killed."""
    moments, killed, lost, doubled = random.Random(seed), Counter[str](), 0, 0
    Path("fast.yaml").write_text(f"{profile.read_text()}calls_per_minute: 100000\n")
    took = {"launch": 2.0, "status": 1.0, "advance": 1.0}
    for place in map(Path, (f"kill-{number}" for number in range(10 * times))):
        if killed.total() >= times:
            break
        place.mkdir()
        (place / "trial.yaml").write_text(
            "experiment: trial\nabout: trial\nstages:\n"
            f"  a: {{command: \"sh -c 'echo a{{n}} >> ran'\", matrix: {{n: [1, 2, 3]}}, {SMALL}}}\n"
            f"  b: {{command: \"sh -c 'echo b{{n}} >> ran'\", for_each: a, {SMALL}}}\n"
            f"  c: {{command: \"sh -c 'echo c >> ran'\", after: [b], {SMALL}}}\n"
        )
        launch = [
            ORCH,
            "launch",
            "trial.yaml",
            "--cluster",
            str(Path("fast.yaml").absolute()),
            "--no-watch",
        ]
        environment = {**os.environ, "ORCH_RUNS": str(place.absolute() / "runs")}
        for number in range(5):
            there = number > 0 and list(place.glob("runs/*/*/plan.json"))
            word = moments.choice(["launch", "status", "advance"]) if there else "launch"
            process = subprocess.Popen(
                launch if word == "launch" else [ORCH, word],
                cwd=place,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            started = time.monotonic()
            try:
                process.wait(timeout=moments.uniform(0.1 * took[word], took[word]))
                took[word] = 0.5 * took[word] + 0.5 * (
                    time.monotonic() - started
                )  # it had ended: aim a little earlier
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed[word] += 1
                took[word] = min(6.0, 1.05 * took[word])
        subprocess.run(launch, cwd=place, env=environment, check=True, capture_output=True)
        drained(0.0)
        ran = Counter((place / "ran").read_text().split())
        expected = {f"{stage}{n}" for stage in "ab" for n in (1, 2, 3)} | {"c"}
        lost += len(expected - ran.keys())
        doubled += sum(count > 1 for count in ran.values())
    return lost, doubled, killed


def attempt(what: str, work: Callable[[], tuple[Ran, str]]) -> tuple[Ran | None, str]:
    """The result, or None and why there is none."""
    try:
        return work()
    except (RuntimeError, OSError) as error:
        return None, f"{what} could not run here: {' '.join(str(error).split())[-400:]}"


def measure(options: argparse.Namespace, slurm: PrivateSlurm) -> None:
    """Run everything and print tables."""
    jobs = options.groups * (MEMBERS + 2) + 1
    load = os.getloadavg()[0]
    before = machine_seconds()
    submit, array_done = array_graph(jobs)
    between = machine_seconds()
    calls_done = calls_graph(options.groups)
    begun = machine_seconds()
    launch, done, look, states = orch_graph(options.groups, slurm.profile)
    alone, ours = between - before, machine_seconds() - begun - look.processor
    calls = begun - between
    squeue = timed("squeue", "--me", "--noheader")
    print(
        f"graph {options.groups} -> {options.groups * MEMBERS} -> {options.groups} -> 1 "
        f"of empty jobs, {os.cpu_count()} cores, "
        f"load {load:.1f}; orch status says {dict(states)}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        ran, versions = (
            attempt("snakemake", lambda: snakemake_graph(options.groups, Path(folder)))
            if options.snakemake
            else (None, "")
        )
    other = (
        ("not run", "not run")
        if ran is None
        else (f"{ran.seconds:.1f} s", f"{ran.peak_mib:.0f} MiB")
    )
    busy = "not run" if ran is None else f"{ran.processor:.1f} s"
    print("| | raw array | orch | ratio | snakemake |\n| --- | --- | --- | --- | --- |")
    print(
        f"| submit | {submit.seconds:.2f} s | {launch.seconds:.2f} s | "
        f"{launch.seconds / submit.seconds:.0f} | |"
    )
    print(
        f"| launch to done | {array_done:.1f} s | {done:.1f} s | {done / array_done:.1f} "
        f"| {other[0]} |"
    )
    print(
        f"| the same calls of sbatch by hand | | {calls_done:.1f} s | {done / calls_done:.1f} | |"
    )
    print(
        f"| processor time of the machine | {alone:.1f} s | {ours:.1f} s | {ours / alone:.1f} | |"
    )
    print(f"| the same, of the calls by hand | | {calls:.1f} s | {ours / calls:.1f} | |")
    print(
        f"| peak memory of the program | {submit.peak_mib:.0f} MiB | "
        f"{launch.peak_mib:.0f} MiB | | {other[1]} |"
    )
    print(
        f"| processor time of the program | {submit.processor:.2f} s | "
        f"{launch.processor:.2f} s | | {busy} |"
    )
    print(
        f"| look (squeue; orch status) | {squeue.seconds:.2f} s | {look.seconds:.2f} s | "
        f"{look.seconds / squeue.seconds:.0f} | |"
    )
    print(versions, flush=True)
    if options.many:
        load = os.getloadavg()[0]
        many_launch, looks, squeues = many(options.many, slurm.profile)
        asked = min(one.seconds for one in squeues)
        print(
            f"{options.many} jobs, load {load:.1f}: launch {many_launch.seconds:.1f} s, "
            f"{many_launch.processor:.1f} s of "
            f"processor time, {many_launch.peak_mib:.0f} MiB; status "
            f"{min(one.seconds for one in looks):.2f} to "
            f"{max(one.seconds for one in looks):.2f} s, "
            f"{min(one.processor for one in looks):.2f} s of processor time, "
            f"{max(one.peak_mib for one in looks):.0f} MiB; squeue alone {asked:.2f} s",
            flush=True,
        )
    if options.kills:
        lost, doubled, killed = kill_at_random(options.kills, slurm.profile)
        words = ", ".join(f"{count} of {word}" for word, count in killed.items())
        print(
            f"{killed.total()} kills ({words}), load {os.getloadavg()[0]:.1f}: {lost} "
            f"jobs lost, {doubled} doubled",
            flush=True,
        )


def main() -> int:
    """Start the private Slurm, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--groups", type=int, default=21)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--no-snakemake", dest="snakemake", action="store_false")
    options = parser.parse_args()
    with started() as slurm, tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["ORCH_CACHE"] = f"{folder}/cache"
        os.environ.pop(
            "PYTHONDONTWRITEBYTECODE", None
        )  # compiling itself in every call is 0.1 s that no installation has
        measure(options, slurm)
        os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
