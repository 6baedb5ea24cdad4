"""What an evaluation works on: the models, and the problems that they are to solve.

In: the config. Out: the models that one engine can serve, and ``Inputs``. ``__main__.py`` calls it
before anything is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.contract.checkpoints import Manifest, selected_by
from engines.contract.config import ConfigError
from engines.evaluation.config import Config
from engines.shared.model_shapes import refusals
from engines.shared.suites.items import Item


@dataclass(frozen=True)
class Model:
    """One model to evaluate; ``manifest`` is None for a plain Hugging Face folder."""

    name: str
    folder: Path
    manifest: Manifest | None


@dataclass(frozen=True)
class Inputs:
    """What one start of the engine works on."""

    config: Config
    out: Path
    models: Sequence[Model]
    items: Sequence[Item]

    @property
    def samples(self) -> int:
        """Samples of all models that there will be in the end."""
        return len(self.models) * sum(item.samples for item in self.items)


def models_of(config: Config) -> list[Model]:
    """The models to evaluate, lowest step first."""
    if isinstance(config.models, str):
        return [Model("model", Path(config.models), None)]
    return [Model(one.manifest.name, one.model, one.manifest) for one in selected_by(config.models)]


@dataclass(frozen=True)
class Refused:
    """A model that is not evaluated, and why."""

    model: Model
    reason: str

    def __str__(self) -> str:
        return f"checkpoint '{self.model.name}' ({self.model.folder}) was refused: {self.reason}"


def sort_out(models: Sequence[Model]) -> tuple[list[Model], list[Refused]]:
    """The models that one engine can serve, and those that it would break on; ConfigError if none
    is left."""
    # Before anything is generated: vLLM refuses such weights too, and is broken for the good
    # checkpoints that come after them.
    reasons = refusals({model.name: model.folder for model in models})
    good = [model for model in models if model.name not in reasons]
    refused = [Refused(model, reasons[model.name]) for model in models if model.name in reasons]
    if not good:
        raise ConfigError("; ".join(map(str, refused)))
    return good, refused
