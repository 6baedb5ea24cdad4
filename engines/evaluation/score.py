"""Judge the samples of a model, in processes that can be killed.

In: the samples on disk. Out: ``scores/<model>.jsonl``, one line per sample with its verdict, by
rename. Verdicts so far lie in a hidden file beside it, so that an interruption costs one batch.
``__main__.py`` calls it after all samples were made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from engines.contract.files import read_lines, write_text
from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.evaluation.aggregate import Line
from engines.evaluation.inputs import Inputs, Model
from engines.evaluation.sample_store import SampleStore
from engines.shared.scoring.pool import ScoringPool

SCORED_AT_A_TIME = 64
"""Samples of a batch, for each scoring process; between two batches a request to stop is heard."""

SampleKey = tuple[str, str, int]
"""(task, problem, number): what tells a sample apart within a model."""


def key_of(line: Line) -> SampleKey:
    """The key of a line of samples or scores."""
    return line["task"], line["item_id"], line["sample"]


class Scoring:
    """Scores of the models of one evaluation."""

    def __init__(self, inputs: Inputs, store: SampleStore, stop: Stop, progress: Progress) -> None:
        self.inputs, self.store, self.stop, self.progress = inputs, store, stop, progress
        self.items = {(item.task, item.problem.item_id): item for item in inputs.items}

    def score(self, model: Model, steps_before: int) -> list[Line]:
        """One line per sample of a model. Interrupted after a request to stop; what was scored is
        kept.

        ``steps_before`` is the step that progress has reached before this model.
        """
        final = self.inputs.out / "scores" / f"{model.name}.jsonl"
        # It was renamed into place, so it is whole.
        if final.exists():
            return read_lines(final)
        partial = final.with_name(f".{final.name}.partial")
        final.parent.mkdir(exist_ok=True)
        # What an earlier start has judged is not judged again; programs can take minutes.
        samples = self.samples_of(model)
        scored = {key_of(line): line for line in read_lines(partial)}
        todo = [line for line in samples if key_of(line) not in scored]
        batch_size = SCORED_AT_A_TIME * self.inputs.config.scoring_workers
        with self.pool() as pool, partial.open("a") as file:
            for start in range(0, len(todo), batch_size):
                if self.stop.requested:
                    raise Interrupted(
                        f"all samples are on disk, {len(scored)} of {len(samples)} of "
                        f"'{model.name}' are scored"
                    )
                for line in self.judge(pool, todo[start : start + batch_size]):
                    scored[key_of(line)] = line
                    file.write(json.dumps(line) + "\n")
                file.flush()
                self.report_progress(steps_before, len(scored))
        # In the order of the samples, so that an interrupted scoring leaves the same file.
        lines = [scored[key_of(line)] for line in samples]
        write_text(final, "".join(json.dumps(line) + "\n" for line in lines))
        partial.unlink()
        return lines

    def pool(self) -> ScoringPool:
        """The processes that judge."""
        config = self.inputs.config
        return ScoringPool(
            config.scoring_workers, config.scoring_seconds, config.scoring, config.own_scorers()
        )

    def samples_of(self, model: Model) -> list[Line]:
        """The samples of a model whose problems are still part of the evaluation, in the order of
        their keys."""
        lines = [line for line in self.store.lines(model) if key_of(line)[:2] in self.items]
        return sorted(lines, key=key_of)

    def judge(self, pool: ScoringPool, batch: Sequence[Line]) -> list[Line]:
        """The samples of a batch with their verdicts, without their texts."""
        items = [self.items[key_of(line)[:2]] for line in batch]
        answers = [(item.problem, line["text"]) for item, line in zip(items, batch, strict=True)]
        verdicts = pool.score_many(answers)
        judged = []
        for line, item, verdict in zip(batch, items, verdicts, strict=True):
            # The texts stay in generations/: every report reads this file, few read the texts.
            without_text = {key: value for key, value in line.items() if key != "text"}
            judged.append(
                {
                    **without_text,
                    "domain": item.domain,
                    "value": verdict.value,
                    "status": verdict.status,
                    "extracted": verdict.extracted,
                    "detail": verdict.detail,
                }
            )
        return judged

    def report_progress(self, steps_before: int, scored: int) -> None:
        """One line of progress; scoring makes as many steps as generation did."""
        total = 2 * self.inputs.samples
        self.progress.write(steps_before + scored, total, {"scored": float(scored)}, "score")
