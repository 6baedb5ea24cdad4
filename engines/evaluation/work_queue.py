"""Which samples are missing, and in which order they are made.

In: models, problems, and the samples on disk. Out: chunks of requests for an engine, one model at a
time, the longest responses first, so that no engine is left alone with a long response at the end.
``Coordinator`` asks it on behalf of the workers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.sample_store import Sample, SampleStore
from engines.shared.inference import Request
from engines.shared.suites.items import Item
from engines.shared.suites.made import request_for


class SampleToMake(NamedTuple):
    """A sample that is to be made."""

    item: int
    """Index of the problem."""
    number: int
    """Number of the sample among those of the problem."""


@dataclass(frozen=True)
class Chunk:
    """Samples of one model that a worker is to make next; without requests, there are none for it
    now."""

    model: int = 0
    """Index of the model."""
    requests: tuple[tuple[int, int, Request], ...] = ()
    """(index of the problem, number of the sample, what to send)."""
    first_of_model: bool = False
    """No worker has loaded this model before: its files are to be checked."""


@dataclass
class Total:
    """Tokens and number of responses seen so far."""

    tokens: int = 0
    responses: int = 0


class ResponseLengths:
    """How long a response is expected to be, in tokens: the mean of those seen for the problem,
    else for its task, else what the suite says."""

    def __init__(self) -> None:
        self.by_item: defaultdict[tuple[str, str], Total] = defaultdict(Total)
        self.by_task: defaultdict[str, Total] = defaultdict(Total)

    def add(self, task: str, item_id: str, tokens: int) -> None:
        """Count one response that was seen."""
        for total in (self.by_item[task, item_id], self.by_task[task]):
            total.tokens += tokens
            total.responses += 1

    def of_item(self, item: Item) -> float:
        """The expected length of a response to one problem."""
        seen = self.by_item.get((item.task, item.problem.item_id))
        return seen.tokens / seen.responses if seen else self.of_task(item)

    def of_task(self, item: Item) -> float:
        """The expected length of a response to any problem of the item's task."""
        # Without any response so far the token limit counts, so that such a task is sent early.
        seen = self.by_task.get(item.task)
        if seen:
            return seen.tokens / seen.responses
        return float(item.settings.expected_tokens or item.settings.max_response_tokens)


class WorkQueue:
    """The missing samples of every model.

    Samples are numbered per problem. A sample's seed depends on the config's seed, its problem and
    its number alone, so neither the number of workers nor an interruption decides what is drawn.
    """

    def __init__(self, inputs: Inputs, store: SampleStore) -> None:
        self.items, self.seed = inputs.items, inputs.config.seed
        self.workers = 1
        self.lengths = ResponseLengths()
        self.unassigned = [self._samples_to_make(model, store) for model in inputs.models]
        """Of each model the samples that no worker has yet."""
        self.started_models: set[int] = set()
        self.total = inputs.samples
        self.unfinished = Counter(
            self.items[sample.item].task for samples in self.unassigned for sample in samples
        )
        """How many samples of each task are not on disk, those included that a worker has now."""

    def _samples_to_make(self, model: Model, store: SampleStore) -> list[SampleToMake]:
        on_disk = set()
        for line in store.lines(model):
            # The lengths of earlier samples, of this model and
            # those before it, help to order the missing ones.
            on_disk.add((line["task"], line["item_id"], line["sample"]))
            self.lengths.add(line["task"], line["item_id"], line["tokens"])
        missing = []
        for index, item in enumerate(self.items):
            for number in range(item.samples):
                if (item.task, item.problem.item_id, number) not in on_disk:
                    missing.append(SampleToMake(index, number))
        return missing

    @property
    def done(self) -> int:
        """Samples on disk."""
        return self.total - sum(self.unfinished.values())

    def take(self, limit: int, model: int | None = None) -> Chunk:
        """Up to ``limit`` samples that no worker has, those with the longest responses first.

        They are of ``model`` if it is given, else of the first model that has some. Of several
        workers each takes less and less as the end comes near, so that they end together.
        """
        if model is None:
            model = self._first_model_with_work()
        if model is None or not self.unassigned[model]:
            return Chunk()
        unassigned = self.unassigned[model]
        first_of_model = model not in self.started_models
        if first_of_model:
            self.started_models.add(model)
            # Sorted only now: the lengths seen with the models before decide the order. Samples
            # are taken from the end.
            unassigned.sort(key=lambda sample: self.lengths.of_item(self.items[sample.item]))
        if self.workers > 1:
            # Half of an even share of what is left, rounded
            # up: big portions first, single samples at last.
            half_of_my_share = -(-len(unassigned) // (2 * self.workers))
            limit = min(limit, half_of_my_share)
        taken = [unassigned.pop() for _ in range(min(limit, len(unassigned)))]
        requests = tuple((item, number, self.request(item, number)) for item, number in taken)
        return Chunk(model, requests, first_of_model)

    def _first_model_with_work(self) -> int | None:
        for model, samples in enumerate(self.unassigned):
            if samples:
                return model
        return None

    def request(self, index: int, number: int) -> Request:
        """What to send to the engine for one sample."""
        # One request per sample instead of one with n
        # samples: any worker may make it, with its seed.
        return request_for(self.items[index], number, self.seed)

    def finish(self, sample: Sample) -> None:
        """Count a sample that is on disk now."""
        item = self.items[sample.item]
        self.lengths.add(item.task, item.problem.item_id, sample.tokens)
        self.unfinished[item.task] -= 1

    def expected_tokens(self) -> float:
        """Tokens that the samples not on disk will have, by what was seen of their tasks."""
        total = 0.0
        for task, count in self.unfinished.items():
            # Any of them will do: `of_task` asks for the task and its settings alone.
            any_item = next(item for item in self.items if item.task == task)
            total += count * self.lengths.of_task(any_item)
        return total
