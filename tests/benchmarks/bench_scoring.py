"""Time of the scorers on real gold answers, and of the sandboxes per program, warm and cold.

``python -m tests.benchmarks.bench_scoring [FOLDER_OF_BENCHMARK_FILES]``; without a folder the
sandboxes alone. Processor time of this process and of what it starts stands beside wall time: on a
shared machine only the first says something.
"""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engines.shared.data.benchmarks import KNOWN_FILES
from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import Problem
from engines.shared.sandbox import warm
from engines.shared.sandbox.execution import CHOICE, KINDS, run_program, self_test
from engines.shared.sandbox.supervisor import content, descendants
from engines.shared.scoring.code import by_secret
from engines.shared.scoring.registry import IN_SANDBOX, VERSIONS, kind_of, scorer

REPEATS = 20
ROUNDS = 5
PROGRAMS = 60
"""Problems of a file whose answers are run; all problems of the others."""


def golds(path: Path) -> list[tuple[Problem, str]]:
    """Problems of a file with responses that give the right answer."""
    problems = read_problems(path)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = (
        {row["task_id"]: row for row in map(json.loads, raw.splitlines())}
        if path.name in ("HumanEval.jsonl.gz", "mbpp.jsonl")
        else {}
    )

    def response(problem: Problem) -> str:
        kind, truth = kind_of(problem.data_source), problem.ground_truth
        if kind == "code":
            row = rows[problem.extra_info["task_id"]]
            return f"```python\n{row['code'] if 'code' in row else row['prompt'] + row['canonical_solution']}\n```"
        if kind == "crux":
            return f"```python\nassert f({truth['input']}) == {truth['output']}\n```"
        return {"grid": f"<answer>{truth}</answer>", "instructions": "Lorem ipsum. " * 200}.get(
            kind, f"\\boxed{{{truth}}}"
        )

    return [(problem, response(problem)) for problem in problems]


class Clock:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), self.spent()

    def spent(self) -> float:
        """Of this process, of what it has started and waited for, and of what still runs: the
        parent of warm programs does."""
        running = [
            sum(map(int, content(f"/proc/{pid}/stat").rpartition(b")")[2].split()[11:15]))
            for pid in descendants(os.getpid())
        ]
        return sum(os.times()[:4]) + sum(running) / os.sysconf("SC_CLK_TCK")

    def per(self, count: int) -> tuple[float, float]:
        """Wall and processor milliseconds for each of ``count``."""
        return (time.perf_counter() - self.wall) / count * 1e3, (
            self.spent() - self.processor
        ) / count * 1e3


def repeated(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor milliseconds of a call."""
    function()
    clock = Clock()
    for _ in range(REPEATS):
        function()
    return clock.per(REPEATS)


def judge_one() -> None:
    """A program judged by three asserts."""
    tests = "assert f(3) == 9\nassert f(4) == 16\nassert f(-1) == 1"
    assert by_secret("judge_asserts", 10.0, "def f(x):\n    return x * x", tests).value == 1.0


def sandboxes() -> None:
    """Print what a program costs in each kind of sandbox, in turns."""
    programs = {"empty": lambda: run_program("pass", 5), "judged": judge_one}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for kind in KINDS[:4]:
        os.environ[CHOICE] = kind
        print(f"{kind}: {self_test()}", flush=True)
    for _ in range(ROUNDS):
        for kind in KINDS[:4]:
            os.environ[CHOICE] = kind
            for name, program in programs.items():
                found.setdefault((kind, name), []).append(repeated(program))
            warm.forget()
    del os.environ[CHOICE]
    print(
        f"{'kind':<18} {'program':<8} {'processor ms':>12} {'least':>7} {'wall ms':>8} {'least':>7}"
    )
    for (kind, name), times in found.items():
        walls, processors = zip(*times, strict=True)
        print(
            f"{kind:<18} {name:<8} {statistics.median(processors):>12.1f} {min(processors):>7.1f} "
            f"{statistics.median(walls):>8.1f} {min(walls):>7.1f}"
        )


def show(name: str, version: str, count: int, right: int, clock: Clock) -> None:
    """Print one line."""
    wall, processor = clock.per(count)
    print(
        f"{name:<26} {version:<7} {count:>6} {right:>6} {wall:>8.2f} {processor:>13.2f}", flush=True
    )


def main(folder: Path | None) -> None:
    """Print one line per kind of sandbox, file and version."""
    logging.disable(logging.WARNING)
    sandboxes()
    if folder is None:
        return
    print(
        f"{'file':<26} {'version':<7} {'items':>6} {'right':>6} {'ms each':>8} {'processor ms':>13}"
    )
    for path in (folder / name for name in KNOWN_FILES if (folder / name).is_file()):
        items = golds(path)
        items = (
            items[:: len(items) // PROGRAMS | 1]
            if kind_of(items[0][0].data_source) in IN_SANDBOX
            else items
        )
        for version in VERSIONS:
            judge = scorer(kind_of(items[0][0].data_source), version)
            judge(*items[0])  # imports
            clock = Clock()
            right = sum(judge(problem, text).value == 1.0 for problem, text in items)
            show(path.name, version, len(items), right, clock)
    items = golds(folder / "math500.jsonl")
    for version in VERSIONS:  # another problem's answer: equality is not seen from the text alone
        clock = Clock()
        judge = scorer("mathematics", version)
        right = sum(
            judge(problem, text).value == 1.0
            for (problem, _), (_, text) in itertools.pairwise(items)
        )
        show("math500, the next answer", version, len(items) - 1, right, clock)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
