"""Who a job is, in the variables that W&B, MLflow, TensorBoard and trackio read by themselves.

In: ``track.json`` of the run, ``job.json``, and the environment that the job came with. Out: that
environment with the variables in it, for an engine and for a user's command alike. Called by
attempt.py.

``WHO`` is set for every start, so that a name of another job that the shell happens to hold does
not get in; what the profile's or the stage's ``environment`` sets stays, and an empty text there
takes a variable out. ``LOCAL``, where points go, is set where nothing is set yet: a server that is
named where ``orch`` runs is a choice. Observed with wandb 0.31, mlflow 3.17, trackio 0.43 and
transformers 5.24.
"""

from __future__ import annotations

import os

from orchestrator.node.light.forms import fits
from orchestrator.node.light.standard import dumps, sha256, suppress
from orchestrator.node.own_results import axes_of
from orchestrator.node.system import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SETTINGS = "track.json"
"""In the run's folder."""
WHO = (
    "WANDB_PROJECT",
    "WANDB_NAME",
    "WANDB_RUN_GROUP",
    "WANDB_JOB_TYPE",
    "WANDB_TAGS",
    "WANDB_RUN_ID",
    "WANDB_RESUME",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_RUN_CONTEXT",
    "MLFLOW_RUN_ID",
)
"""Who the job is."""
LOCAL = (
    "WANDB_MODE",
    "WANDB_DIR",
    "MLFLOW_TRACKING_URI",
    "_MLFLOW_SERVER_ARTIFACT_ROOT",
    "TENSORBOARD_LOGGING_DIR",
    "TENSORBOARD_DIR",
    "TRACKIO_DIR",
    "MLFLOW_DISABLE_TELEMETRY",
)
"""Where its points go. MLflow's second is its own name for the folder of a database's artifacts;
without it they lie in the working folder. TensorBoard itself reads none: of its two the first is
read by transformers, the second by verl. By itself MLflow tells its makers that it is used."""
SET_HERE = "ORCH_TRACKING"
"""Names those of ``LOCAL`` that come from here: a job that launches another run passes them on, and
there they are no choice."""
LONGEST_TAG = 64
"""Of W&B, whose init() raises above it and at an empty one."""
DATABASE = "mlflow.db"
SAID = {
    "to": [str],
    "online": bool,
    "project": str,
    "group": str,
    "tags": [str],
    "uid": str,
    "said": {"*": [str]},
}
"""What the settings of a run must say."""


def with_trackers(
    environment: Mapping[str, str], folder: str, job: dict[str, Any]
) -> dict[str, str]:
    """The environment of a job's program with the variables of its trackers.

    Args:
        folder: the job's, in the run's. A run of an older version has no settings, and its jobs get
            nothing.
    """
    changed = dict(environment)
    settings = settings_of(folder)
    if settings is None:
        return changed
    base = os.path.join(folder, "out") if job.get("engine") else os.path.join(folder, "out/files")
    said = settings["said"].get(job.get("stage"), [])
    taken_over = changed.pop(SET_HERE, "").split(",")
    for name in taken_over:
        if name not in said:
            changed.pop(name, None)
    wanted = places(base, settings["online"])
    local = {name: value for name, value in wanted.items() if name not in changed}
    for name in WHO:
        if name not in said:
            changed.pop(name, None)
    who = identity(settings, job)
    for name, value in {**variables_of(who), **local}.items():
        changed.setdefault(name, value)
    if "MLFLOW_TRACKING_URI" in local and (earlier := mlflow_run(base, who["id"])):
        changed.setdefault("MLFLOW_RUN_ID", earlier)
    changed[SET_HERE] = ",".join(local)
    # W&B raises at an empty name or id: `WANDB_RUN_ID: ""` in a stage means none.
    return {name: value for name, value in changed.items() if value or name not in said}


def settings_of(folder: str) -> dict[str, Any] | None:
    """What the run says of trackers; None if it says nothing that can be read."""
    path = os.path.join(os.path.dirname(os.path.dirname(folder)), SETTINGS)
    with suppress(OSError, ValueError):
        settings: Any = read_json(path)
        if fits(settings, SAID):
            return dict(settings)
        print(f"orch: track: {path} is damaged: trackers get no identity of this job", flush=True)
    return None


def identity(settings: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Who the job is: the same for every start of it and every retry, another one for every other
    job of any run."""
    axes = axes_of(job)
    # With its work in it: a stage that changes under the same name is another line in a picture.
    parts = [settings["uid"], job["name"], job.get("identity") or ""]
    tags = [*(f"{axis}={value}" for axis, value in axes.items()), *settings["tags"]]
    return {
        "project": settings["project"],
        "group": settings["group"],
        "name": job["name"],
        "job_type": job.get("stage") or job["name"],
        "tags": list(dict.fromkeys(filter(None, map(tag, tags)))),
        "axes": axes,
        # Letters and digits: W&B takes few others.
        "id": sha256("\n".join(parts).encode()).hexdigest()[:16],
    }


def tag(text: str) -> str:
    """As W&B takes one: it splits them at commas."""
    return " ".join(text.replace(",", " ").split())[:LONGEST_TAG].strip()


def variables_of(who: dict[str, Any]) -> dict[str, str]:
    """The identity in variables."""
    context = {
        **{axis: str(value) for axis, value in who["axes"].items()},
        "mlflow.runName": who["name"],
        "orch.run": who["group"],
        "orch.stage": who["job_type"],
        "orch.id": who["id"],
    }
    found = {
        "WANDB_PROJECT": who["project"],
        "WANDB_NAME": who["name"],
        "WANDB_RUN_GROUP": who["group"],
        "WANDB_JOB_TYPE": who["job_type"],
        "WANDB_TAGS": ",".join(who["tags"]),
        "WANDB_RUN_ID": who["id"],
        "WANDB_RESUME": "allow",
        "MLFLOW_EXPERIMENT_NAME": who["project"],
        # Tags of every run that the job starts; the name is one of them.
        "MLFLOW_RUN_CONTEXT": dumps(context),
    }
    return {name: value for name, value in found.items() if value}


def places(base: str, online: bool) -> dict[str, str]:
    """Where points go: the job's own folder. What is online for W&B is for MLflow and trackio a
    server that their variables name; only a person knows which."""
    told_to_makers = {} if online else {"MLFLOW_DISABLE_TELEMETRY": "true"}
    return {
        **told_to_makers,
        "WANDB_MODE": "online" if online else "offline",
        "WANDB_DIR": base,
        "MLFLOW_TRACKING_URI": f"sqlite:///{os.path.join(base, DATABASE)}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": os.path.join(base, "mlartifacts"),
        "TENSORBOARD_LOGGING_DIR": os.path.join(base, "tensorboard"),
        "TENSORBOARD_DIR": os.path.join(base, "tensorboard"),
        "TRACKIO_DIR": os.path.join(base, "trackio"),
    }


def mlflow_run(base: str, own_id: str) -> str:
    """The run that an earlier start of the job has begun in its own database, if it is one alone:
    with MLFLOW_RUN_ID set to it the next start goes on with it. Without a database "": MLflow
    raises at an id that it does not know."""
    path = os.path.join(base, DATABASE)
    if not os.path.exists(path):
        return ""
    import contextlib
    import sqlite3

    query = (
        "SELECT runs.run_uuid FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid WHERE "
        "tags.key = 'orch.id' AND tags.value = ? AND runs.lifecycle_stage = 'active'"
    )
    # Whatever is wrong with it, the job goes on: MLflow then begins another run.
    with suppress(sqlite3.Error):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
            found = opened.execute(query, (own_id,)).fetchall()
        return str(found[0][0]) if len(found) == 1 else ""
    return ""
