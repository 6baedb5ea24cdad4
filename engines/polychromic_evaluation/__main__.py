"""``python -m engines.polychromic_evaluation CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from engines.contract.program import Stop, program
from engines.polychromic_evaluation.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Evaluate; the heavy imports happen only when there is something to do."""
    from engines.polychromic_evaluation.evaluation import evaluate

    evaluate(config, out, stop)


if __name__ == "__main__":
    sys.exit(program("polychromic_evaluation", Config, run))
