"""Values of problems, the files that an evaluation leaves of them, and answers."""

from __future__ import annotations

import json
from pathlib import Path

Columns = dict[str, list[float | None]]
"""Task -> value of each problem; each task is a domain of its own."""


def share(right: int, n: int = 40) -> list[float | None]:
    """The first ``right`` of n problems are right."""
    return [float(i < right) for i in range(n)]


def write_scores(out: Path, checkpoint: str, values: Columns, tokens: int = 3) -> None:
    """The scores of one checkpoint, as an evaluation writes them into its folder ``out``."""
    lines = [
        {
            "item_id": f"{task}{i}",
            "sample": 0,
            "domain": task,
            "task": task,
            "value": value,
            "extracted": "",
            "tokens": tokens,
            "finish_reason": "stop",
            "status": "error" if value is None else "ok",
        }
        for task, column in values.items()
        for i, value in enumerate(column)
    ]
    (out / "scores").mkdir(parents=True, exist_ok=True)
    (out / "scores" / f"{checkpoint}.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines)
    )


def boxed(answer: str) -> str:
    """A response that ends with an answer."""
    return f"Hence \\boxed{{{answer}}}."
