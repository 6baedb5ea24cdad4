"""The sets of questions of an evaluation, and what of them is kept on disk.

In: a config and the data folder. Out: the sets in their order; a file per finished one,
``items/<task>.<cities>.<split>.npz`` with ``row``, ``expected``, ``answer`` (int32), ``valid``
(bool) and ``score`` (float64), written whole or not at all. Reports read these files, so that two
models can be compared row by row.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np

from engines.contract.config import ConfigError
from engines.geography_evaluation.config import Config
from engines.geography_evaluation.scoring import Answers, Array
from engines.shared.geography.description import Cities, Split
from engines.shared.geography.questions.store import Questions, read_set

ITEMS = "items"


@dataclass(frozen=True)
class Asked:
    """One set that is asked."""

    task: str
    cities: Cities
    split: Split

    @property
    def name(self) -> str:
        """``distance.no_atlantis.test``."""
        return f"{self.task}.{self.cities}.{self.split}"


def asked_sets(config: Config) -> list[Asked]:
    """The sets in the order in which they are asked, validation first; ``multi_task`` is none of
    them, as it is read off their answers."""
    found = []
    tested: list[Cities] = [cities for cities in config.test if cities != "multi_task"]
    splits: list[tuple[Split, list[Cities]]] = [
        ("validation", config.validation),
        ("test", tested),
    ]
    for split, kinds in splits:
        for cities in kinds:
            found += [Asked(task, cities, split) for task in config.names]
    return found


def evenly(count: int, wanted: int | Literal["all"]) -> Array:
    """Places of ``wanted`` of ``count`` rows, evenly spaced, ascending; of all where there are no
    more."""
    if wanted == "all" or wanted >= count:
        return np.arange(count, dtype=np.int32)
    return (np.arange(wanted) * count // wanted).astype(np.int32)


def read_asked(config: Config, asked: Asked) -> tuple[Questions, Array]:
    """The questions of a set and their places in it. ConfigError if the data folder lacks it or it
    holds none."""
    whole = read_set(Path(config.data), asked.task, asked.cities, asked.split)
    if not len(whole):
        raise ConfigError(
            f"{config.data}: {asked.name} holds no question; make the data with more rows, or take "
            f"'{asked.cities}' out of '{asked.split}'"
        )
    places = evenly(len(whole), config.rows)
    return whole[places], places


def multi_task(no_atlantis: list[Answers]) -> list[Answers]:
    """The set of all tasks together, one part per task: equal shares, evenly spaced over each
    task's answers, together no more than the smallest test has."""
    share = max(1, min(len(answers) for answers in no_atlantis) // len(no_atlantis))
    return [answers[evenly(len(answers), share)] for answers in no_atlantis]


def path_of(out: Path, name: str) -> Path:
    """Where a finished set lies."""
    return out / ITEMS / f"{name}.npz"


def write_answers(out: Path, name: str, answers: Answers) -> None:
    """Keep a finished set, by rename."""
    path = path_of(out, name)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        np.savez(
            file,
            row=answers.row.astype(np.int32),
            expected=answers.expected.astype(np.int32),
            answer=answers.answer.astype(np.int32),
            valid=answers.valid,
            score=answers.score,
        )
        file.flush()
        # Without it a crash of the machine may leave the new name with no content.
        os.fsync(file.fileno())
    temporary.replace(path)


def read_answers(out: Path, name: str, task: str) -> Answers | None:
    """A set that an earlier start has finished; None if there is none. ConfigError if the file
    cannot be read."""
    path = path_of(out, name)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Answers(task, kept["row"], kept["expected"], kept["answer"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); delete it and start again") from error
