"""Samples on disk: ``generations/<model>/<task>.jsonl``, one line per sample, only ever appended.

In: samples as they are made, in any order. Out: the lines of a model, for the queue that looks for
missing samples and for scoring. An interruption costs at most a torn last line, which is cut off
when the file is read again. ``Coordinator`` is the only writer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from engines.contract.files import read_lines
from engines.evaluation.inputs import Model
from engines.shared.suites.items import Item
from engines.shared.suites.made import sample_line


@dataclass(frozen=True)
class Sample:
    """One sample that was made."""

    model: int
    """Index of the model."""
    item: int
    """Index of the problem."""
    number: int
    """Samples of one problem are numbered from 0."""
    text: str
    tokens: int
    finish_reason: str


class SampleStore:
    """The samples of some models below an output folder. One process writes at a time."""

    def __init__(self, out: Path, models: Sequence[Model], items: Sequence[Item]) -> None:
        self.out, self.models, self.items = out, models, items
        self.open_files: dict[Path, TextIO] = {}

    def path(self, model: Model, task: str) -> Path:
        """The file with the samples of one model and task."""
        return self.out / "generations" / model.name / f"{task}.jsonl"

    def lines(self, model: Model) -> Iterator[dict[str, Any]]:
        """All samples of a model that are on disk, each with its task."""
        # Each task once, in the order of the problems.
        tasks = dict.fromkeys(item.task for item in self.items)
        for task in tasks:
            for line in read_lines(self.path(model, task)):
                yield {**line, "task": task}

    def add(self, sample: Sample) -> None:
        """Append one sample, and hand it to the operating system."""
        item = self.items[sample.item]
        file = self._file(self.path(self.models[sample.model], item.task))
        line = sample_line(item, sample.number, sample.text, sample.tokens, sample.finish_reason)
        # JSON writes a line end in the text as \n, so a sample never takes more than one line.
        file.write(json.dumps(line) + "\n")
        # In the hands of the operating system a line survives a kill of this process, though not a
        # crash of the node: `sync` is for that.
        file.flush()

    def _file(self, path: Path) -> TextIO:
        if path not in self.open_files:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.open_files[path] = path.open("a")
        return self.open_files[path]

    def sync(self) -> None:
        """Force what was written to the disk: a crash of the machine costs no more than what came
        since."""
        for file in self.open_files.values():
            os.fsync(file.fileno())

    def close(self) -> None:
        """Force what was written to the disk, and close the files."""
        self.sync()
        for file in self.open_files.values():
            file.close()
        self.open_files.clear()
