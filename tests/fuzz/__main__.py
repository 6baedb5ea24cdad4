"""Mutate what people write for some time, and say what ended badly: `make fuzz`.

    python -m tests.fuzz --minutes 60 --seed 0

In: how long or how many, and a seed; the same seed makes the same inputs. Out: each input that ended
badly, as a file in ``--keep`` (its name is the kind), a line for it, and the counts. Exit code 1 if
there is one. Inputs run in processes of their own, so that the death of a parser is seen.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.support.fuzz.written import KINDS, complaint, mutated, reshaped, sound

BATCH = 200
MOST_MEMORY = 4 << 30


def inputs(seed: int, batch: int) -> list[tuple[str, bytes]]:
    """The inputs of one batch."""
    draws = random.Random(f"{seed}/{batch}")
    # Experiments have most keys.
    kinds = [*KINDS, "experiment", "experiment", "included"]
    found = []
    for _ in range(BATCH):
        kind = draws.choice(kinds)
        which = draws.randrange(100)
        changes = []
        for _ in range(draws.choice((1, 1, 1, 2, 3, 5))):
            changes.append(
                (draws.randrange(1 << 20), draws.randrange(1 << 20), draws.randrange(1 << 20))
            )
        # The half of them is YAML still, and the check of what it says is tried.
        if draws.random() < 0.5:
            found.append((kind, reshaped(kind, which, changes)))
        else:
            found.append((kind, mutated(sound(kind, which), changes)))
    return found


def tried(batch: list[tuple[str, bytes]]) -> list[tuple[int, str]]:
    """What ends badly among some inputs, each with its place in the batch."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        with os.fdopen(writer, "w") as out:
            for place, (kind, content) in enumerate(batch):
                print(place, "begins", file=out, flush=True)
                said = complaint(kind, content)
                if said is not None:
                    print(place, ascii(said), file=out, flush=True)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        told = [line.rstrip("\n").split(" ", 1) for line in lines]
    _, status = os.waitpid(child, 0)
    bad = [(int(place), text) for place, text in told if text != "begins"]
    if status == 0:
        return bad
    dead = int(told[-1][0])
    rest = tried(batch[dead + 1 :])
    return [*bad, (dead, f"process ended by {status}"), *((dead + 1 + n, t) for n, t in rest)]


def main() -> int:
    """Exit code: 1 if an input ended badly."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=None, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", type=Path, default=Path("fuzz-found"), help="for what ended badly"
    )
    options = parser.parse_args()
    keep = options.keep.resolve()
    end = time.monotonic() + 60 * options.minutes
    bad = number = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["XDG_CONFIG_HOME"] = folder
        # Here, so that the processes find all modules loaded.
        for kind in KINDS:
            KINDS[kind](sound(kind, 0))
        KINDS["experiment"](sound("experiment", 3))
        while time.monotonic() < end and (options.inputs is None or number < options.inputs):
            batch = inputs(options.seed, number // BATCH)
            for place, text in tried(batch):
                bad += 1
                kind, content = batch[place]
                keep.mkdir(exist_ok=True)
                (keep / f"{kind}-{options.seed}-{number + place}").write_bytes(content)
                print(f"{kind} {number + place}: {text}", flush=True)
            number += len(batch)
            if number % (BATCH * 25) == 0:
                print(f"{bad} of {number} so far", flush=True)
    print(f"{bad} of {number} inputs ended badly (seed {options.seed})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
