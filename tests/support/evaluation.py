"""Items to sample, a store of samples for them, and what lies on disk of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.contract.files import read_lines
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.evaluation.config import Config
from engines.evaluation.coordinator import Coordinator
from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.sample_store import Sample
from engines.evaluation.work_queue import Chunk
from engines.shared.data.problems import make_problem, user
from engines.shared.suites.items import Item
from engines.shared.suites.suite import PLAIN, changed


def item(
    name: str, ids: tuple[int, ...] = (3, 4, 5), task: str = "math", rows: int = 1, **sampled: Any
) -> Item:
    """A problem of a task, whose prompt has these tokens; ``sampled``: settings of the task that
    are not the plain ones."""
    problem = make_problem("math__miniature", user(name), name)
    return Item(task, problem, ids, "math", changed(PLAIN, sampled), rows)


def config_of(**values: Any) -> Config:
    """A config of the engine."""
    return Config.model_validate({"models": "m", "data": "d", **values})


def coordinator_of(
    out: Path,
    items: list[Item],
    models: Sequence[str | Model] = ("m",),
    stop: Stop | None = None,
    **values: Any,
) -> Coordinator:
    """A coordinator of the samples in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    whole_models = [
        model if isinstance(model, Model) else Model(model, out, None) for model in models
    ]
    inputs = Inputs(config_of(**values), out, whole_models, items)
    return Coordinator(inputs, stop or Stop(), Progress(out, keep_until=10**9))


def samples_of(chunk: Chunk, tokens: int = 5) -> list[Sample]:
    """Samples as an engine would give them back."""
    return [
        Sample(chunk.model, index, number, "x", tokens, "stop")
        for index, number, _ in chunk.requests
    ]


def texts(out: Path) -> dict[tuple[str, str, str, int], str]:
    """Every sample on disk with its text."""
    return {
        (path.parent.name, path.stem, line["item_id"], line["sample"]): line["text"]
        for path in (out / "generations").glob("*/*.jsonl")
        for line in read_lines(path)
    }


def keys(out: Path) -> Counter[tuple[str, str, str, int]]:
    """How often each sample is on disk."""
    return Counter(
        (path.parent.name, path.stem, line["item_id"], line["sample"])
        for path in sorted((out / "generations").glob("*/*.jsonl"))
        for line in read_lines(path)
    )
