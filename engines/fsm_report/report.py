"""Puts together what the report says: the groups of seeds, and an answer to every question.

In: the config. Out: one ``Report``, from which every table, text, figure and row is made. Called by
``__main__``.
"""

from __future__ import annotations

from dataclasses import dataclass

from engines.fsm_report.answers import NOT_DECIDED, Answer, answer
from engines.fsm_report.config import Config
from engines.fsm_report.load import Inputs, read_jobs


@dataclass(frozen=True)
class Report:
    """Everything the report says."""

    config: Config
    inputs: Inputs
    answers: list[Answer]

    @property
    def decided(self) -> int:
        """How many questions found an answer."""
        return sum(answer.verdict != NOT_DECIDED for answer in self.answers)


def make_report(config: Config) -> Report:
    """Read every input and answer every question."""
    inputs = read_jobs(config)
    answers = [answer(question, inputs, config) for question in config.questions]
    return Report(config, inputs, answers)
