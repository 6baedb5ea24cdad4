"""Which models are evaluated, and how each gets into the engine.

In: the config. Out: the base and one model per training, checked: weights are those of their
manifest, adapters are whole and of this base. Called first, before vLLM is started.

If vLLM can serve every adapter beside the base, it does. Otherwise every model's weights are loaded
in turn, those of an adapter merged in float32: vLLM refuses adapters that carry whole modules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract import checkpoints
from engines.contract.checkpoints import CheckpointSource, Manifest
from engines.contract.config import ConfigError
from engines.contract.results import ResultSource, read_results
from engines.polychromic_evaluation.config import Config
from engines.shared.loaded_weights import check_weights
from engines.shared.whole_model import whole_model

BASE = "base"
TRAINING = "polychromic"
"""The engine whose jobs are evaluated."""
DESCRIPTION = "adapter_config.json"

Axes = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Model:
    """One model to evaluate."""

    name: str
    """Of its folder below ``models/``."""
    job: str | None
    """The training; None for the base."""
    axes: Axes
    folder: Path
    """A Hugging Face folder, or an adapter's."""
    fingerprint: str
    """Of what lies in the folder."""
    manifest: Manifest | None
    """None for a folder that no job of ours has made."""

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds an adapter of the base, and no model."""
        return (self.folder / DESCRIPTION).is_file()


@dataclass(frozen=True)
class Models:
    """What is evaluated, the base first."""

    all: tuple[Model, ...]
    missing: tuple[str, ...]
    """Trainings without a result, in words."""

    @property
    def base(self) -> Model:
        """What the trainings began with."""
        return self.all[0]

    @property
    def adapter_rank(self) -> int | None:
        """The highest rank of the adapters, if all trained models are adapters that vLLM serves;
        None if weights must be loaded instead."""
        ranks = []
        for model in self.all[1:]:
            rank = served_rank(model)
            if rank is None:
                return None
            ranks.append(rank)
        return max(ranks, default=None)


def served_rank(model: Model) -> int | None:
    """The rank of an adapter that vLLM can serve beside the base; None for any other model."""
    if not model.is_adapter:
        return None
    described = read_description(model.folder)
    if described.get("modules_to_save"):
        return None
    return int(described["r"])


def read_description(folder: Path) -> dict[str, Any]:
    """PEFT's description of an adapter; ConfigError if it is none."""
    path = folder / DESCRIPTION
    try:
        described = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make the checkpoint again") from error
    if not isinstance(described, dict) or not isinstance(described.get("r"), int):
        raise ConfigError(f"{path}: describes no adapter with a rank; make the checkpoint again")
    return described


def find_models(config: Config) -> Models:
    """The base and the trained models, all checked. ConfigError names what cannot be evaluated."""
    base = base_of(config)
    trained: list[Model] = []
    missing: list[str] = []
    for source in config.inputs:
        if not (Path(source.folder) / "results.json").is_file():
            missing.append(f"{source.job}: has no results, so it is not evaluated")
        elif read_results(Path(source.folder))[1]["engine"] == TRAINING:
            trained.append(trained_model(source, config.checkpoint))
    names = [model.name for model in [base, *trained]]
    if len(set(names)) < len(names):
        raise ConfigError(f"inputs: two jobs lead to one folder: {', '.join(sorted(names))}")
    for model in [base, *trained]:
        check_weights(model.name, model.folder, model.manifest)
    check_adapters(base, [model for model in trained if model.is_adapter])
    return Models((base, *trained), tuple(missing))


def base_of(config: Config) -> Model:
    """The model before any training."""
    axes: Axes = {"model": BASE}
    if isinstance(config.base, CheckpointSource):
        found = checkpoints.named(Path(config.base.folder), config.base.checkpoint)
        fingerprint = found.manifest.fingerprint
        return Model(BASE, None, axes, found.whole_model(), fingerprint, found.manifest)
    folder = Path(config.base)
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"base: {folder} is no Hugging Face folder (no config.json in it); download it first "
            "and name its folder"
        )
    try:
        return Model(BASE, None, axes, folder, checkpoints.fingerprint(folder), None)
    except FileNotFoundError as error:
        raise ConfigError(f"base: {error}") from error


def trained_model(source: ResultSource, checkpoint: str) -> Model:
    """The checkpoint of one training."""
    found = checkpoints.named(Path(source.folder), checkpoint)
    # Slashes and blanks would make folders in folders, or names that a shell splits.
    name = re.sub(r"[^\w.=,+-]+", "-", source.job)
    axes: Axes = {**source.axes, "model": "trained"}
    return Model(name, source.job, axes, found.model, found.manifest.fingerprint, found.manifest)


def check_adapters(base: Model, adapters: list[Model]) -> None:
    """ConfigError unless each adapter was trained on the base and has all of its tensors.

    vLLM checks neither: an adapter goes onto any base of the same shape, and a tensor that is not
    there counts as 0.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from engines.shared.language_model.lora import read_adapter

    for adapter in adapters:
        # Without memory for the weights: only names, shapes and the base are looked at.
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.folder))
        read_adapter(model, adapter.folder, base.fingerprint)


def merged_weights(base: Model, adapter: Model) -> Iterator[tuple[str, Any]]:
    """Weights of the base with an adapter in them, by their Hugging Face names; added up in
    float32. It takes the memory of the whole base in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    from engines.shared.language_model.lora import merged_state, read_adapter

    model = whole_model(AutoModelForCausalLM, base.folder, dtype=torch.float32)
    read_adapter(model, adapter.folder, base.fingerprint)
    yield from merged_state(model)
