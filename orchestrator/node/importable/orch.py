"""What a training script says to orch and asks of it, in a line each.

    import orch

    for step in range(start, total):
        ...
        orch.progress(step + 1, total, loss=loss)
        if orch.stop_requested():
            save(...)
            orch.requeue()
    orch.result("accuracy", 0.91, n=500)

It is one file of the standard library, and lies on the import path of every command that orch
starts, whatever environment that runs in. Outside of orch the same script runs as it is: nothing is
written but what it saves itself below ``out()``.

In: the environment variables ``ORCH_*``. Out: ``progress.jsonl``, ``results.json`` and
``checkpoints/<name>/`` in ``$ORCH_OUT``, in the form of docs/own-script.md; a script in another
language, or one that must import nothing, may write the same files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

REQUEUE = 75
"""Exit code of a program that has saved where it stands and is to be started again."""
OUTSIDE = "orch-out"
"""The folder that ``out()`` gives outside of orch, below the working folder."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".npz")

Scalar = str | int | float | bool
_stop = False
_listening = False


def inside() -> bool:
    """Whether orch has started this program."""
    return "ORCH_OUT" in os.environ


def axes() -> dict[str, Scalar]:
    """What tells this job apart: ``{"lr": 0.001, "seed": 0}``; empty outside of orch."""
    found: dict[str, Scalar] = json.loads(os.environ.get("ORCH_AXES", "{}"))
    return found


def out() -> Path:
    """The folder that this job may write into; it is there."""
    folder = _out()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def needs() -> dict[str, Path]:
    """The folders of the jobs that this one follows, by their names."""
    found = json.loads(os.environ.get("ORCH_NEEDS", "{}"))
    return {name: Path(folder) for name, folder in found.items()}


def checkpoints() -> list[Path]:
    """The folders of the checkpoints that this job is for, lowest step first: of a stage with
    ``checkpoints``."""
    return [Path(one["path"]) for one in json.loads(os.environ.get("ORCH_CHECKPOINTS", "[]"))]


def progress(
    step: int, total: int | None = None, *, phase: str = "train", **metrics: float
) -> None:
    """Say how far the work is, and what was measured.

    Args:
        step: done so far, from 1; a later start may repeat steps, then its own values count.
        total: of the whole work, where it is known.
        phase: what the steps are of, such as ``validation``.
        metrics: numbers; of those that are not finite nothing is drawn.
    """
    if not _writes():
        return
    line: dict[str, Any] = {"step": int(step), "total": total, "time": time.time(), "phase": phase}
    line["metrics"] = {name: _number(value) for name, value in metrics.items()}
    # Opened for each line, so that other nodes see it on a network file system. A line that a kill
    # has torn is ended first.
    path = out() / "progress.jsonl"
    with path.open("ab") as file:
        torn = file.tell() > 0 and not _ends_with_newline(path)
        file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")


def result(
    metric: str,
    value: float | None,
    n: int = 1,
    *,
    spread: float | None = None,
    error: str | None = None,
    **own_axes: Scalar,
) -> None:
    """Leave one result; the same metric and axes again replace it.

    Args:
        metric: its name; a gate needs it under ``metrics`` of the stage.
        value: None where it could not be computed, with ``error``: never 0 for "could not".
        n: how many independent units (problems, seeds) it is taken over.
        spread: its standard error.
        own_axes: what tells several values of one metric apart, such as ``task="math"``.
    """
    if value is None and error is None:
        raise ValueError(f"result {metric}: without a value it needs error=, why there is none")
    if not _writes():
        return
    row: dict[str, Any] = {"metric": metric, "n": int(n), "axes": own_axes, "error": error}
    row["value"] = None if value is None else _number(value)
    row["spread"] = None if spread is None else _number(spread)
    path = out() / "results.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    kept = [one for one in rows if (one["metric"], one["axes"]) != (metric, own_axes)]
    _write_json(path, {"schema": 1, "rows": [*kept, row]})


def checkpoint(
    name: str,
    path: str | os.PathLike[str],
    step: int,
    *,
    epoch: int = 0,
    best_by: str | None = None,
    better: Literal["higher", "lower"] = "higher",
    **metrics: float,
) -> Path:
    """Make a checkpoint that is whole: evaluations and ``orch evolve`` find it from now on.

    Args:
        name: of the checkpoint; one of that name is replaced.
        path: the file or folder that the script has saved. Below ``out()`` it is moved into the
            checkpoint, as a link would change with a file that is written anew; elsewhere it is
            copied.
        step: optimiser steps taken.
        epoch: of the training, where it has some.
        best_by: which of ``metrics`` says what the best checkpoint is.
        better: which values of it are.
        metrics: at this moment.

    Returns:
        The folder of the model; outside of orch ``path`` as it is.
    """
    source = Path(path)
    if best_by is not None and best_by not in metrics:
        raise ValueError(f"checkpoint {name}: best_by={best_by} is none of its metrics")
    if not _writes():
        return source
    said: dict[str, Any] = {"name": name, "step": int(step), "epoch": int(epoch)}
    said["metrics"] = {key: _number(value) for key, value in metrics.items()}
    said |= {"rank_by": best_by, "better": better if best_by is not None else None}
    return _save(name, source, said)


def latest_checkpoint() -> Path | None:
    """The newest whole checkpoint of this job, to go on from; None at the first start."""
    found = []
    # Asking makes no folder.
    for path in (_out() / "checkpoints").glob("*/manifest.json"):
        if path.parent.name.startswith(".") or path.parent.is_symlink():
            continue
        with contextlib.suppress(ValueError, KeyError, OSError):
            found.append((json.loads(path.read_text())["step"], path.parent / "model"))
    return max(found)[1] if found else None


def stop_requested() -> bool:
    """Whether orch, Slurm or a person wants this program to stop soon: before the time limit,
    at a preemption, at ``orch cancel``. Ask it once a step; the first call begins to listen."""
    global _listening
    if not _listening:
        _listening = True
        for number in (signal.SIGTERM, signal.SIGUSR2):
            # In a thread other than the main one Python refuses it; then nothing is heard.
            with contextlib.suppress(ValueError):
                signal.signal(number, _request)
    return _stop


def requeue() -> NoReturn:
    """End now, to be started again where the time limit or a preemption asked for the stop. Save
    before."""
    # A launcher of several processes, such as torchrun, ends with 1 whatever these ended with.
    if "ORCH_REQUEUE" in os.environ:
        Path(os.environ["ORCH_REQUEUE"]).touch()
    sys.exit(REQUEUE)


def _request(_number: int, _frame: FrameType | None) -> None:
    global _stop
    # No work in a handler: it may come in the middle of a save.
    _stop = True


def _out() -> Path:
    """The folder of ``out()``, which may not be there."""
    return Path(os.environ.get("ORCH_OUT", OUTSIDE))


def _writes() -> bool:
    """Whether this process writes: inside of orch, and of several ranks the first one."""
    return inside() and os.environ.get("RANK", "0") == "0"


def _number(value: Any) -> float | int:
    """A plain number: numpy's and torch's scalars are turned into one."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise TypeError(f"a number is expected, got {plain!r}")
    return plain


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _write_json(path: Path, value: object) -> None:
    """Whole, by rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(_finite(value), indent=1, allow_nan=False))
    temporary.replace(path)


def _finite(value: Any) -> Any:
    """Rows and manifests without numbers that JSON has not."""
    if isinstance(value, dict):
        fixed = {key: _finite(one) for key, one in value.items()}
        if fixed.get("value", 0) is None and fixed.get("error", 0) is None:
            fixed["error"] = f"the value was {value['value']}"
        return fixed
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _save(name: str, source: Path, said: dict[str, Any]) -> Path:
    """The files, then the manifest with what is said of them, then the name; the folder of the
    model."""
    folder = out() / "checkpoints"
    hidden, final = folder / f".{name}.tmp", folder / name
    shutil.rmtree(hidden, ignore_errors=True)
    model = hidden / "model"
    model.mkdir(parents=True)
    _take_in(source, model, name)
    said |= {"format": _format(model), "fingerprint": _fingerprint(model), "complete": True}
    _write_json(hidden / "manifest.json", said)
    if final.exists():
        shutil.rmtree(final)
    # Whole from this moment: a folder without a manifest is no checkpoint.
    hidden.rename(final)
    return final / "model"


def _take_in(source: Path, model: Path, name: str) -> None:
    """Move or copy a file, or the files of a folder, into the checkpoint."""
    files = [source]
    if source.is_dir():
        files = sorted(one for one in source.rglob("*") if one.is_file())
    if not files or not source.exists():
        raise FileNotFoundError(f"checkpoint {name}: {source} holds no file")
    own = out().resolve() in source.resolve().parents
    for file in files:
        target = model / (file.relative_to(source) if source.is_dir() else file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if own:
            file.replace(target)
        else:
            shutil.copyfile(file, target)


def _format(model: Path) -> str:
    """What the files are, as far as their names say."""
    names = {file.name for file in model.iterdir()}
    if "adapter_config.json" in names:
        return "adapter"
    if "config.json" in names and any(name.endswith(".safetensors") for name in names):
        return "huggingface"
    return "files"


def _fingerprint(model: Path) -> str:
    """sha256 over names and bytes of the files with weights, or of all where none looks like
    one."""
    files = sorted(one for one in model.rglob("*") if one.is_file())
    weights = [one for one in files if one.suffix in WEIGHTS]
    digest = hashlib.sha256()
    for file in weights or files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
