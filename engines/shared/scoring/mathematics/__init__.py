"""Mathematical answers: ``strict`` judges as a mathematician would, ``guru`` as published."""

from engines.shared.scoring.mathematics.guru import guru
from engines.shared.scoring.mathematics.strict import gold_of, strict

__all__ = ["gold_of", "guru", "strict"]
