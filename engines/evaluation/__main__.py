"""``python -m engines.evaluation CONFIG --out FOLDER``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from engines.contract.checkpoints import selected_by
from engines.contract.config import ConfigError, changed_keys
from engines.contract.files import write_json, write_text
from engines.contract.program import Stop, program
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.evaluation.aggregate import Axes, Line, over_suite, rows
from engines.evaluation.config import Config
from engines.evaluation.reuse import take_over
from engines.evaluation.sample_store import Desk, Model
from engines.evaluation.score import score_model
from engines.evaluation.suite import PLAIN
from engines.evaluation.tasks import Item, read_items, remarks
from engines.evaluation.workers import generate

PROMPT_CHARACTERS = 500
"""How much of a prompt is kept for reading."""

WEIGHTS = "the models' weights"
FILES = "the tasks and their files"
"""What stands in ``settings.json`` beside the keys of the config."""


def models_of(config: Config) -> list[Model]:
    """The models to evaluate, oldest checkpoint first."""
    if isinstance(config.models, str):
        return [Model("model", Path(config.models), None)]
    return [Model(one.manifest.name, one.model, one.manifest) for one in selected_by(config.models)]


def write_prompts(out: Path, items: list[Item]) -> None:
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


def same_as_before(
    config: Config, out: Path, models: list[Model], facts: dict[str, dict[str, Any]]
) -> None:
    """ConfigError if the samples in ``out`` were made with other settings, data or weights: they
    must not be mixed. Writes ``settings.json`` for the next start."""
    path = out / "settings.json"
    weights = {
        model.name: model.manifest.fingerprint if model.manifest else None for model in models
    }
    files = {task: [fact["sha256"], fact["settings"]] for task, fact in facts.items()}
    begun = any(one.stat().st_size for one in out.glob("generations/*/*.jsonl"))
    if begun and path.exists():
        before = json.loads(path.read_text())
        weights_before, files_before = before.pop(WEIGHTS, None), before.pop(FILES, None)
        changed = list(changed_keys(config, before, path))
        if weights_before != weights:
            changed.append(WEIGHTS)
        if with_defaults(files_before) != with_defaults(files):
            changed.append(FILES)
        if changed:
            raise ConfigError(
                f"{out} holds samples made with other settings ({', '.join(changed)}); put "
                "those back, or delete that folder to "
                "begin anew"
            )
    write_json(path, {**config.model_dump(mode="json"), WEIGHTS: weights, FILES: files})


def with_defaults(files: dict[str, list[Any]] | None) -> dict[str, list[Any]]:
    """Hash and settings of each task's file; a setting that an older version did not know has its
    default."""
    return {
        task: [sha256, {**PLAIN.model_dump(), **settings}]
        for task, (sha256, settings) in (files or {}).items()
    }


def versions() -> dict[str, str]:
    """Versions of what decides the samples."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers")} | {"vllm": vllm_version()}


def vllm_version() -> str:
    """vLLM's version; the CPU build is a package of another name."""
    import vllm

    return str(vllm.__version__)


def sandbox_of(items: list[Item], weak: bool) -> str | None:
    """Name of the sandbox, tested, if some problem needs one; found out before anything is
    generated."""
    from engines.shared.sandbox.execution import self_test
    from engines.shared.scoring.registry import IN_SANDBOX, kind_of

    return (
        self_test(weak)
        if any(kind_of(item.problem.data_source) in IN_SANDBOX for item in items)
        else None
    )


def rows_of(
    config: Config, desk: Desk, model: Model, lines: list[Line], facts: dict[str, dict[str, Any]]
) -> list[Row]:
    """All rows of one model."""
    epoch, step = (model.manifest.epoch, model.manifest.step) if model.manifest else (0, 0)
    axes: Axes = {"checkpoint": model.name, "epoch": epoch, "step": step}
    # One whose every prompt is too long has no item, and rows without a value that say so.
    tasks = {task: fact["domain"] for task, fact in facts.items()} | {
        item.task: item.domain for item in desk.items
    }
    sampled = frozenset(task for task, fact in facts.items() if fact["settings"]["temperature"] > 0)
    found = rows(lines, tasks, axes, sampled)
    if config.suite is not None:
        wanted = config.whole_suite().tasks
        part = (
            f"only {len(facts)} of the {len(wanted)} tasks of {config.suite} were evaluated"
            if len(facts) < len(wanted)
            else ""
        )
        part = part or (
            f"only the first {config.limit} problems of each task were evaluated"
            if config.limit
            else ""
        )
        found.append(
            over_suite(
                found,
                {task: fact["settings"]["metric"] for task, fact in facts.items()},
                {task: fact["group"] for task, fact in facts.items()},
                part,
                {**axes, "suite": config.suite},
            )
        )
    return found


def run(config: Config, out: Path, stop: Stop) -> None:
    """Generate for every model with one engine, then score, then write the results."""
    start, models = time.monotonic(), models_of(config)
    items, facts = read_items(config, models[0].folder)
    same_as_before(config, out, models, facts)
    said = remarks(facts)
    print("".join(f"{line}\n" for line in said), end="", flush=True)
    write_prompts(out, items)
    reused = take_over(config.reuse, out, models, items, facts, config.seed, versions())
    print("".join(f"{line}\n" for line in reused), end="", flush=True)
    sandbox = sandbox_of(items, config.allow_weak_sandbox)
    # Steps count samples on disk, so what an earlier start wrote still holds.
    desk = Desk(config, out, models, items, stop, Progress(out, keep_until=sys.maxsize))
    starts = generate(desk)
    found: list[Row] = []
    errors: dict[str, int] = {}
    scored = desk.total
    for model in models:
        lines = score_model(desk, model, scored)
        scored += len(lines)
        for line in lines:
            if line["value"] is None:
                key = f"{model.name}: {line['task']}: {line['status']}"
                errors[key] = errors.get(key, 0) + 1
        found += rows_of(config, desk, model, lines, facts)
    checkpoints = [
        {
            "name": m.name,
            "step": m.manifest.step if m.manifest else 0,
            "epoch": m.manifest.epoch if m.manifest else 0,
            "fingerprint": m.manifest.fingerprint if m.manifest else None,
        }
        for m in models
    ]
    write_results(
        out,
        "evaluation",
        config,
        found,
        time.monotonic() - start,
        {
            "must_be_equal": config.must_be_equal(),
            "checkpoints": checkpoints,
            "too_long_prompts": {task: fact["too_long_prompts"] for task, fact in facts.items()},
            "tasks": facts,
            "remarks": [*said, *reused],
            "engine_starts": starts,
            "samples_without_score": errors,
            "sandbox": sandbox,
            "versions": versions(),
        },
    )


if __name__ == "__main__":
    sys.exit(program("evaluation", Config, run))
