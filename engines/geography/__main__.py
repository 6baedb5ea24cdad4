"""``python -m engines.geography CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.geography.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Train; the heavy imports happen only when there is something to do."""
    from engines.geography.training import train

    train(config, out, stop)


if __name__ == "__main__":
    leave(program("geography", Config, run))
