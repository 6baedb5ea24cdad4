"""Seconds to make a set of questions about cities and its tokens, against a plain loop in Python.

    python -m tests.benchmarks.bench_geography_data [--rows N] [--loop-rows N]

The loop is what a first version would be: one question at a time, Python's own random numbers and
``math``, a set of tuples that have been drawn, one of TRUE after one of FALSE where answers are
balanced, and a list of tokens made of the text. It asks the same kinds of questions of the same
world and holds nothing out. Seconds are CPU seconds of one thread; rows per second of both, in the
same run, taken in turns.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np

from engines.shared.geography.cities.table import MOST
from engines.shared.geography.cities.world import World, make_world
from engines.shared.geography.questions.drawing import Wanted, draw
from engines.shared.geography.questions.hold_out import HoldOut, hold_out
from engines.shared.geography.questions.texts import tokens
from engines.shared.geography.tasks import TASKS, TaskName, write_answer, write_question
from engines.shared.geography.vocabulary import BEGIN, END, encode

ROWS = 1_000_000
LOOP_ROWS = 10_000
REPEATS = 3

Point = tuple[int, int]


def turn(a: Point, b: Point, c: Point) -> int:
    """Twice the area of a triangle, positive to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def degrees_between(a: Point, b: Point, c: Point) -> int:
    """The angle at b."""
    first = math.atan2(a[1] - b[1], a[0] - b[0])
    second = math.atan2(c[1] - b[1], c[0] - b[0])
    between = abs(math.degrees(first - second)) % 360
    return round(min(between, 360 - between))


def sector(a: Point, b: Point) -> int:
    """The direction from a to b."""
    return int((math.degrees(math.atan2(b[1] - a[1], b[0] - a[0])) + 22.5) % 360 // 45)


def in_hull(target: Point, *hull: Point) -> int:
    """Whether a triangle of the hull holds the target."""
    for a, b, c in combinations(hull, 3):
        turns = [turn(a, b, target), turn(b, c, target), turn(c, a, target)]
        if min(turns) >= 0 or max(turns) <= 0:
            return 1
    return 0


def around(*points: Point) -> int:
    """The length of a closed polygon."""
    if len(points) == 2:
        return round(math.dist(*points))
    pairs = zip(points, points[1:] + points[:1], strict=True)
    return round(sum(math.dist(a, b) for a, b in pairs))


def cross(a: Point, b: Point, c: Point, d: Point) -> int:
    """Whether two segments cross."""
    sides = turn(a, b, c) * turn(a, b, d) <= 0
    return int(sides and turn(c, d, a) * turn(c, d, b) <= 0)


PLAIN: dict[str, Callable[..., int]] = {
    "distance": lambda a, b: round(math.dist(a, b)),
    "trianglearea": lambda a, b, c: round(abs(turn(a, b, c)) / 2),
    "angle": degrees_between,
    "compass": sector,
    "inside": in_hull,
    "perimeter": around,
    "crossing": cross,
}


def loop(world: World, task: TaskName, rows: int) -> list[list[int]]:
    """Tokens of ``rows`` questions, one at a time."""
    kind, own = TASKS[task], random.Random(0)
    places = list(zip(world.x.tolist(), world.y.tolist(), strict=True))
    ids = world.ids.tolist()
    seen: set[tuple[int, ...]] = set()
    made: list[list[int]] = []
    while len(made) < rows:
        cities = own.sample(range(world.real), own.randint(kind.fewest, kind.most))
        value = PLAIN[task](*(places[city] for city in cities))
        balanced = task in ("inside", "crossing")
        if tuple(cities) in seen or (balanced and value != len(made) % 2):
            continue
        seen.add(tuple(cities))
        text = write_question(task, [ids[city] for city in cities]) + write_answer(task, value)
        made.append([BEGIN, *encode(text), END])
    return made


def arrays(world: World, held_out: HoldOut, task: TaskName, rows: int) -> tuple[float, float]:
    """CPU seconds to draw a training set, and to make its tokens."""
    started = time.process_time()
    questions = draw(world, held_out, Wanted(task, "no_atlantis", "train", rows))
    drawn = time.process_time()
    tokens(world, [questions])
    return drawn - started, time.process_time() - drawn


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Making questions about cities, one thread.")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"of each task; {ROWS} if not given")
    parser.add_argument("--loop-rows", type=int, default=LOOP_ROWS, help="of each task in the loop")
    chosen = parser.parse_args()
    started = time.process_time()
    world = make_world(MOST, 100, 42)
    held_out = hold_out(MOST, 100, 42, (0.02, 0.1))
    print(
        f"numpy {np.__version__}, {len(os.sched_getaffinity(0))} cores, load "
        f"{os.getloadavg()[0]:.1f}, median of {REPEATS}; world and pairs held out: "
        f"{time.process_time() - started:.2f} s"
    )
    print(f"| task | CPU s to draw {chosen.rows:,} | tokens | rows / s | loop, rows / s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    total, total_of_loop = 0.0, 0.0
    for kind in TASKS.values():
        draws, writes, loops = [], [], []
        for _ in range(REPEATS):
            seconds = arrays(world, held_out, kind.name, chosen.rows)
            draws.append(seconds[0])
            writes.append(seconds[1])
            before = time.process_time()
            loop(world, kind.name, chosen.loop_rows)
            loops.append((time.process_time() - before) * chosen.rows / chosen.loop_rows)
        draw_s, write_s, loop_s = map(statistics.median, (draws, writes, loops))
        ours = draw_s + write_s
        total, total_of_loop = total + ours, total_of_loop + loop_s
        print(
            f"| {kind.name} | {draw_s:.2f} | {write_s:.2f} | {chosen.rows / ours:,.0f} | "
            f"{chosen.rows / loop_s:,.0f} | {loop_s / ours:.0f} |",
            flush=True,
        )
    print(
        f"all seven: {total:.1f} s against {total_of_loop:.0f} s in the loop (scaled from "
        f"{chosen.loop_rows:,} rows each): {total_of_loop / total:.0f} times"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
