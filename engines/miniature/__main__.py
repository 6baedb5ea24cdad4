"""``python -m engines.miniature CONFIG --out FOLDER``: makes data files and a warmed-up model.

In: the config. Out: ``data/<domain>.<split>.parquet``, the checkpoint ``warm``, and results that
say how right the model is before any training. Data first, because the model must not see the
problems that it is judged on.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engines.contract import checkpoints
from engines.contract.environment import cpu_count
from engines.contract.program import Stop, leave, program
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.miniature.config import Config
from engines.shared.data.miniature import DOMAINS, splits
from engines.shared.data.problem_files import write_problems
from engines.shared.data.problems import Problem

Data = dict[str, dict[str, list[Problem]]]
"""Problems of each domain and split."""


def run(config: Config, out: Path, stop: Stop) -> None:
    """Data first, then the model, then how right it is on the validation problems."""
    started = time.monotonic()
    # These take seconds. Imported here, they are imported
    # after `program` began to listen to signals.
    import torch
    import transformers

    from engines.miniature.tokenizer import make_tokenizer
    from engines.miniature.warmup import warm_up
    from engines.shared.tiny_models.model import make_model

    torch.set_num_threads(config.cpu_threads or cpu_count())
    torch.manual_seed(config.seed)
    data = make_data(config)
    write_data(out / "data", data)
    tokenizer = make_tokenizer()
    model = make_model(config, tokenizer)
    loss = warm_up(model, tokenizer, config, held_out_prompts(data), Progress(out), stop)
    accuracies = accuracy_rows(data, model, tokenizer)
    save_model(out, data, model, tokenizer, accuracies)
    rows = [Row(metric="loss", value=loss, n=config.warmup_batch, axes={"moment": "warm"})]
    facts = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    write_results(out, "miniature", config, rows + accuracies, time.monotonic() - started, facts)


def make_data(config: Config) -> Data:
    """The problems of every domain and split, all different within a domain."""
    sizes = {
        "train": config.train_problems,
        "validation": config.validation_problems,
        "test": config.test_problems,
    }
    return {domain: splits(domain, sizes, config.seed) for domain in DOMAINS}


def write_data(folder: Path, data: Data) -> None:
    """One parquet file per domain and split."""
    folder.mkdir(exist_ok=True)
    for domain, parts in data.items():
        for split, problems in parts.items():
            write_problems(folder / f"{domain}.{split}.parquet", problems)


def held_out_prompts(data: Data) -> set[str]:
    """Prompts of the validation and test problems, which the warm-up may not show."""
    prompts = set()
    for parts in data.values():
        for problem in parts["validation"] + parts["test"]:
            prompts.add(problem.prompt[-1]["content"])
    return prompts


def accuracy_rows(data: Data, model: Any, tokenizer: Any) -> list[Row]:
    """Accuracy on the validation problems, one row per domain."""
    from engines.miniature.warmup import accuracies

    rows = []
    for domain in DOMAINS:
        correct = accuracies(model, tokenizer, data[domain]["validation"])
        mean = sum(correct) / len(correct)
        # One answer of 0 or 1 per problem: the standard error of a binomial share.
        standard_error = (mean * (1 - mean) / len(correct)) ** 0.5
        axes: dict[str, str | int | float | bool] = {"task": domain, "split": "validation"}
        rows.append(
            Row(metric="accuracy", value=mean, n=len(correct), spread=standard_error, axes=axes)
        )
    return rows


def save_model(out: Path, data: Data, model: Any, tokenizer: Any, accuracies: list[Row]) -> None:
    """Save the checkpoint ``warm``, with a probe that whoever loads it must reproduce."""
    from engines.shared.data.problems import prompt_token_ids
    from engines.shared.tiny_models.supervised import probe_logprobs

    def write(folder: Path) -> None:
        model.save_pretrained(folder / "model", safe_serialization=True)
        tokenizer.save_pretrained(folder / "model")

    # Any fixed prompt would do: the sampler only has to give the same numbers for it.
    probe = prompt_token_ids(data["tabular"]["train"][0], tokenizer)
    description = checkpoints.Description(
        name="warm",
        step=0,
        epoch=0,
        metrics={str(row.axes["task"]): row.value or 0.0 for row in accuracies},
        probe={"token_ids": probe, "logprobs": probe_logprobs(model, probe)},
    )
    checkpoints.save(out, description, write)


if __name__ == "__main__":
    leave(program("miniature", Config, run))
