"""``python -m engines.geography_data CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.geography_data.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Make the data; the heavy imports happen only when there is something to do."""
    from engines.geography_data.making import make

    make(config, out, stop)


if __name__ == "__main__":
    leave(program("geography_data", Config, run))
