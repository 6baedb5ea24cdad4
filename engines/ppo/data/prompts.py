"""The problems of a run and their prompts as token ids."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.contract.config import ConfigError
from engines.contract.words import near
from engines.ppo.config import Config
from engines.ppo.data.contamination import check_test_data, refuse_shared
from engines.shared.data.contamination import data_files
from engines.shared.data.problem_files import read_problems
from engines.shared.data.problems import Problem, prompt_token_ids
from engines.shared.scoring.own import check_loading
from engines.shared.scoring.registry import judged_by

NEEDS = {
    "mgda": ("torchjd",),
    "imtl_g": ("torchjd",),
    "aligned_mtl": ("torchjd",),
    "upgrad": ("torchjd", "qpsolvers", "quadprog"),
    "dualproj": ("torchjd", "qpsolvers", "quadprog"),
    "cagrad": ("torchjd", "cvxpy", "clarabel"),
}
"""Packages that a method of combining gradients takes from elsewhere."""

PROBE_TOKENS = 64
"""Longest fixed prompt on which trainer and sampler are compared."""


@dataclass(frozen=True)
class Prompts:
    """Problems per task (in the order of their names), and what they look like to the model."""

    train: dict[str, list[Problem]]
    validation: dict[str, list[Problem]]
    token_ids: dict[str, tuple[int, ...]]
    """Prompt of each problem by its ``item_id``."""
    probe: tuple[int, ...]
    left_out: int
    """Problems whose prompt is longer than ``max_prompt_tokens``."""
    test_data: dict[str, Any] | None
    """How many problems of training and validation the evaluation uses too; None where
    ``test_data`` is not given."""


def read_prompts(config: Config, model: Path) -> Prompts:
    """Read and encode all problems; ConfigError for a missing file, tasks that do not match, or a
    problem where it must not be."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    token_ids: dict[str, tuple[int, ...]] = {}
    train, short = _read(config, "train", tokenizer, token_ids)
    validation, shorter = _read(config, "validation", tokenizer, token_ids)
    if set(train) != set(validation):
        raise ConfigError(
            f"training tasks {sorted(train)} and validation tasks {sorted(validation)} "
            "differ: give both the same"
        )
    check_scorers(config, train)
    # Looked for here, without an import, and not on the first step after the GPU was taken.
    missing = [
        name for name in NEEDS.get(config.mtl.method, ()) if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"mtl.method {config.mtl.method} needs {', '.join(missing)}; run: pip install "
            f"{' '.join(missing)} (the extra `mtl` has them all)"
        )
    # With one task there is no conflict that the others could resolve.
    if config.mtl.method not in ("off", "sum", "equal") and len(train) < 2:
        raise ConfigError(
            f"mtl.method {config.mtl.method} needs two tasks or more, data has {sorted(train)}"
        )
    refuse_shared(train, validation)
    first = next(iter(validation.values()))[0]
    return Prompts(
        train,
        validation,
        token_ids,
        token_ids[first.item_id][:PROBE_TOKENS],
        short + shorter,
        check_test_data(config, train, validation),
    )


def check_scorers(config: Config, train: Mapping[str, Sequence[Problem]]) -> None:
    """ConfigError if a scorer is named for a task that is not there, cannot be loaded here, or is
    missing for a problem whose data source we have none for."""
    for task in config.reward if isinstance(config.reward, dict) else ():
        if task not in train:
            raise ConfigError(f"reward: there is no task '{task}'{near(task, train)}")
    for task, problems in train.items():
        try:
            for problem in problems:
                judged_by(problem)
        except ConfigError as error:
            raise ConfigError(f"{task}: {error}") from error
    check_loading(list(config.planned_scorers.values()))


def _read(
    config: Config,
    split: Literal["train", "validation"],
    tokenizer: Any,
    token_ids: dict[str, tuple[int, ...]],
) -> tuple[dict[str, list[Problem]], int]:
    source = config.data if split == "train" else config.validation_data
    files = data_files(source, split)
    if not files:
        raise ConfigError(f"{source}: no <task>.{split}.parquet and no <task>.{split}.jsonl there")
    limit = config.validation_limit if split == "validation" else None
    found: dict[str, list[Problem]] = {}
    left_out = 0
    for task, paths in files.items():
        scorer = config.scorer_of(task)
        problems = [one for path in paths for one in read_problems(path, scorer=scorer, task=task)]
        encoded = {
            problem.item_id: tuple(prompt_token_ids(problem, tokenizer)) for problem in problems
        }
        fitting = [
            problem
            for problem in problems
            # Two tokens at least: the probe is a prompt, and has log-probabilities from its second
            # on.
            if 1 < len(encoded[problem.item_id]) <= config.max_prompt_tokens
        ]
        left_out += len(problems) - len(fitting)
        if not fitting:
            raise ConfigError(
                f"{', '.join(map(str, paths))}: no problem has a prompt of 2 to "
                "max_prompt_tokens = "
                f"{config.max_prompt_tokens} tokens"
            )
        found[task] = fitting[:limit]
        token_ids |= encoded
    return found, left_out
