"""Every arm against one arm, prompt by prompt, in both orders.

In: the replies of all models. Out: per model the share of a prompt's two answers that prefer it,
ties as halves; position bias; what was spent; and why it ended early, if it did. Called after all
replies are there.

The first sample of each model is compared: a draw from what a user gets. Equal texts are a tie,
and nobody is asked.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract.config import ConfigError
from engines.contract.program import Interrupted, Stop
from engines.polychromic_evaluation.config import JudgeSettings
from engines.polychromic_evaluation.judge.client import INSTRUCTIONS, Client, NoAnswer, Stopped
from engines.polychromic_evaluation.judge.ledger import BudgetUsedUp, Call, Ledger
from engines.polychromic_evaluation.models import Model
from engines.polychromic_evaluation.samples import Answered

TRIES = 3
"""Of one call, where the endpoint may answer the next time."""
TOO_MANY_REQUESTS = 429
LONGEST_WAIT = 30.0
"""Seconds between two tries."""
DECISION = re.compile(r"\b(A|B|[Tt]ie|TIE)\b")

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Judged:
    """What the judge has said of one model."""

    win_rate: Array
    """Per prompt, NaN where not both orders have an answer."""
    for_first: int = 0
    """Answers for the reply that was read first."""
    for_second: int = 0
    ties: int = 0
    unread: int = 0
    """Answers that say neither A, B nor tie."""


@dataclass
class Verdicts:
    """What came of all comparisons."""

    models: dict[str, Judged] = field(default_factory=dict)
    """By the name of the model."""
    most: float = 0.0
    """The most that all calls may cost, worked out before the first."""
    spent: float = 0.0
    ended: str | None = None
    """Why not everything was asked, in words."""


def baselines(models: Sequence[Model], settings: JudgeSettings) -> dict[str, Model]:
    """Name of a trained model -> the one that it is compared with. ConfigError if one has none, or
    several."""
    trained = [model for model in models if model.job is not None]
    against = [model for model in trained if settings.against.items() <= dict(model.axes).items()]
    found = {}
    for model in trained:
        if model in against:
            continue
        fitting = [one for one in against if one.axes.get("seed") == model.axes.get("seed")]
        if len(fitting) != 1:
            raise ConfigError(
                f"judge: against: {settings.against} names {len(fitting)} trainings of the seed of "
                f"{model.job}, exactly one is needed; the axes there are {dict(model.axes)}"
            )
        found[model.name] = fitting[0]
    return found


def make_call(
    settings: JudgeSettings, model: Model, one: Answered, other: Answered, order: bool
) -> Call:
    """The question whether ``one``, the model's, is better than ``other``, the baseline's, which is
    read first where ``order`` says so."""
    first, second = one.samples[0].text, other.samples[0].text
    if order:
        first, second = second, first
    text = f"Text:\n{one.prompt}\n\nReply A:\n{first}\n\nReply B:\n{second}\n\nA, B, or tie?"
    asked = json.dumps([settings.url, settings.model, INSTRUCTIONS, text])
    digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
    return Call(model.name, one.id, order, text, digest)


def decided(text: str) -> str | None:
    """``first``, ``second`` or ``tie``; None for an answer that names none of them, or several."""
    named = {word.lower() for word in DECISION.findall(text)}
    if len(named) != 1:
        return None
    return {"a": "first", "b": "second", "tie": "tie"}[named.pop()]


class Judge:
    """Asks what is not yet answered, several calls at a time."""

    def __init__(self, settings: JudgeSettings, out: Path) -> None:
        self.settings = settings
        self.client = Client(settings)
        self.ledger = Ledger(out / "judge.jsonl", settings.budget)
        self.over = threading.Event()
        self.reason: str | None = None

    def compare(
        self, models: Sequence[Model], replies: Mapping[str, Sequence[Answered]], stop: Stop
    ) -> Verdicts:
        """All comparisons, as far as the budget and the endpoint go. Interrupted if a stop was
        requested: what was answered is kept."""
        against = baselines(models, self.settings)
        calls: dict[str, list[tuple[int, Call | None]]] = {}
        for model in models:
            if model.name in against:
                pairs = zip(replies[model.name], replies[against[model.name].name], strict=True)
                calls[model.name] = self.calls_of(model, list(pairs))
        # Two arms may ask the very same question, which is then asked once.
        asked = {one.digest: one for some in calls.values() for _, one in some if one is not None}
        missing = [one for key, one in asked.items() if key not in self.ledger.answers]
        most = sum(self.client.most(one.text) for one in asked.values())
        refused = self.refused(missing, most)
        if refused is None:
            self.ask_all(missing, stop)
        verdicts = Verdicts(most=most, spent=self.ledger.spent, ended=refused or self.reason)
        for name, some in calls.items():
            verdicts.models[name] = self.judged(some, len(replies[name]))
        return verdicts

    def calls_of(
        self, model: Model, pairs: Sequence[tuple[Answered, Answered]]
    ) -> list[tuple[int, Call | None]]:
        """Place of a prompt with its question, both orders; None where the texts are equal."""
        found: list[tuple[int, Call | None]] = []
        for place, (one, other) in enumerate(pairs[: self.settings.comparisons]):
            for order in (False, True):
                same = one.samples[0].text == other.samples[0].text
                call = None if same else make_call(self.settings, model, one, other, order)
                found.append((place, call))
        return found

    def refused(self, missing: Sequence[Call], most: float) -> str | None:
        """In words, that nothing is asked because all of it may cost more than the budget."""
        budget = self.settings.budget
        # A restart has been let through before: it asks as long as the rest of the budget lasts.
        if self.ledger.intents or not missing or most <= budget:
            return None
        fitting = math.floor(self.settings.comparisons * budget / most)
        return (
            f"nobody was asked: all {len(missing)} calls may cost up to {most:.4g}, the budget is "
            f"{budget:g}; raise it, or set comparisons to about {fitting}"
        )

    def ask_all(self, missing: Sequence[Call], stop: Stop) -> None:
        """Ask everything, until something says that it is over."""
        with ThreadPoolExecutor(self.settings.at_once) as pool:
            for done in [pool.submit(self.ask, call, stop) for call in missing]:
                done.result()
        if stop.requested:
            raise Interrupted("what the judge has answered is kept; start it again")

    def ask(self, call: Call, stop: Stop) -> None:
        """Ask one question, again where that may help."""
        for attempt in range(TRIES):
            if self.over.is_set() or stop.requested:
                return
            try:
                self.ask_once(call)
                return
            except (BudgetUsedUp, Stopped) as error:
                self.end(str(error))
            except NoAnswer as error:
                if attempt == TRIES - 1:
                    self.end(str(error))
                # Ends at once if another thread learns that it is over.
                self.over.wait(min(LONGEST_WAIT, error.retry_after or 2.0**attempt))

    def ask_once(self, call: Call) -> None:
        """Intent, call, end; a call whose end is not known stays an intent."""
        most = self.client.most(call.text)
        number = self.ledger.intend(call, most)
        try:
            reply = self.client.ask(call.text)
        except Stopped:
            self.ledger.refused(number)
            raise
        except NoAnswer as error:
            # Anything else may have been answered, and paid, all the same.
            if error.status == TOO_MANY_REQUESTS:
                self.ledger.refused(number)
            raise
        self.ledger.answered(number, call, self.client.cost(reply, most), decided(reply.text))

    def end(self, reason: str) -> None:
        """Ask nothing more."""
        if not self.over.is_set():
            self.reason = reason
            self.over.set()

    def judged(self, calls: Sequence[tuple[int, Call | None]], prompts: int) -> Judged:
        """What the answers say of one model."""
        points: dict[int, list[float]] = {}
        found = Judged(np.full(prompts, np.nan))
        for place, call in calls:
            if call is None:
                points.setdefault(place, []).append(0.5)
                continue
            if call.digest not in self.ledger.answers:
                continue
            decision = self.ledger.answers[call.digest]
            count_decision(found, decision)
            if decision is not None:
                points.setdefault(place, []).append(points_of(decision, call.baseline_first))
        for place, both in points.items():
            if len(both) == 2:
                found.win_rate[place] = sum(both) / 2
        return found


def points_of(decision: str, baseline_first: bool) -> float:
    """1 for the model, 0 for the baseline, 0.5 for a tie."""
    if decision == "tie":
        return 0.5
    return float((decision == "second") == baseline_first)


def count_decision(found: Judged, decision: str | None) -> None:
    """Count one answer by the place of what it prefers."""
    found.for_first += decision == "first"
    found.for_second += decision == "second"
    found.ties += decision == "tie"
    found.unread += decision is None
