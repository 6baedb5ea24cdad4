"""Time of the scorers on real gold answers, and of the two sandboxes per program.

``python -m tests.benchmarks.bench_scoring FOLDER_OF_BENCHMARK_FILES``. Processor time of this
process and of what it starts stands beside wall time: on a shared machine only the first says
something.
"""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engines.shared.data.benchmarks import KNOWN_FILES
from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import Problem
from engines.shared.sandbox.execution import CHOICE, KINDS, run_program, self_test
from engines.shared.scoring.registry import IN_SANDBOX, VERSIONS, kind_of, scorer

REPEATS = 20
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
        return sum(os.times()[:4])

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


def show(name: str, version: str, count: int, right: int, clock: Clock) -> None:
    """Print one line."""
    wall, processor = clock.per(count)
    print(
        f"{name:<26} {version:<7} {count:>6} {right:>6} {wall:>8.2f} {processor:>13.2f}", flush=True
    )


def main(folder: Path) -> None:
    """Print one line per file and version."""
    logging.disable(logging.WARNING)
    for kind in KINDS[:2]:  # what judges below is the first that holds
        os.environ[CHOICE] = kind
        wall, processor = repeated(lambda: run_program("pass", 5))
        print(
            f"{self_test()}: an empty program {wall:.1f} ms, {processor:.1f} ms of processor time"
        )
    del os.environ[CHOICE]
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
    main(Path(sys.argv[1]))
