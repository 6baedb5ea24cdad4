"""What an evaluation takes, before it starts: sets, questions, disk of its answers. No torch here.

No hours and no memory: both hang on the model, which an earlier job may still have to train.
"""

from __future__ import annotations

from engines.geography_evaluation.config import MULTI_TASK, Config

KEPT = 21
"""Bytes of an answer: its row, what is expected and what was given (int32), whether it can be read
(bool), its score (float64)."""
BESIDES = 1500
"""Bytes of a file of no answers, at most: five arrays in a zip."""


def estimate(config: Config, gpus: int, minutes: int) -> str | None:  # noqa: ARG001  # the contract
    """How many sets are answered, and of how many questions where that is known."""
    tests, validations = (
        len(kinds) * len(config.names) for kinds in (asked(config), config.validation)
    )
    words = f"{tests} test sets and {validations} validation sets"
    if config.rows == "all":
        return f"every question of {words}"
    return f"{words}, at most {(tests + validations) * config.rows:,} questions"


def asked(config: Config) -> list[str]:
    """The kinds of test sets whose questions are answered: that of all tasks is read off them."""
    return [kind for kind in config.test if kind != MULTI_TASK]


def disk_gb(config: Config) -> float | None:
    """The answers, at most; None where the data say how many there are."""
    if config.rows == "all":
        return None
    files = (len(config.test) + len(config.validation)) * len(config.names)
    return files * (KEPT * config.rows + BESIDES) / 1e9
