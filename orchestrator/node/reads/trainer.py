"""What transformers' Trainer (and TRL's, which are of it) leaves: the history of metrics and the
folders ``checkpoint-N``.

In: its output folder, or one above it. Out: points, results, whole checkpoints. Called by
``kinds``.

The history lies in ``trainer_state.json``, which closes a checkpoint: written last, and only with
checkpoints. A resumed training cuts it back to where it resumed, so the newest file is the whole
truth. Observed with transformers 5.19 and 5.24, TRL 1.16.
"""

from __future__ import annotations

import math
import os
import re

from orchestrator.node.reads.files import Place, read_object
from orchestrator.node.reads.series import Found, Point, number, whole
from orchestrator.node.reads.tables import rows_of_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATE = "trainer_state.json"
BEING_WRITTEN = "checkpoint-is-incomplete.txt"
"""Lies in a checkpoint that is saved on a signal, until it is whole."""
RESULTS = "all_results.json"
"""What a script has saved with ``save_metrics``: among them what it computed of its own."""
WEIGHTS = (".safetensors", ".bin", ".ckpt")
ARGUMENTS = "training_args.bin"
EVALUATION, MEAN_LOSS = "eval_", "train_loss"


def read_trainer(place: Place, better: dict[str, str]) -> Found:
    """Progress, results and checkpoints of one Trainer.

    Args:
        better: of each metric that the stage names, which values are: the best checkpoint goes by
            the first that it has.
    """
    found = Found()
    outputs: dict[str, list[str]] = {}
    for path in place.below(STATE):
        outputs.setdefault(output_of(path), []).append(path)
    if not outputs:
        return evaluated_only(place)
    folder = newest_of(place, outputs, found)
    states = [(path, read_object(path)) for path in sorted(outputs[folder], key=age)]
    parsed = [
        (path, one) for path, one in states if one and isinstance(one.get("log_history"), list)
    ]
    if not parsed:
        return found
    newest = parsed[-1][1]
    total = whole(newest.get("max_steps")) or None
    found.points = history(newest, total)
    for path, state in parsed:
        one = checkpoint_of(os.path.dirname(path), state)
        if one is not None:
            one |= ranked_by(one["metrics"], newest, better)
            found.checkpoints.append(one)
            # Rows have no time of their own. This step had been reached when the file was written.
            found.points.append(Point(one["step"], {}, written(path), total))
    found.rows = rows_of(place, folder)
    hidden = hidden_nans(newest)
    if hidden:
        # The mean over all steps counts them as 0.0 too.
        spoil(found)
    found.problems += hidden
    return found


def evaluated_only(place: Place) -> Found:
    """What a script has saved that has trained nothing, or without checkpoints."""
    found = Found()
    outputs = {os.path.dirname(path): [path] for path in place.below(RESULTS)}
    if outputs:
        found.rows = rows_of(place, newest_of(place, outputs, found))
    return found


def newest_of(place: Place, outputs: dict[str, list[str]], found: Found) -> str:
    """The output folder that was written last; of others it is told that they are not read."""
    # By time before step: a training that was begun anew in a folder with older checkpoints has
    # lower steps.
    folder = max(outputs, key=lambda one: max(map(written, outputs[one])))
    if len(outputs) > 1:
        names = ", ".join(sorted(place.shown(one) for one in outputs))
        found.problems.append(
            f"several Trainers have written here ({names}); only the last, {place.shown(folder)}, "
            "is read: name one folder in 'path'"
        )
    return folder


def output_of(path: str) -> str:
    """The output folder that a state belongs to."""
    folder = os.path.dirname(path)
    return (
        os.path.dirname(folder)
        if re.fullmatch(r"checkpoint-\d+", os.path.basename(folder))
        else folder
    )


def written(path: str) -> float:
    """When a file was written; the beginning of time if it has been removed."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def age(path: str) -> tuple[float, int]:
    """What orders states: when they were written, then their number; the one beside the checkpoints
    is written after them."""
    match = re.search(r"checkpoint-(\d+)$", os.path.dirname(path))
    # Whole seconds would tie on some file systems, and then the number tells.
    return written(path), int(match[1]) if match else 2**62


def history(state: dict[str, Any], total: int | None) -> list[Point]:
    """The rows of ``log_history``. Training, evaluation and closing rows may be of one step: they
    have different metrics."""
    points = []
    for row in state["log_history"]:
        step = whole(row.get("step")) if isinstance(row, dict) else None
        if step is None:
            continue
        metrics = {
            key: value
            for key, one in row.items()
            if key != "step" and (value := number(one)) is not None
        }
        if hides_nan(metrics):
            metrics["loss"] = math.nan
        points.append(Point(step, metrics, None, total))
    return points


def hides_nan(metrics: dict[str, float]) -> bool:
    """Whether a loss that was not finite stands there as 0.0: ``logging_nan_inf_filter`` is on by
    default, and only the norm of the gradient shows it."""
    return metrics.get("loss") == 0.0 and not math.isfinite(metrics.get("grad_norm", 0.0))


def spoil(found: Found) -> None:
    """Make ``train_loss`` a missing value."""
    for point in found.points:
        if MEAN_LOSS in point.metrics:
            point.metrics[MEAN_LOSS] = math.nan
    for row in found.rows:
        if row["metric"] == MEAN_LOSS:
            row["value"] = math.nan


def hidden_nans(state: dict[str, Any]) -> list[str]:
    """What is to be said of such rows."""
    steps = [
        row["step"] for row in state["log_history"] if isinstance(row, dict) and hides_nan(row)
    ]
    if not steps:
        return []
    return [
        f"loss: 0.0 with a gradient that is not finite, first at step {steps[0]}: transformers "
        "writes so a loss that is not a number; taken as missing"
    ]


def checkpoint_of(folder: str, state: dict[str, Any]) -> dict[str, Any] | None:
    """A whole ``checkpoint-N``; None if it is not one (yet)."""
    name, step = os.path.basename(folder), whole(state.get("global_step"))
    if not re.fullmatch(r"checkpoint-\d+", name) or step is None:
        return None
    if os.path.exists(os.path.join(folder, BEING_WRITTEN)) or not weights_in(folder):
        return None
    rows = [row for row in state["log_history"] if isinstance(row, dict)]
    metrics = {
        key: value
        for row in rows
        if row.get("step") == step
        for key, one in row.items()
        if key not in ("step", "epoch") and (value := number(one)) is not None
    }
    if hides_nan(metrics):
        del metrics["loss"]
    metrics = {key: value for key, value in metrics.items() if math.isfinite(value)}
    # An epoch that is not over is none: 1.9 of 3 is the first.
    epoch = int((number(state.get("epoch")) or 0) + 1e-6)
    return {
        "name": name,
        "step": step,
        "epoch": epoch,
        "metrics": metrics,
        "folder": folder,
    }


def weights_in(folder: str) -> list[str]:
    """The files of weights of a checkpoint; none while old checkpoints are being removed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = [name for name in names if name.endswith(WEIGHTS) and name != ARGUMENTS]
    # transformers writes them under a hidden name first. A link to a file leads nowhere when the
    # framework has removed that.
    return [
        name
        for name in found
        if not name.startswith(".") and os.path.exists(os.path.join(folder, name))
    ]


def ranked_by(
    metrics: dict[str, float], newest: dict[str, Any], better: dict[str, str]
) -> dict[str, str | None]:
    """Which metric of a checkpoint says what the best one is, and which values are better, by the
    newest state."""
    for name, direction in better.items():
        if name in metrics:
            return {"rank_by": name, "better": direction}
    # The Trainer's own choice: it notes the best value, and not of which metric.
    best, step = number(newest.get("best_metric")), newest.get("best_global_step")
    rows = [row for row in newest["log_history"] if isinstance(row, dict)]
    found = {
        key
        for row in rows
        if row.get("step") == step and best is not None
        for key, value in row.items()
        if key.startswith(EVALUATION) and value == best
    }
    if len(found) == 1 and found <= metrics.keys():
        (name,) = found
        values = [value for row in rows if (value := number(row.get(name))) is not None]
        highest = best == max(values) != min(values)
        return {"rank_by": name, "better": "higher" if highest else "lower"}
    if "eval_loss" in metrics:
        return {"rank_by": "eval_loss", "better": "lower"}
    return {"rank_by": None, "better": None}


def rows_of(place: Place, folder: str) -> list[dict[str, Any]]:
    """What the script has saved of its results."""
    path = os.path.join(folder, RESULTS)
    values = read_object(path) if place.own([path] if os.path.exists(path) else []) else None
    return rows_of_object(values or {})
