"""Bring the runs that jobs have kept in databases of their own into one place, by the library.

    python -m engines.shared.tracking.send mlflow|trackio DATABASE ...

In: databases that MLflow or trackio have written. Out: the same runs at the server that
MLFLOW_TRACKING_URI names, or in the folder TRACKIO_DIR. `orch track sync` starts it with a Python
that has the library (``orchestrator/storage/send_tracked.py``).
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

SOURCE = "orch.source"
"""Tag of a run at the server: the id that it had in its job's own database."""
SET_BY_MLFLOW = ("mlflow.log-model.history",)
"""Tags that name files of the other store."""


def send_mlflow(database: Path) -> int:
    """Copy every run of a database; sent again it is the same run, with what is new. Returns how
    many there were."""
    from mlflow import MlflowClient

    here, there = MlflowClient(f"sqlite:///{database}"), MlflowClient()
    sent = 0
    for experiment in here.search_experiments():
        for run in here.search_runs([experiment.experiment_id]):
            send_mlflow_run(here, there, experiment.name, run)
            sent += 1
    return sent


def send_mlflow_run(here: Any, there: Any, project: str, run: Any) -> None:
    """Copy one run: tags, parameters, all values of its metrics, artifacts, and how it ended."""
    known = there.get_experiment_by_name(project)
    number = known.experiment_id if known else there.create_experiment(project)
    source = run.info.run_id
    found = there.search_runs([number], f"tags.`{SOURCE}` = '{source}'", max_results=1)
    if found:
        own = found[0].info.run_id
    else:
        tags = {key: value for key, value in run.data.tags.items() if key not in SET_BY_MLFLOW}
        made = there.create_run(
            number,
            start_time=run.info.start_time,
            tags={**tags, SOURCE: source},
            run_name=run.info.run_name,
        )
        own = made.info.run_id
    for key, value in run.data.params.items():
        there.log_param(own, key, value)
    for key in run.data.metrics:
        # A value with the same time and step is the same one, so nothing is there twice.
        there.log_batch(own, metrics=here.get_metric_history(source, key))
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    if artifacts.is_dir():
        there.log_artifacts(own, str(artifacts))
    there.set_terminated(own, run.info.status, run.info.end_time)


def send_trackio(database: Path) -> int:
    """Log every run of a database again, into the folder's. Returns how many there were."""
    import trackio

    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
        configs = dict(opened.execute("SELECT run_name, config FROM configs").fetchall())
    runs: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for name, step, metrics in rows:
        runs.setdefault(name, []).append((step, json.loads(metrics)))
    for name, points in runs.items():
        config = json.loads(configs.get(name, "{}"))
        run = trackio.init(
            project=database.stem,
            name=name,
            group=config.get("_Group"),
            # What begins so is trackio's own.
            config={key: value for key, value in config.items() if not key.startswith("_")},
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        for step, metrics in points:
            run.log(metrics, step=step)
        run.finish()
    return len(runs)


def main(kind: str, databases: list[str]) -> int:
    """Send each database."""
    send = {"mlflow": send_mlflow, "trackio": send_trackio}[kind]
    sent = sum(send(Path(database)) for database in databases)
    print(f"\nruns: {sent}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
