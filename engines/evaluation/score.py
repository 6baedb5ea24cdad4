"""Judge the samples of one model, task by task, in processes that can be killed.

Samples go in, one verdict for each comes out; ``engines/evaluation/__main__.py`` calls it.
"""

from __future__ import annotations

import json

from engines.contract.files import write_text
from engines.contract.program import Interrupted
from engines.evaluation.aggregate import Line
from engines.evaluation.sample_store import Desk, Model, read_lines

SCORED_AT_A_TIME = 64
"""Samples between two looks at whether to stop, for each scoring process."""


def score_model(desk: Desk, model: Model, done: int) -> list[Line]:
    """Scores of all samples of one model, and ``scores/<name>.jsonl`` by rename. Interrupted on a
    signal; what was scored is kept.

    ``done`` is the step before it in the progress.
    """
    from engines.shared.scoring.pool import ScoringPool

    final = desk.out / "scores" / f"{model.name}.jsonl"
    if final.exists():
        return read_lines(final)
    partial = final.with_name(f".{final.name}.partial")
    final.parent.mkdir(exist_ok=True)
    scored = {key_of(line): line for line in read_lines(partial)}
    items = {(item.task, item.problem.item_id): item for item in desk.items}
    lines = sorted((line for line in desk.lines(model) if key_of(line)[:2] in items), key=key_of)
    todo = [line for line in lines if key_of(line) not in scored]
    step = SCORED_AT_A_TIME * desk.config.scoring_workers
    with (
        ScoringPool(
            desk.config.scoring_workers, desk.config.scoring_seconds, desk.config.scoring
        ) as pool,
        partial.open("a") as file,
    ):
        for start in range(0, len(todo), step):
            if desk.stop.requested:
                raise Interrupted(
                    f"all samples are on disk, {len(scored)} of {len(lines)} of "
                    f"'{model.name}' are scored"
                )
            part = [(line, items[key_of(line)[:2]]) for line in todo[start : start + step]]
            verdicts = pool.score_many([(item.problem, line["text"]) for line, item in part])
            for (line, item), verdict in zip(part, verdicts, strict=True):
                kept = {key: value for key, value in line.items() if key != "text"}
                scored[key_of(line)] = {
                    **kept,
                    "domain": item.domain,
                    "value": verdict.value,
                    "status": verdict.status,
                    "extracted": verdict.extracted,
                    "detail": verdict.detail,
                }
                file.write(json.dumps(scored[key_of(line)]) + "\n")
            file.flush()
            desk.progress.write(
                done + len(scored), 2 * desk.total, {"scored": float(len(scored))}, "score"
            )
    found = [scored[key_of(line)] for line in lines]
    write_text(final, "".join(json.dumps(line) + "\n" for line in found))
    partial.unlink()
    return found


def key_of(line: Line) -> tuple[str, str, int]:
    """What tells a sample apart within a model."""
    return line["task"], line["item_id"], line["sample"]
