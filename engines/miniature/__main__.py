"""Make the data files and the warmed-up model."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from engines.contract import checkpoints
from engines.contract.environment import cpu_count
from engines.contract.program import Stop, program
from engines.contract.progress import Progress
from engines.contract.results import Row, write_results
from engines.miniature.config import Config
from engines.shared.data.miniature_domains import DOMAINS, splits
from engines.shared.data.problems import Problem, write_problems


def run(config: Config, out: Path, stop: Stop) -> None:
    """Data first, then the model, then how right it is on the validation problems."""
    started = time.time()
    import torch
    import transformers

    from engines.miniature.model import make_model, make_tokenizer
    from engines.miniature.warmup import accuracies, probe_logprobs, warm_up
    from engines.shared.data.problems import prompt_token_ids

    torch.set_num_threads(config.cpu_threads or cpu_count())
    torch.manual_seed(config.seed)
    sizes = {
        "train": config.train_problems,
        "validation": config.validation_problems,
        "test": config.test_problems,
    }
    data = {domain: splits(domain, sizes, config.seed) for domain in DOMAINS}
    write_data(out / "data", data)
    held_out = {
        p.prompt[-1]["content"]
        for splits_ in data.values()
        for split in ("validation", "test")
        for p in splits_[split]
    }
    tokenizer = make_tokenizer()
    model = make_model(config, tokenizer)
    loss = warm_up(model, tokenizer, config, held_out, Progress(out), stop)
    rows = [Row(metric="loss", value=loss, n=config.warmup_batch, axes={"moment": "warm"})]
    for domain in DOMAINS:
        right = accuracies(model, tokenizer, data[domain]["validation"])
        mean = sum(right) / len(right)
        rows.append(
            Row(
                metric="accuracy",
                value=mean,
                n=len(right),
                spread=(mean * (1 - mean) / len(right)) ** 0.5,
                axes={"task": domain, "split": "validation"},
            )
        )
    probe = prompt_token_ids(data["tabular"]["train"][0], tokenizer)

    def write(folder: Path) -> None:
        model.save_pretrained(folder / "model", safe_serialization=True)
        tokenizer.save_pretrained(folder / "model")

    checkpoints.save(
        out,
        "warm",
        write,
        step=0,
        epoch=0,
        metrics={row.axes["task"]: row.value or 0.0 for row in rows[1:]},  # type: ignore[misc]
        probe={"token_ids": probe, "logprobs": probe_logprobs(model, probe)},
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    write_results(
        out,
        "miniature",
        config,
        rows,
        time.time() - started,
        {
            "parameters": parameters,
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        },
    )


def write_data(folder: Path, data: dict[str, dict[str, list[Problem]]]) -> None:
    """One parquet file per domain and split."""
    folder.mkdir(exist_ok=True)
    for domain, parts in data.items():
        for split, problems in parts.items():
            write_problems(folder / f"{domain}.{split}.parquet", problems)


if __name__ == "__main__":
    sys.exit(program("miniature", Config, run))
