"""Samples on disk (append-only, one line each), what is still missing of them, and in which order
it is made."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from engines.contract.checkpoints import Manifest
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.evaluation.config import Config
from engines.evaluation.tasks import Item
from engines.shared.inference import Request, sample_seed

SYNC_SECONDS = 5.0
"""Lines are flushed at once and forced to the disk at this interval: a crash of the machine costs
no more."""

PROGRESS_SECONDS = 2.0


@dataclass(frozen=True)
class Model:
    """One model to evaluate; ``manifest`` is None for a plain Hugging Face folder."""

    name: str
    folder: Path
    manifest: Manifest | None


@dataclass(frozen=True)
class Sample:
    """One sample that was made."""

    model: int
    item: int
    number: int
    text: str
    tokens: int
    finish_reason: str


@dataclass(frozen=True)
class Portion:
    """Samples of one model that a process is to make next; empty: there are none for it now."""

    model: int = 0
    requests: tuple[tuple[int, int, Request], ...] = ()
    """(item, number of the sample, what to send)."""
    first: bool = False
    """Nobody has loaded this model before: its files are to be checked."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of an append-only file; a torn last line is cut off, so that the next one starts
    clean."""
    if not path.exists():
        return []
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


class Lengths:
    """How long responses are expected to be, in tokens: seen for the problem, else for its task,
    else said by the suite."""

    def __init__(self) -> None:
        self.items: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self.tasks: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, task: str, item_id: str, tokens: int) -> None:
        """One response that was seen."""
        for total in (self.items[task, item_id], self.tasks[task]):
            total[0] += tokens
            total[1] += 1

    def of(self, item: Item) -> float:
        """The expected length of a response to one problem."""
        for seen in (self.items.get((item.task, item.problem.item_id)), self.tasks.get(item.task)):
            if seen:
                return seen[0] / seen[1]
        return float(item.settings.expected_tokens or item.settings.max_response_tokens)


class Desk:
    """Knows which samples are missing, hands them out, writes down those that come back. The only
    writer of the files.

    Samples are numbered per problem; a sample's seed hangs on the config's seed, its problem and
    its number alone, so neither the number of processes nor an interruption decides what is
    drawn.
    """

    def __init__(
        self,
        config: Config,
        out: Path,
        models: Sequence[Model],
        items: Sequence[Item],
        stop: Stop,
        progress: Progress,
    ) -> None:
        self.config, self.out, self.models, self.items, self.stop, self.progress = (
            config,
            out,
            models,
            items,
            stop,
            progress,
        )
        self.processes = 1
        self.lengths = Lengths()
        self.files: dict[Path, TextIO] = {}
        self.missing = [self._missing(model) for model in models]
        self.opened: set[int] = set()
        self.left = Counter(items[item].task for missing in self.missing for item, _ in missing)
        self.total = len(models) * sum(item.samples for item in items)
        self.began = self.synced = self.told = time.monotonic()
        self.tokens = 0
        """Tokens of responses since this process began."""

    def path(self, model: Model, task: str) -> Path:
        """The samples of one model and task."""
        return self.out / "generations" / model.name / f"{task}.jsonl"

    def lines(self, model: Model) -> Iterator[dict[str, Any]]:
        """All samples of a model that are on disk, with their task."""
        for task in dict.fromkeys(item.task for item in self.items):
            yield from ({**line, "task": task} for line in read_lines(self.path(model, task)))

    def _missing(self, model: Model) -> list[tuple[int, int]]:
        done = set()
        for line in self.lines(model):
            done.add((line["task"], line["item_id"], line["sample"]))
            self.lengths.add(line["task"], line["item_id"], line["tokens"])
        return [
            (index, number)
            for index, item in enumerate(self.items)
            for number in range(item.samples)
            if (item.task, item.problem.item_id, number) not in done
        ]

    @property
    def done(self) -> int:
        """Samples on disk."""
        return self.total - sum(self.left.values())

    def ready(self) -> None:
        """An engine has started: speed is counted from the first one on, and signals are heard
        again (vLLM sets its own handlers)."""
        if not self.tokens:
            self.began = time.monotonic()
        self.stop.listen()

    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self.stop.requested

    def take(self, count: int, model: int | None = None) -> Portion:
        """Up to ``count`` samples that nobody has, of one model (of this one, if named), those with
        the longest responses first.

        Several processes take less and less as the end comes near, so that they end together.
        """
        waiting = (
            [model]
            if model is not None
            else [index for index, missing in enumerate(self.missing) if missing]
        )
        if self.stop.requested or not waiting or not (left := self.missing[waiting[0]]):
            return Portion()
        chosen, first = waiting[0], waiting[0] not in self.opened
        if first:  # now, not at the start: lengths seen with the models before decide the order
            self.opened.add(chosen)
            left.sort(key=lambda key: self.lengths.of(self.items[key[0]]))
        count = min(count, -(-len(left) // (2 * self.processes)) if self.processes > 1 else count)
        taken = [left.pop() for _ in range(min(count, len(left)))]
        return Portion(
            chosen,
            tuple((item, number, self.request(self.items[item], number)) for item, number in taken),
            first,
        )

    def request(self, item: Item, number: int) -> Request:
        """What to send for one sample."""
        settings = item.settings
        return Request(
            item.token_ids,
            1,
            sample_seed(self.config.seed, item.problem.item_id, number),
            settings.temperature,
            settings.max_response_tokens,
            settings.top_p,
            logprobs=False,
        )

    def give(self, sample: Sample) -> None:
        """Write down one sample."""
        item = self.items[sample.item]
        path = self.path(self.models[sample.model], item.task)
        if path not in self.files:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.files[path] = path.open("a")
        line = {
            "item_id": item.problem.item_id,
            "sample": sample.number,
            "text": sample.text,
            "tokens": sample.tokens,
            "finish_reason": sample.finish_reason,
        }
        self.files[path].write(json.dumps(line) + "\n")
        self.files[path].flush()
        self.lengths.add(item.task, item.problem.item_id, sample.tokens)
        self.left[item.task] -= 1
        self.tokens += sample.tokens
        now = time.monotonic()
        if now - self.synced > SYNC_SECONDS:
            self.sync()
        if now - self.told > PROGRESS_SECONDS:
            self.tell()

    def sync(self) -> None:
        """Force what was written to the disk."""
        for file in self.files.values():
            os.fsync(file.fileno())
        self.synced = time.monotonic()

    def tell(self) -> None:
        """One line of progress: samples on disk, speed, and how long the rest takes at this
        speed."""
        self.told = time.monotonic()
        speed = self.tokens / max(self.told - self.began, 1e-9)
        metrics = {"samples": float(self.done), "tokens_per_second": speed}
        if speed > 0:
            metrics["seconds_left"] = (
                sum(count * self._task_length(task) for task, count in self.left.items()) / speed
            )
        self.progress.write(self.done, self.total, metrics, "evaluate")

    def _task_length(self, task: str) -> float:
        tokens, count = self.lengths.tasks.get(task, (0, 0))
        return (
            tokens / count
            if count
            else self.lengths.of(next(item for item in self.items if item.task == task))
        )

    def close(self) -> None:
        """Everything that was given is on disk, and told."""
        self.sync()
        for file in self.files.values():
            file.close()
        self.files.clear()
        self.tell()
