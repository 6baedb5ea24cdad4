"""SIGKILL of commands and of the scheduler at random moments: every command of every job runs once,
and the next launch finishes the run."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.cli import ORCH, SMALL, describe, orch

STAGES = f"""  a: {{command: "sh -c 'echo a{{n}} >> ran'", matrix: {{n: [1, 2, 3]}}, {SMALL}}}
  b: {{command: "sh -c 'echo b{{n}} >> ran'", for_each: a, {SMALL}}}
  packed: {{command: "sh -c 'echo p{{n}} >> ran'", matrix: {{n: [1, 2]}}, pack: 2, {SMALL}}}
  c: {{command: "sh -c 'echo c >> ran'", after: [b, packed], {SMALL}}}
"""
WANTED = {"a1", "a2", "a3", "b1", "b2", "b3", "p1", "p2", "c"}
EACH = 5
"""Kills in the life of one run at most."""
TOOK = {"launch": 1.5, "status": 0.8, "advance": 0.8, "scheduler": 1.0}
"""Seconds within which a kill comes on an idle machine."""


def scheduler_process(folder: Path) -> int | None:
    """The process of the run's scheduler, if it has one."""
    for lock in folder.glob("runs/trial/*/scheduler/scheduler.lock"):
        pid = lock.read_text().partition(" ")[0]
        if pid.isdigit() and Path(f"/proc/{pid}").exists():
            return int(pid)
    return None


def killed(folder: Path, word: str, launch: list[str], seconds: float) -> bool:
    """Kill a command, or the scheduler, after so long; False if it had ended."""
    if word == "scheduler":
        time.sleep(seconds)
        pid = scheduler_process(folder)
        with suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                return True
        return False
    command = launch if word == "launch" else [word]
    process = subprocess.Popen(
        [ORCH, *command],
        cwd=folder,
        env={**os.environ, "ORCH_RUNS": str(folder / "runs"), "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def shot_at(folder: Path, chance: random.Random, took: dict[str, float]) -> Counter[str]:
    """One run, killed at random moments and then finished; what was killed how often."""
    folder.mkdir()
    launch = ["launch", str(describe(folder, STAGES)), "--cluster", "local", "--no-watch"]
    kills: Counter[str] = Counter()
    for _ in range(EACH):
        there = list(folder.glob("runs/trial/*/plan.json"))
        word = chance.choice(list(TOOK)) if there else "launch"
        if killed(folder, word, launch, chance.uniform(0.05, took[word])):
            kills[word] += 1
            # On a busy machine all kills would come before a command has begun.
            took[word] = min(60.0, 1.2 * took[word])
        else:
            took[word] = max(TOOK[word], 0.7 * took[word])
    for _ in range(3):
        assert orch(folder, *launch).returncode == 0
        # What a scheduler had begun is over when the run is.
        done = orch(folder, "wait", "--timeout", "120")
        if done.returncode == 0:
            break
    ran = Counter((folder / "ran").read_text().split())
    assert done.returncode == 0, (done.stdout, done.stderr, ran, kills)
    assert ran == Counter(WANTED), kills
    return kills


@pytest.mark.parametrize(("seed", "count"), [(0, 4), pytest.param(1, 300, marks=pytest.mark.long)])
def test_no_kill_loses_or_doubles_a_job(seed: int, count: int, tmp_path: Path) -> None:
    chance, took = random.Random(seed), dict(TOOK)
    kills: Counter[str] = Counter()
    for number in range(count):
        if kills.total() >= count:
            break
        kills += shot_at(tmp_path / str(number), chance, took)
        # Of a long run it can be seen how far it is: pytest -s.
        print(f"{kills.total()} kills in {number + 1} runs: {dict(kills)}", flush=True)
    assert kills.total() >= count
