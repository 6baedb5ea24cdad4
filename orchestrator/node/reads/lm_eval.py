"""Results of lm-eval: ``results_<time>.json``, written once at the end.

In: its ``--output_path``. Out: a row for each metric and filter of each task, and of each group on
an axis of its own. Called by ``kinds``. Observed with lm-eval 0.4.13.
"""

from __future__ import annotations

import os

from orchestrator.node.reads.files import Place, read_object
from orchestrator.node.reads.series import Found, number, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]

STANDARD_ERROR = "_stderr"
NO_FILTER = "none"


def read_lm_eval(place: Place, final: bool) -> Found:
    """The results of all files; of a task that was done again the later ones."""
    found = Found()
    # The time is in the name; the folder has the name of the model.
    files = sorted(place.below("results_*.json"), key=os.path.basename)
    documents = []
    for path in files:
        document = read_object(path)
        if document is not None and isinstance(document.get("results"), dict):
            documents.append(document)
        elif final:
            found.problems.append(f"{place.shown(path)}: not whole, or no results of lm-eval")
    models = {str(one.get("model_name")) for one in documents}
    for document in documents:
        axes = {"model": str(document.get("model_name"))} if len(models) > 1 else {}
        found.rows += rows_of(document, axes)
    return found


def rows_of(document: dict[str, Any], axes: dict[str, str]) -> list[Row]:
    """The rows of one file."""
    # Groups stand among the tasks that they are a mean of: as tasks they would count twice.
    groups = document.get("groups")
    groups = groups if isinstance(groups, dict) else {}
    rows = []
    for task, values in document["results"].items():
        if isinstance(values, dict):
            own = {"group" if task in groups else "task": task}
            rows += rows_of_task(values, {**axes, **own}, samples(document, task))
    return rows


def rows_of_task(values: dict[str, Any], axes: dict[str, str], n: int) -> list[Row]:
    """The rows of one task or group: its values stand under ``metric,filter``."""
    rows = []
    for key, value in values.items():
        metric, comma, chosen = key.partition(",")
        if not comma or metric.endswith(STANDARD_ERROR):
            continue
        row: Row = {"metric": metric, "n": n, "axes": axes}
        if chosen != NO_FILTER:
            row["axes"] = {**axes, "filter": chosen}
        row["value"] = number(value)
        if row["value"] is None:
            row["error"] = f"lm-eval has written {value!r}"
        # "N/A" where there is none.
        row["spread"] = number(values.get(f"{metric}{STANDARD_ERROR},{chosen}"))
        rows.append(row)
    return rows


def samples(document: dict[str, Any], task: str) -> int:
    """How many documents a task or group was judged on; ``--limit`` leaves some out."""
    counted = document.get("n-samples")
    counts = counted if isinstance(counted, dict) else {}
    if task in counts:
        return whole(counts[task].get("effective")) or 0
    below = document.get("group_subtasks", {}).get(task, [])
    return sum(samples(document, one) for one in below if one != task)
