"""Weights & Biases, if asked for; ``progress.jsonl`` is always there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.files import write_text
from engines.ppo.config import Config
from engines.shared.inference import sample_seed


class Tracker:
    """Sends metrics to W&B (``offline`` writes them below ``out/wandb``). The run id is kept for a
    continued run."""

    def __init__(self, config: Config, out: Path) -> None:
        self.run: Any = None
        if config.wandb == "off":
            return
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                f"wandb: {config.wandb} needs the package wandb (extra 'wandb')"
            ) from error
        path = out / "wandb-run-id.txt"
        if not path.exists():
            write_text(path, f"{sample_seed(str(out.resolve()), path.parent.stat().st_ino):016x}")
        self.run = wandb.init(
            project=config.wandb_project,
            id=path.read_text(),
            resume="allow",
            mode=config.wandb,
            dir=out,
            config=config.model_dump(),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Send one point."""
        if self.run is not None:
            self.run.log({**metrics, "step": step})

    def finish(self) -> None:
        """Flush and close."""
        if self.run is not None:
            self.run.finish()
