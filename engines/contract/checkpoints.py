"""Checkpoints: the folder ``checkpoints/<name>/`` with a ``manifest.json`` that is written last.

Trainings save them; evaluations, later trainings and ``orch`` find them by listing the folder. A
folder without a manifest is not a checkpoint, so a half-written one is never taken for a whole one.
In: an output folder and what names a checkpoint in it (``last``, ``best``, an epoch, ...). Out: the
complete checkpoints. Light on purpose (no torch): the login node lists checkpoints too.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from engines.contract.config import ConfigError, EngineConfig
from engines.contract.counting.counts import BYTES, counter
from engines.contract.files import content_of, loads, write_json
from engines.contract.formats.weights import weight_files
from engines.contract.metrics import is_higher_better

BEST = "best"
"""Name of the link to the best checkpoint."""
Format = Literal["huggingface", "state_dict", "adapter", "files"]
"""A whole model that others load, weights for the engine that made them, an adapter (LoRA), or
whatever a user's script has saved."""
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""What PEFT loads; the first says by how much the second is multiplied."""


class Base(BaseModel):
    """The model that an adapter was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    """Where it lay."""
    fingerprint: str
    """``fingerprint`` of its folder."""


class Description(BaseModel):
    """What its maker says of a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    step: int
    """Optimizer steps taken."""
    epoch: int
    metrics: dict[str, float]
    """Metrics at that moment, such as ``validation_reward_mean``."""
    format: Format = "huggingface"
    base: Base | None = None
    """What ``model/`` must be put on; of an adapter alone."""
    rank_by: str | None = None
    """The metric that ``best`` ranks by."""
    better: Literal["higher", "lower"] | None = None
    """Which of its values are; None: what is registered of an engine's metric."""
    probe: dict[str, Any] | None = None
    """``{"token_ids": [...], "logprobs": [...]}`` of a fixed prompt by the trainer; a sampler must
    reproduce it after loading."""


class Manifest(Description):
    """What is known of one complete checkpoint: ``manifest.json``."""

    fingerprint: str
    """sha256 over the model's weight files, or the adapter's."""
    complete: Literal[True] = True


class Checkpoint(BaseModel):
    """A complete checkpoint on disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    """``.../checkpoints/<name>``; the model lies in ``path / "model"``."""
    manifest: Manifest

    @property
    def model(self) -> Path:
        """A Hugging Face folder (config, tokenizer, safetensors), safetensors and a description of
        the engine's own, or the folder of an adapter as PEFT writes it."""
        return self.path / "model"

    def whole_model(self) -> Path:
        """``model``; ConfigError where it is an adapter, which is no model without its base."""
        if self.manifest.format == "adapter":
            raise ConfigError(
                f"{self.model}: an adapter (LoRA) alone, not a whole model; merge it into the "
                "model that it was trained on, and name that"
            )
        return self.model


class CheckpointSource(EngineConfig):
    """A checkpoint of another job, named by that job's output folder."""

    folder: str
    """The output folder of the job that made it; ``checkpoints/`` lies below."""
    checkpoint: str = "last"
    """``last``, ``best``, or a checkpoint's name."""


class CheckpointsSource(EngineConfig):
    """Several checkpoints of another job."""

    folder: str
    """The output folder of the job that made them; ``checkpoints/`` lies below."""
    checkpoints: str | list[int] = "last"
    """``last``, ``best``, ``all``, ``every:N``, or a list of epochs."""
    checkpoint: str | None = None
    """In place of ``checkpoints``: a single one, ``last``, ``best``, or a checkpoint's name."""

    @model_validator(mode="after")
    def _one_of_two(self) -> CheckpointsSource:
        if self.checkpoint is not None and self.checkpoints != "last":
            raise ConfigError("checkpoint and checkpoints: keep one of the two")
        return self


def fingerprint(folder: Path, form: Format = "huggingface") -> str:
    """sha256 over the names and bytes of the weight files in ``folder``: no optimizer, no adapter;
    of an adapter over its two files."""
    # In a fixed order: the hash depends on it.
    files = weight_files(folder)
    if form == "adapter":
        files = [folder / name for name in ADAPTER_FILES]
    if not files:
        raise FileNotFoundError(f"{folder}: no safetensors file to take a fingerprint of")
    more = counter("reading weights", sum(file.stat().st_size for file in files), BYTES)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            # 1 MiB at a time: a file of weights may be larger than the memory of a login node.
            while block := stream.read(1 << 20):
                digest.update(block)
                more(len(block))
    return digest.hexdigest()


def save(out: Path, description: Description, write: Callable[[Path], None]) -> Checkpoint:
    """Save one checkpoint below ``out``: ``write(folder)`` fills ``folder/model`` (and more), the
    manifest follows, the rename ends it.

    A folder of that name from an earlier attempt is replaced.
    """
    final = out / "checkpoints" / description.name
    temporary = out / "checkpoints" / f".{description.name}.tmp"
    # Hidden until it is whole: after a kill in here nobody takes it for a checkpoint.
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write(temporary)
    values = description.model_dump()
    if description.rank_by is not None and description.better is None:
        # Written down, so that programs without the registry of metrics know the best one too.
        higher = is_higher_better(description.rank_by)
        values["better"] = "higher" if higher else "lower"
    content = fingerprint(temporary / "model", description.format)
    manifest = Manifest(**values, fingerprint=content)
    write_json(temporary / "manifest.json", manifest.model_dump())
    # A rename cannot replace a folder that has files in it. After a kill between these two calls
    # the checkpoint of this name is gone; those of other names are whole.
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    mark_best(out)
    return Checkpoint(path=final, manifest=manifest)


def mark_best(out: Path) -> None:
    """``checkpoints/best``: a link to the best complete checkpoint, for people and other programs.
    Without a metric to rank by there is none."""
    ranked = with_rank(complete(out))
    if ranked:
        temporary = out / "checkpoints" / ".best.tmp"
        temporary.unlink(missing_ok=True)
        # Relative, so that the link still holds when the whole folder is moved.
        temporary.symlink_to(best(ranked).path.name)
        # One step: whoever follows the link finds the old target or the new one, never nothing.
        temporary.replace(out / "checkpoints" / BEST)


def complete(out: Path) -> list[Checkpoint]:
    """All complete checkpoints below ``out``, lowest step first; ConfigError for a manifest that is
    none."""
    checkpoints, damaged = listed(out)
    if damaged:
        raise ConfigError(damaged[0])
    return checkpoints


def listed(out: Path) -> tuple[list[Checkpoint], list[str]]:
    """All complete checkpoints below ``out``, lowest step first; and, in words, those whose
    manifest cannot be used."""
    checkpoints = []
    damaged = []
    for path in sorted((out / "checkpoints").glob("*/manifest.json")):
        folder = path.parent
        # Hidden folders are still being written; the link to the best one leads to a folder that
        # is listed already.
        if folder.name.startswith(".") or folder.name == BEST:
            continue
        try:
            manifest = Manifest.model_validate(loads(content_of(path)))
        # Not JSON, not UTF-8, or not what a manifest says.
        except (OSError, ValueError):
            damaged.append(
                f"{path}: not the manifest of a checkpoint: damaged, or of another program; "
                f"delete {folder}, or make it again"
            )
            continue
        checkpoints.append(Checkpoint(path=folder, manifest=manifest))
    return sorted(checkpoints, key=lambda one: (one.manifest.step, one.manifest.name)), damaged


def with_rank(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Those that carry the metric that ``best`` ranks by."""
    return [one for one in checkpoints if one.manifest.rank_by in one.manifest.metrics]


def best(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The checkpoint whose ``rank_by`` metric is best; of equals the earliest. ConfigError if none
    says what to rank by."""
    ranked = with_rank(checkpoints)
    if not ranked:
        raise ConfigError(
            "no checkpoint carries the metric that 'best' ranks by; name 'last' or an epoch instead"
        )
    # All checkpoints of one training rank by the same metric, so the first one's will do.
    first = ranked[0].manifest
    sign = 1.0 if is_higher_better(str(first.rank_by), first.better) else -1.0

    def rank(one: Checkpoint) -> tuple[float, int]:
        value = one.manifest.metrics[str(one.manifest.rank_by)]
        return sign * value, -one.manifest.step

    # max takes the first of equals, and -step makes the earliest the largest of them.
    return max(ranked, key=rank)


def check_selector(selector: str | list[int]) -> None:
    """ConfigError unless ``selector`` is last, best, all, every:N or a list of epochs."""
    if (
        isinstance(selector, list)
        or selector in ("last", "best", "all")
        or re.fullmatch(r"every:[1-9][0-9]{0,17}", selector)
    ):
        return
    raise ConfigError(
        f"checkpoints: {selector!r} is none of last, best, all, every:N, [epoch, ...]"
    )


def select(out: Path, selector: str | list[int]) -> list[Checkpoint]:
    """The checkpoints that ``selector`` names, lowest step first; ConfigError if one is missing.

    ``every:N`` takes each N-th complete checkpoint counted back from the last, so that the last is
    always among them.
    """
    check_selector(selector)
    checkpoints = complete(out)
    if not checkpoints:
        raise ConfigError(f"{out / 'checkpoints'}: no complete checkpoint")
    if selector == "last":
        return checkpoints[-1:]
    if selector == "best":
        return [best(checkpoints)]
    if selector == "all":
        return checkpoints
    if isinstance(selector, str):
        interval = int(selector.removeprefix("every:"))
        # Counted from the end and put back into their order.
        return checkpoints[::-1][::interval][::-1]
    # Lowest step first, so that of several checkpoints of an epoch the last one stays.
    by_epoch = {one.manifest.epoch: one for one in checkpoints}
    missing = [epoch for epoch in selector if epoch not in by_epoch]
    if missing:
        raise ConfigError(
            f"{out / 'checkpoints'}: no complete checkpoint of epochs {missing}; there "
            f"are {sorted(by_epoch)}"
        )
    return [by_epoch[epoch] for epoch in sorted(selector)]


def selected_by(source: CheckpointsSource) -> list[Checkpoint]:
    """The checkpoints that a config names, lowest step first; ConfigError if one is missing."""
    folder = Path(source.folder)
    if source.checkpoint is not None:
        return [named(folder, source.checkpoint)]
    return select(folder, source.checkpoints)


def named(out: Path, name: str) -> Checkpoint:
    """The checkpoint ``last``, ``best``, or of that name; ConfigError if it is missing."""
    if name in ("last", "best"):
        return select(out, name)[0]
    by_name = {one.manifest.name: one for one in complete(out)}
    if name not in by_name:
        raise ConfigError(f"{out}: no complete checkpoint '{name}'; there are {sorted(by_name)}")
    return by_name[name]


def rotate(out: Path, keep: int) -> None:
    """Delete the oldest complete checkpoints so that ``keep`` remain; the best and the last one
    stay and count among them.

    It lists the folder and remembers nothing, so a resumed run also removes checkpoints of earlier
    attempts.
    """
    checkpoints = complete(out)
    # The last one is where a continuation starts, the best one what later jobs may ask for.
    protected = {one.path for one in checkpoints[-1:]}
    ranked = with_rank(checkpoints)
    if ranked:
        protected.add(best(ranked).path)
    surplus = len(checkpoints) - keep
    for one in checkpoints:
        if surplus <= 0:
            return
        if one.path not in protected:
            shutil.rmtree(one.path)
            surplus -= 1
