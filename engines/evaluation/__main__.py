"""``python -m engines.evaluation CONFIG --out FOLDER``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from engines.checkpoints import select
from engines.evaluation import Config
from engines.evaluation.aggregate import rows
from engines.evaluation.generate import Generator, Item, Model, read_lines
from engines.io import ConfigError, Interrupted, Progress, Row, Stop, program, write_json, write_results, write_text

KNOWN = {"math500": "math500.jsonl", "humaneval": "HumanEval.jsonl.gz", "mbpp": "mbpp.jsonl", "aime24": "aime24.jsonl",
         "amc23": "amc23.jsonl", "arcagi1": "arc_agi_1_evaluation.jsonl", "cruxeval": "cruxeval.jsonl", "ifeval": "ifeval.jsonl",
         "convfinqa": "convfinqa_dev.json"}

PROMPT_CHARACTERS = 500
"""How much of a prompt is kept for reading."""


def models_of(config: Config) -> list[Model]:
    """The models to evaluate, oldest checkpoint first."""
    if isinstance(config.models, str):
        return [Model("model", Path(config.models), None)]
    found = select(Path(config.models.folder), config.models.checkpoints)
    return [Model(c.manifest.name, c.model, c.manifest) for c in found]


def files_of(config: Config) -> dict[str, Path]:
    """task -> file; ConfigError if a named task has none."""
    if isinstance(config.data, str):
        folder = Path(config.data)
        files = {path.name.removesuffix(".test.parquet"): path for path in sorted(folder.glob("*.test.parquet"))}
        files |= {task: folder / name for task, name in KNOWN.items() if (folder / name).is_file()}
    else:
        files = {task: Path(path) for task, path in config.data.items()}
    wanted = sorted(files) if config.tasks is None else config.tasks
    if not files or (missing := sorted(set(wanted) - files.keys())):
        raise ConfigError(f"data: {config.data}: no test file for {missing if files else 'any task'}; there are {sorted(files)}")
    return {task: files[task] for task in wanted}


def read_items(config: Config, tokenizer_folder: Path) -> tuple[list[Item], dict[str, int]]:
    """All problems whose prompt fits, and per task how many do not."""
    from transformers import AutoTokenizer

    from engines.data import prompt_token_ids, read_problems

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    items, too_long = [], {}
    for task, path in files_of(config).items():
        found = [Item(task, p, tuple(prompt_token_ids(p, tokenizer))) for p in read_problems(path)[: config.limit]]
        fitting = [item for item in found if len(item.token_ids) <= config.max_prompt_tokens]
        too_long[task] = len(found) - len(fitting)
        items += fitting
    if not items:
        raise ConfigError(f"max_prompt_tokens: {config.max_prompt_tokens}: no problem has so short a prompt; raise it")
    return items, too_long


def write_prompts(out: Path, items: list[Item]) -> None:
    """``problems.jsonl``: the start of each prompt, so that a report can show what was asked after the data have moved."""
    lines = [{"task": item.task, "item_id": item.problem.item_id, "prompt": item.problem.prompt[-1]["content"][:PROMPT_CHARACTERS]}
             for item in items]
    write_text(out / "problems.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def score_model(config: Config, out: Path, name: str, items: list[Item]) -> list[dict[str, Any]]:
    """Score all samples of one model and write ``scores/<name>.jsonl`` by rename."""
    from engines.scoring import ScoringPool

    by_id = {(item.task, item.problem.item_id): item.problem for item in items}
    lines = [{**line, "task": task} for task in sorted({item.task for item in items})
             for line in read_lines(out / "generations" / name / f"{task}.jsonl") if (task, line["item_id"]) in by_id]
    lines.sort(key=lambda line: (line["task"], line["item_id"], line["sample"]))
    with ScoringPool(config.scoring_workers, config.scoring_seconds, config.scoring) as pool:
        verdicts = pool.score_many([(by_id[line["task"], line["item_id"]], line["text"]) for line in lines])
    for line, verdict in zip(lines, verdicts, strict=True):
        line.pop("text")
        line |= {"domain": by_id[line["task"], line["item_id"]].domain, "value": verdict.value, "status": verdict.status,
                 "extracted": verdict.extracted, "detail": verdict.detail}
    (out / "scores").mkdir(exist_ok=True)
    write_text(out / "scores" / f"{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return lines


def same_as_before(config: Config, out: Path, models: list[Model]) -> None:
    """ConfigError if the samples in ``out`` were made with other settings or other weights: they must not be mixed."""
    path = out / "settings.json"
    settings = {"config": config.model_dump(), "weights": {m.name: m.manifest.fingerprint if m.manifest else None for m in models}}
    if path.exists() and (before := json.loads(path.read_text())) != settings:
        changed = [key for key, value in settings["config"].items() if before["config"].get(key) != value] or ["the models' weights"]
        raise ConfigError(f"{out} holds samples made with other settings ({', '.join(changed)}); evaluate into another folder")
    write_json(path, settings)


def versions() -> dict[str, str]:
    """Versions of what decides the samples."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers")} | {"vllm": vllm_version()}


def vllm_version() -> str:
    """vLLM's version; the CPU build is a package of another name."""
    import vllm

    return str(vllm.__version__)


def sandbox_of(items: list[Item]) -> str | None:
    """Name of the sandbox, tested, if some problem needs one; found out before anything is generated."""
    from engines.sandbox import self_test
    from engines.scoring import IN_SANDBOX, kind_of

    return self_test() if any(kind_of(item.problem.data_source) in IN_SANDBOX for item in items) else None


def run(config: Config, out: Path, stop: Stop) -> None:
    """Generate for every model with one engine, then score, then write the results."""
    start, models = time.monotonic(), models_of(config)
    items, too_long = read_items(config, models[0].folder)
    same_as_before(config, out, models)
    write_prompts(out, items)
    sandbox = sandbox_of(items)
    each = len(items) * config.samples_per_prompt
    # Steps count samples on disk, so what an earlier start wrote still holds.
    generator = Generator(config, out, stop, Progress(out, keep_until=sys.maxsize))
    for index, model in enumerate(models):
        generator.run(model, items, index * each, each * len(models))
    found: list[Row] = []
    errors: dict[str, int] = {}
    tasks = {item.task: item.problem.domain for item in items}
    for model in models:
        if stop.requested:
            raise Interrupted("all samples are on disk, scoring is not done")
        lines = score_model(config, out, model.name, items)
        for line in lines:
            if line["value"] is None:
                key = f"{model.name}: {line['task']}: {line['status']}"
                errors[key] = errors.get(key, 0) + 1
        epoch, step = (model.manifest.epoch, model.manifest.step) if model.manifest else (0, 0)
        found += rows(lines, tasks, {"checkpoint": model.name, "epoch": epoch, "step": step})
    checkpoints = [{"name": m.name, "step": m.manifest.step if m.manifest else 0, "epoch": m.manifest.epoch if m.manifest else 0,
                    "fingerprint": m.manifest.fingerprint if m.manifest else None} for m in models]
    write_results(out, "evaluation", config, found, time.monotonic() - start,
                  {"checkpoints": checkpoints, "too_long_prompts": too_long, "samples_without_score": errors, "sandbox": sandbox,
                   "versions": versions()})


if __name__ == "__main__":
    sys.exit(program("evaluation", Config, run))
