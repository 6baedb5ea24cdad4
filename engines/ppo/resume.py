"""Where a run stands, on disk: checkpoints for others, and a state to continue from after a stop or
a crash.

``checkpoints/epoch-000005/`` holds ``model/`` (Hugging Face), ``state/`` (optimizer, loop). Between
two checkpoints the newest state lies in ``resume/checkpoints/``, of the same form, so that the list
of checkpoints does not depend on interruptions.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engines.contract import checkpoints
from engines.contract.checkpoints import Checkpoint, CheckpointSource
from engines.contract.config import ConfigError, same_config
from engines.contract.files import write_json
from engines.ppo.config import KEEP_STATES, Config
from engines.ppo.data.prompts import Prompts
from engines.ppo.early_stopping import Validation
from engines.ppo.ranks.in_process import Ranks
from engines.shared.scoring.verdict import JUDGED, Verdict

RANK_BY = "validation_reward_mean"


@dataclass(frozen=True)
class Point:
    """Where the loop stands. ``model`` and ``state`` are where it was read from; ``state`` is None
    at the beginning."""

    model: Path
    state: Path | None = None
    step: int = 0
    ended: bool = False
    """Early stopping has ended the run."""
    validations: list[Validation] = field(default_factory=list)
    failures: dict[str, dict[str, int]] = field(default_factory=dict)
    """Scorings that gave no verdict, by task and status."""

    def stepped(self) -> Point:
        """One optimizer step further."""
        return replace(self, step=self.step + 1)

    def finished(self) -> Point:
        """Ended by early stopping."""
        return replace(self, ended=True)

    def count_failures(self, task: str, verdicts: Iterable[Verdict]) -> None:
        """Count the verdicts that are none on the answer; the first of each kind is printed, since
        nothing else of the run says why."""
        for verdict in verdicts:
            if verdict.status in JUDGED:
                continue
            own = self.failures.setdefault(task, {})
            if verdict.status not in own:
                print(
                    f"{task}: an answer could not be judged, its reward is 0: {verdict.status}: "
                    f"{verdict.detail} (all of them count in not_judged_rate/{task})",
                    flush=True,
                )
            own[verdict.status] = own.get(verdict.status, 0) + 1


def find_start(config: Config, out: Path) -> Point:
    """The newest complete state below ``out``, else the configured model at step 0. ConfigError if
    the config has changed."""
    # Only the newest checkpoints keep their state; from an older one nobody can continue.
    found = [
        one
        for one in [*checkpoints.complete(out), *checkpoints.complete(out / "resume")]
        if (one.path / "state" / "loop.json").is_file()
    ]
    if not found:
        return Point(model=base_model(config))
    # Of two lists, as the newest state may be a checkpoint of an epoch or one made in between.
    newest = max(found, key=lambda one: one.manifest.step)
    loop = json.loads((newest.path / "state" / "loop.json").read_text())
    same_config(config, loop["config"], newest.path)
    return Point(
        model=newest.model,
        state=newest.path / "state",
        step=newest.manifest.step,
        ended=loop["ended"],
        validations=[Validation(**values) for values in loop["validations"]],
        failures=loop["failures"],
    )


def base_model(config: Config) -> Path:
    """The Hugging Face folder to start from; ConfigError if it is missing."""
    if isinstance(config.model, CheckpointSource):
        return checkpoints.named(Path(config.model.folder), config.model.checkpoint).whole_model()
    folder = Path(config.model)
    if (folder / "config.json").is_file():
        return folder
    # A name such as "Qwen/Qwen2.5-7B". Compute nodes often have no internet, so nothing is
    # downloaded.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(config.model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise ConfigError(
            f"model: {config.model} is neither a Hugging Face folder nor in this "
            "machine's Hugging Face cache; "
            f"run 'hf download {config.model}' first"
        ) from error


def save_checkpoint(
    config: Config, out: Path, point: Point, epoch: int, ranks: Ranks, prompts: Prompts
) -> Checkpoint:
    """Save the checkpoint of an epoch, drop what is superseded."""
    description = checkpoints.Description(
        name=f"epoch-{epoch:06d}",
        step=point.step,
        epoch=epoch,
        metrics=validation_metrics(point),
        rank_by=RANK_BY,
        probe=probe_of(ranks, prompts),
    )
    # The new checkpoint is complete on disk before what it supersedes goes: a kill in between
    # leaves too much, never too little.
    saved = checkpoints.save(
        out, description, lambda folder: write_state(config, folder, point, ranks)
    )
    shutil.rmtree(out / "resume", ignore_errors=True)
    checkpoints.rotate(out, config.keep_checkpoints)
    for old in checkpoints.complete(out)[:-KEEP_STATES]:
        shutil.rmtree(old.path / "state", ignore_errors=True)
    return saved


def save_continuation(
    config: Config, out: Path, point: Point, ranks: Ranks, prompts: Prompts
) -> None:
    """Save a state to continue from, drop the one before it. Nothing to do where a checkpoint has
    just been saved."""
    if any(one.manifest.step == point.step for one in checkpoints.complete(out)):
        return
    description = checkpoints.Description(
        name=f"step-{point.step:08d}",
        step=point.step,
        epoch=point.validations[-1].epoch,
        metrics=validation_metrics(point),
        probe=probe_of(ranks, prompts),
    )
    folder = out / "resume"
    checkpoints.save(folder, description, lambda path: write_state(config, path, point, ranks))
    checkpoints.rotate(folder, 1)


def validation_metrics(point: Point) -> dict[str, float]:
    """The newest validation: the mean over tasks, and each task."""
    newest = point.validations[-1]
    metrics = {RANK_BY: newest.mean}
    for task, value in newest.tasks.items():
        metrics[f"validation_reward/{task}"] = value
    return metrics


def probe_of(ranks: Ranks, prompts: Prompts) -> dict[str, Any]:
    """Log-probabilities of a fixed prompt, which whoever loads the checkpoint must reproduce."""
    return {"token_ids": list(prompts.probe), "logprobs": ranks.call("probe_logprobs")}


def write_state(config: Config, folder: Path, point: Point, ranks: Ranks) -> None:
    """Write the weights, what every process must know to go on, and where the loop stands."""
    ranks.call("save", str(folder))
    loop = {
        "config": config.model_dump(mode="json"),
        "ended": point.ended,
        "failures": point.failures,
        "validations": [asdict(validation) for validation in point.validations],
    }
    write_json(folder / "state" / "loop.json", loop)
