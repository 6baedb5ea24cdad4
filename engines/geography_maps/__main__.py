"""``python -m engines.geography_maps CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.geography_maps.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Take the map; the heavy imports happen only when there is something to do."""
    from engines.geography_maps.maps import make_maps

    make_maps(config, out, stop)


if __name__ == "__main__":
    leave(program("geography_maps", Config, run))
