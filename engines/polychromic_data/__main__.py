"""``python -m engines.polychromic_data CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.polychromic_data.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Make the data; the heavy imports happen only when there is something to do."""
    from engines.polychromic_data.making import make

    make(config, out, stop)


if __name__ == "__main__":
    leave(program("polychromic_data", Config, run))
