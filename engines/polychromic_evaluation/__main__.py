"""``python -m engines.polychromic_evaluation CONFIG --out FOLDER``."""

from __future__ import annotations

from pathlib import Path

from engines.contract.program import Stop, leave, program
from engines.polychromic_evaluation.config import Config


def run(config: Config, out: Path, stop: Stop) -> None:
    """Evaluate; the heavy imports happen only when there is something to do."""
    from engines.polychromic_evaluation.evaluation import evaluate

    evaluate(config, out, stop)


if __name__ == "__main__":
    leave(program("polychromic_evaluation", Config, run))
