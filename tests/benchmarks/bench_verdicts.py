"""How far our scorers agree with official verdicts on public generations, and where they do not.

``make bench-verdicts FOLDER=folder`` or ``python -m tests.benchmarks.bench_verdicts FOLDER
[--scorer my_module:score] [--workers 2]``. In: the ``*.jsonl`` files of a folder, its subfolders
included; each line is one response:

    {"data_source": "math__math_500", "prompt": "What is 1+1?", "ground_truth": "2",
     "response": "It is \\\\boxed{2}.", "verdict": 1.0, "extra_info": {}}

``verdict`` is the official one, 0 to 1 (true and false are taken); ``ground_truth`` is what a row of
that source has as ``reward_model.ground_truth``; ``prompt`` and ``extra_info`` may be left out;
other keys are not read. With ``--scorer`` a function of your own judges as well (see the how-to);
it may lie in the folder or in the working folder, and data sources that we have no scorer for are
then left to it.

Out: per data source and scorer the agreement and the wall time per verdict; then each disagreement
with its file, line, gold and the answer as we read it, by kind: false positive (we say more than
the official verdict), false negative (less), no_answer (less, as no answer was found), timeout and
error (we could not judge, whatever the official verdict says). Exit code 0; 2 and one line if a
line is damaged.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.shared.data.problems import Problem, make_problem, user
from engines.shared.scoring.own import OwnScorer, check_loading, find
from engines.shared.scoring.pool import ScoringPool
from engines.shared.scoring.registry import VERSIONS, Version, kind_of
from engines.shared.scoring.verdict import Verdict

SECONDS = 10.0
"""Time limit of a verdict that runs no program, as in an evaluation."""
SAME = 0.005
"""Values nearer than this agree: published partial scores are rounded."""
KINDS = ("false positive", "false negative", "no_answer", "timeout", "error")


@dataclass(frozen=True)
class Generation:
    """One line of a file."""

    place: str
    problem: Problem
    response: str
    verdict: float


@dataclass(frozen=True)
class Outcome:
    """What one scorer said of the generations of one data source."""

    source: str
    scorer: str
    generations: list[Generation]
    verdicts: list[Verdict]
    seconds: float

    def disagreements(self) -> Iterator[tuple[str, Generation, Verdict]]:
        """Kind, generation and our verdict, where it is not the official one."""
        for generation, verdict in zip(self.generations, self.verdicts, strict=True):
            kind = disagreement(generation.verdict, verdict)
            if kind:
                yield kind, generation, verdict


def disagreement(official: float, ours: Verdict) -> str:
    """The kind of a disagreement; "" if there is none."""
    if ours.value is None:
        return "timeout" if ours.status == "timeout" else "error"
    if abs(ours.value - official) < SAME:
        return ""
    if ours.value > official:
        return "false positive"
    return "no_answer" if ours.status == "no_answer" else "false negative"


def read_folder(folder: Path) -> dict[str, list[Generation]]:
    """The generations of all files, by data source. ConfigError names file and line of one that is
    damaged."""
    files = sorted(folder.rglob("*.jsonl"))
    if not files:
        raise ConfigError(f"{folder}: no *.jsonl file there; see the head of this module")
    found: dict[str, list[Generation]] = {}
    for path in files:
        # Not splitlines, which also cuts at other separators than the line end.
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            if line.strip():
                place = f"{path.relative_to(folder)}:{number}"
                generation = generation_of(place, line)
                found.setdefault(generation.problem.data_source, []).append(generation)
    if not found:
        raise ConfigError(f"{folder}: its files have no lines")
    return found


def generation_of(place: str, line: bytes) -> Generation:
    """One line, checked."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{place}: no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ConfigError(f"{place}: no JSON object, but {short(row)}")
    missing = {"data_source", "ground_truth", "response", "verdict"} - row.keys()
    if missing:
        raise ConfigError(f"{place}: {', '.join(sorted(missing))} missing; it has {list(row)}")
    prompt, extra = row.get("prompt", ""), row.get("extra_info") or {}
    for key, value, kind in (
        ("data_source", row["data_source"], str),
        ("response", row["response"], str),
        ("prompt", prompt, str),
        ("extra_info", extra, dict),
        ("verdict", row["verdict"], bool | int | float),
    ):
        if not isinstance(value, kind):
            raise ConfigError(f"{place}: {key} is {short(value)}, which is of a wrong type")
    # Also of NaN this is false.
    if not 0 <= row["verdict"] <= 1:
        raise ConfigError(f"{place}: verdict is {row['verdict']}, not from 0 to 1")
    problem = make_problem(row["data_source"], user(prompt), row["ground_truth"], extra_info=extra)
    return Generation(place, problem, row["response"], float(row["verdict"]))


def scorers_of(generations: Sequence[Generation], own: OwnScorer | None) -> list[str]:
    """Names of the scorers of one data source. ConfigError if there is none."""
    names = [own.name] if own is not None else []
    try:
        kind_of(generations[0].problem.data_source)
    except ConfigError as error:
        if own is None:
            raise ConfigError(f"{generations[0].place}: {error}; or name one: --scorer") from error
        return names
    return [*VERSIONS, *names]


def judged(
    name: str, generations: list[Generation], own: OwnScorer | None, workers: int
) -> Outcome:
    """The verdicts of one scorer: ``strict``, ``guru`` or the user's own."""
    version: Version = "guru" if name == "guru" else "strict"
    scorers = {own.name: own} if own is not None and own.name == name else {}
    items = []
    for generation in generations:
        problem = replace(generation.problem, scorer=name) if scorers else generation.problem
        items.append((problem, generation.response))
    with ScoringPool(workers, SECONDS, version, scorers) as pool:
        # The start of the processes and their imports are no part of the time of a verdict.
        pool.score_many(items[:1] * workers)
        start = time.perf_counter()
        verdicts = pool.score_many(items)
        seconds = time.perf_counter() - start
    source = generations[0].problem.data_source
    return Outcome(source, name, generations, verdicts, seconds)


def table(outcomes: Sequence[Outcome], workers: int) -> Iterator[str]:
    """A line per data source and scorer."""
    width = max(len(outcome.source) for outcome in outcomes)
    scorer_width = max(6, *(len(outcome.scorer) for outcome in outcomes))
    yield (
        f"{'source':{width}}  {'scorer':{scorer_width}}  {'verdicts':>8}  {'agree':>8}  "
        f"{'ms each':>8}  {'  '.join(f'{kind:>14}' for kind in KINDS)}"
    )
    for outcome in outcomes:
        count = len(outcome.verdicts)
        kinds = Counter(kind for kind, _, _ in outcome.disagreements())
        agreement = 1 - kinds.total() / count
        yield (
            f"{outcome.source:{width}}  {outcome.scorer:{scorer_width}}  {count:8}  "
            f"{agreement:8.2%}  {1000 * outcome.seconds / count:8.2f}  "
            f"{'  '.join(f'{kinds[kind]:14}' for kind in KINDS)}"
        )
    yield f"ms each: wall time with {workers} processes, their start left out"


def details(outcome: Outcome) -> Iterator[str]:
    """Every disagreement, by kind."""
    found = list(outcome.disagreements())
    for kind in KINDS:
        of_kind = [(generation, verdict) for one, generation, verdict in found if one == kind]
        if of_kind:
            yield f"\n{outcome.source}, {outcome.scorer}: {kind} ({len(of_kind)})"
        for generation, verdict in of_kind:
            ours = "none" if verdict.value is None else f"{verdict.value:g}"
            why = f"; {short(verdict.detail)}" if verdict.detail else ""
            yield (
                f"  {generation.place}: official {generation.verdict:g}, ours {ours}; "
                f"gold {short(generation.problem.ground_truth)}, read {short(verdict.extracted)}{why}"
            )


def short(value: Any) -> str:
    """A value on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def main() -> int:
    """Read, judge, print."""
    parser = argparse.ArgumentParser(prog="bench_verdicts")
    parser.add_argument("folder", type=Path, help="generations and official verdicts, *.jsonl")
    parser.add_argument("--scorer", help="a function of your own, my_module:score")
    # As many as the cores: with more the time of a verdict would be a wait.
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--workers", type=int, default=cores, help="processes that judge")
    given = parser.parse_args()
    try:
        own = find(given.scorer, [given.folder, Path()]) if given.scorer else None
        if own is not None:
            check_loading([own])
        outcomes = []
        for _, generations in sorted(read_folder(given.folder).items()):
            for name in scorers_of(generations, own):
                outcomes.append(judged(name, generations, own, given.workers))
    except ConfigError as error:
        print(f"bench_verdicts: {error}", file=sys.stderr)
        return 2
    for line in table(outcomes, given.workers):
        print(line)
    for outcome in outcomes:
        for line in details(outcome):
            print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
