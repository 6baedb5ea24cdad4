"""The benchmark for one card, where there is none: its path on a CPU, and what it says."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_gpu", *options]
    # A card that is there is not asked for: others may be at work on it.
    environment = {"CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_each_part_runs_on_a_cpu_too() -> None:
    done = bench("--tiny")
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "|" in line][2:]
    assert rows == [
        "lstm, 5 stacked",
        "rnn, 5 stacked",
        "transformer, 5 stacked",
        "PCGrad over 6 tasks",
        "its peak memory",
        "log-probabilities of 600 positions",
        "their peak memory",
    ]


def test_without_a_card_it_says_so() -> None:
    done = bench()
    assert done.returncode == 2
    assert done.stderr.startswith("bench_gpu: no GPU here")
