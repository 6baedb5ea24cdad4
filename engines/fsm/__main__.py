"""``python -m engines.fsm CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.fsm.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Train; the heavy imports happen only when there is something to do."""
    from engines.fsm.training import train

    train(config, out, stop)


if __name__ == "__main__":
    leave(program("fsm", Config, run))
