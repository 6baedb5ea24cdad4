"""Typed checkpoints: written beside and renamed, found by scanning the folder, never guessed.

A checkpoint is the folder ``checkpoints/<name>/`` with ``manifest.json``, which is written last. A
folder without a manifest is not a checkpoint. Light on purpose (no torch): the login node lists
checkpoints too.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engines.contract.config import CheckpointsSource, ConfigError
from engines.contract.files import write_json
from engines.contract.metrics import METRICS

BEST = "best"
"""Name of the link to the best checkpoint."""


class Manifest(BaseModel):
    """What is known of one complete checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    step: int
    """Optimizer steps taken."""
    epoch: int
    format: Literal["huggingface", "state_dict"]
    fingerprint: str
    """sha256 over the model's weight files."""
    metrics: dict[str, float]
    """Metrics at that moment, such as ``validation_reward_mean``."""
    rank_by: str | None = None
    """The metric that ``best`` ranks by."""
    probe: dict[str, Any] | None = None
    """``{"token_ids": [...], "logprobs": [...]}`` of a fixed prompt by the trainer; a sampler must
    reproduce it after loading."""
    complete: Literal[True] = True


class Checkpoint(BaseModel):
    """A complete checkpoint on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    """``.../checkpoints/<name>``; the model lies in ``path / "model"``."""
    manifest: Manifest

    @property
    def model(self) -> Path:
        """A Hugging Face folder (config, tokenizer, safetensors), or safetensors and a description
        of the engine's own."""
        return self.path / "model"


def fingerprint(folder: Path) -> str:
    """sha256 over the names and bytes of the safetensors files in ``folder``."""
    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder}: no safetensors file to take a fingerprint of")
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def save(
    out: Path,
    name: str,
    write: Callable[[Path], None],
    *,
    step: int,
    epoch: int,
    metrics: dict[str, float],
    rank_by: str | None = None,
    probe: dict[str, Any] | None = None,
    format: Literal["huggingface", "state_dict"] = "huggingface",
) -> Checkpoint:
    """Save one checkpoint: ``write(folder)`` fills ``folder/model`` (and more), the manifest
    follows, the rename ends it.

    A folder of that name left by an earlier attempt is replaced.
    """
    final = out / "checkpoints" / name
    temporary = out / "checkpoints" / f".{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write(temporary)
    manifest = Manifest(
        name=name,
        step=step,
        epoch=epoch,
        format=format,
        metrics=metrics,
        rank_by=rank_by,
        fingerprint=fingerprint(temporary / "model"),
        probe=probe,
    )
    write_json(temporary / "manifest.json", manifest.model_dump())
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    mark_best(out)
    return Checkpoint(path=final, manifest=manifest)


def mark_best(out: Path) -> None:
    """``checkpoints/best``: a link to the best complete checkpoint, for people and other programs.
    Without a metric there is none."""
    found = [
        checkpoint
        for checkpoint in complete(out)
        if checkpoint.manifest.rank_by in checkpoint.manifest.metrics
    ]
    if found:
        temporary = out / "checkpoints" / ".best.tmp"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(best(found).path.name)
        temporary.replace(out / "checkpoints" / BEST)


def complete(out: Path) -> list[Checkpoint]:
    """All complete checkpoints below ``out``, oldest step first."""
    found = [
        Checkpoint(path=path.parent, manifest=Manifest.model_validate(json.loads(path.read_text())))
        for path in (out / "checkpoints").glob("*/manifest.json")
        if not path.parent.name.startswith(".") and path.parent.name != BEST
    ]
    return sorted(
        found, key=lambda checkpoint: (checkpoint.manifest.step, checkpoint.manifest.name)
    )


def best(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The checkpoint whose ``rank_by`` metric is best; of equals the earliest. ConfigError if none
    says what to rank by."""
    ranked = [c for c in checkpoints if c.manifest.rank_by in c.manifest.metrics]
    if not ranked:
        raise ConfigError(
            "no checkpoint carries the metric that 'best' ranks by; name 'last' or an epoch instead"
        )
    metric = METRICS[str(ranked[0].manifest.rank_by)]
    sign = 1.0 if metric.higher_is_better else -1.0
    return max(
        ranked, key=lambda c: (sign * c.manifest.metrics[str(c.manifest.rank_by)], -c.manifest.step)
    )


def check_selector(selector: str | list[int]) -> None:
    """ConfigError unless ``selector`` is last, best, all, every:N or a list of epochs."""
    if (
        isinstance(selector, list)
        or selector in ("last", "best", "all")
        or re.fullmatch(r"every:[1-9]\d*", selector)
    ):
        return
    raise ConfigError(
        f"checkpoints: {selector!r} is none of last, best, all, every:N, [epoch, ...]"
    )


def select(out: Path, selector: str | list[int]) -> list[Checkpoint]:
    """The checkpoints that ``selector`` names, oldest first; ConfigError if one of them is missing.

    ``every:N`` takes each N-th complete checkpoint counted back from the last, so that the last is
    always among them.
    """
    check_selector(selector)
    found = complete(out)
    if not found:
        raise ConfigError(f"{out / 'checkpoints'}: no complete checkpoint")
    if selector == "last":
        return found[-1:]
    if selector == "best":
        return [best(found)]
    if selector == "all":
        return found
    if isinstance(selector, str):
        return found[::-1][:: int(selector.removeprefix("every:"))][::-1]
    by_epoch = {checkpoint.manifest.epoch: checkpoint for checkpoint in found}
    missing = [epoch for epoch in selector if epoch not in by_epoch]
    if missing:
        raise ConfigError(
            f"{out / 'checkpoints'}: no complete checkpoint of epochs {missing}; there "
            f"are {sorted(by_epoch)}"
        )
    return [by_epoch[epoch] for epoch in sorted(selector)]


def chosen(source: CheckpointsSource) -> list[Checkpoint]:
    """The checkpoints that a config names, oldest first; ConfigError if one of them is missing."""
    if source.checkpoint is not None:
        return [named(Path(source.folder), source.checkpoint)]
    return select(Path(source.folder), source.checkpoints)


def named(out: Path, name: str) -> Checkpoint:
    """The checkpoint ``last``, ``best``, or of that name; ConfigError if it is missing."""
    if name in ("last", "best"):
        return select(out, name)[0]
    found = {one.manifest.name: one for one in complete(out)}
    if name not in found:
        raise ConfigError(f"{out}: no complete checkpoint '{name}'; there are {sorted(found)}")
    return found[name]


def rotate(out: Path, keep: int) -> None:
    """Delete the oldest complete checkpoints so that ``keep`` remain; the best one stays and counts
    among them.

    Looks at the folder, not at memory, so a resumed run also rotates what earlier attempts left.
    """
    found = complete(out)
    protected = {found[-1].path} if found else set()
    if any(c.manifest.rank_by in c.manifest.metrics for c in found):
        protected.add(best(found).path)
    surplus = len(found) - keep
    for checkpoint in found:
        if surplus <= 0:
            return
        if checkpoint.path not in protected:
            shutil.rmtree(checkpoint.path)
            surplus -= 1
