"""The published figures of the experiments at full size, which a replication is held against.

In: nothing, and the settings of the models. Out: ``PUBLISHED``, and whether a run is of full size.
Called by tables.py.

Sources: README and development logs of the public repository of Park 2025, "Convergent World
Representations and Divergent Tasks" (arXiv 2602.00533).
"""

from __future__ import annotations

from typing import NamedTuple

from engines.geography_report.load import Model
from engines.shared.geography.description import Shape

FULL_ROWS = {"no_atlantis": 20_000, "atlantis_required": 100_000}
"""Rows of each task of a model that is fine-tuned on new cities."""


class Figure(NamedTuple):
    """One published number."""

    key: str
    """What this report computes of the same kind; empty if it does not."""
    what: str
    value: str


PUBLISHED = (
    Figure(
        "single trained",
        "improvement, one task, trained cells",
        "0.838 +- 0.136",
    ),
    Figure("single transfer", "improvement, one task, transfer cells", "0.474 +- 0.292"),
    Figure("pair trained", "improvement, two tasks, trained cells", "0.897 +- 0.142"),
    Figure("pair transfer", "improvement, two tasks, transfer cells", "0.601 +- 0.278"),
    Figure("gain trained", "actual - best on the test, trained cells", "+0.054"),
    Figure("gain transfer", "actual - best on the test, transfer cells", "-0.019"),
    Figure(
        "gain with distance",
        "actual - best on the test, pairs with distance (168 cells)",
        "-0.185 +- 0.180",
    ),
    Figure(
        "gain without distance",
        "actual - best on the test, other pairs (420 cells)",
        "+0.077 +- 0.094",
    ),
    Figure("cka same 1", "CKA layer 5, one task, same task of another seed", "0.786"),
    Figure("cka other 1", "CKA layer 5, one task, different tasks", "0.655"),
    Figure("cka same 2", "CKA layer 5, two tasks, same tasks of another seed", "0.912"),
    Figure("cka other 2", "CKA layer 5, two tasks, no task in common", "0.873"),
    Figure("probe base 1", "probe R2, bases of one task (not crossing)", "0.61 to 0.99"),
    Figure("probe known", "probe error, two tasks, held-out cities, 0.1 degree", "18.6"),
    Figure("probe new without", "... new cities, without distance", "107.8"),
    Figure("probe new with", "... new cities, with distance", "508.3"),
    Figure("cka transfer", "CKA of two tasks' models against transfer between them", "r = 0.405"),
)


def is_full_size(model: Model) -> bool:
    """Whether a model that was fine-tuned on new cities has the published shape and rows."""
    # The defaults are the published ones; how long a sequence may be decides no answer.
    full = Shape(positions=model.config["shape"]["positions"]).model_dump()
    rows = {part["cities"]: part["rows"] for part in model.config["mixture"]}
    return model.config["shape"] == full and all(
        # The whole of a required set is what the published data have, too.
        rows.get(cities) in (count, "all")
        for cities, count in FULL_ROWS.items()
    )
