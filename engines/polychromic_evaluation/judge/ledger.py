"""What the judge has cost and said: ``judge.jsonl``, only ever appended.

In: before a call what it may cost at most, after it what it did cost and the answer. Out: answers
that need not be asked again, and what is spent. The intent is on disk before the call is made, and
a call of which no end is known counts with all that it may have cost: so what is spent never
exceeds the budget, whenever the program is killed, if the endpoint charges no more than the most
that was worked out.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import read_lines


class BudgetUsedUp(Exception):
    """The next call might lead above the budget."""


@dataclass(frozen=True)
class Call:
    """One question to the judge."""

    model: str
    """Name of the model whose reply is compared with the baseline's."""
    prompt: str
    """Id of the prompt."""
    baseline_first: bool
    """Which of the two is read first."""
    text: str
    """What is sent."""
    digest: str
    """Of endpoint, judge and text: another question has another one."""


class Ledger:
    """The file. Several threads may write; one process."""

    def __init__(self, path: Path, budget: float) -> None:
        self.path, self.budget = path, budget
        self.lock = threading.Lock()
        self.open_costs: dict[int, float] = {}
        """Number of an intent without an end -> what it may have cost."""
        self.paid = 0.0
        """What calls with an end have cost."""
        self.answers: dict[str, str | None] = {}
        """Digest of a question -> first, second, tie, or None where the answer says none."""
        self.intents = 0
        try:
            for line in read_lines(path):
                self.take_in(line)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}: cannot be read ({error}), so what was spent is not known; move it away "
                "only if you may spend the budget again"
            ) from error

    def take_in(self, line: dict[str, Any]) -> None:
        """Count one line."""
        number = int(line["number"])
        if line["event"] == "intent":
            self.open_costs[number] = float(line["most"])
            self.intents = max(self.intents, number + 1)
            return
        self.open_costs.pop(number)
        self.paid += float(line["cost"])
        if line["event"] == "answer":
            self.answers[str(line["digest"])] = line["decision"]

    @property
    def spent(self) -> float:
        """What was paid, and what calls without a known end may have cost."""
        return self.paid + sum(self.open_costs.values())

    def intend(self, call: Call, most: float) -> int:
        """Note that a call is about to be made; BudgetUsedUp, and nothing noted, if it might lead
        above the budget. Returns the number of the intent."""
        with self.lock:
            if self.spent + most > self.budget:
                raise BudgetUsedUp(
                    f"{self.spent:.4g} of the budget of {self.budget:g} may be spent, and the next "
                    f"call may cost {most:.2g}"
                )
            number = self.intents
            self.write({"event": "intent", "number": number, "digest": call.digest, "most": most})
            return number

    def answered(self, number: int, call: Call, cost: float, decision: str | None) -> None:
        """Note the end of a call."""
        with self.lock:
            self.write(
                {
                    "event": "answer",
                    "number": number,
                    "digest": call.digest,
                    "cost": cost,
                    "decision": decision,
                    "model": call.model,
                    "prompt": call.prompt,
                    "baseline_first": call.baseline_first,
                }
            )

    def refused(self, number: int) -> None:
        """Note that the endpoint has refused a call, which costs nothing."""
        with self.lock:
            self.write({"event": "refused", "number": number, "cost": 0.0})

    def write(self, line: dict[str, Any]) -> None:
        """Append a line, and do not return before it is on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.take_in(line)
