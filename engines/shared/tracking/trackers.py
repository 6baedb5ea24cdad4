"""One class for each tracker: a run is begun, points are logged, it is ended.

In: who the job is, and points. Out: what the library writes, where its own variables say
(``orchestrator/node/tracking/variables.py`` sets them). Called by ``follow``. Each library is
imported where it is used: a job may have any of them.

A tracker whose files are the job's own is begun anew at every start, and gets the whole progress:
then there is one curve, without the steps that a later start has done again. One that goes on with
an earlier run (``goes_on``) gets what it has not got.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from engines.shared.tracking.points import Point

LONGEST_PARAMETER = 500
"""Characters of a value of a config at MLflow, whose limit was 500 before 2.10."""
STOPPED = 75
"""Exit code of an engine that will be started again."""


class Tracker(Protocol):
    """What a tracker does."""

    goes_on: bool
    """Whether an earlier start's points are in it already."""

    def log(self, point: Point) -> None:
        """Log one point."""

    def flush(self) -> None:
        """Have what was logged written."""

    def finish(self, code: int, /) -> None:
        """End the run with the exit code of the engine."""


class Wandb:
    """Weights & Biases."""

    def __init__(self, who: dict[str, Any], config: dict[str, Any], out: Path) -> None:
        for name, value in {
            "WANDB_SILENT": "true",
            "WANDB_CONSOLE": "off",
            # Of this program, not of the engine.
            "WANDB_DISABLE_GIT": "true",
            "WANDB_DISABLE_CODE": "true",
        }.items():
            os.environ.setdefault(name, value)
        import wandb

        # Project, name, group, job type, tags, id, mode and folder are read from the environment,
        # where a person may have changed them.
        self.run = wandb.init(config={**config, **who["axes"]})
        # W&B's own step counts calls and never goes back; ours is a value like the others.
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")
        self.goes_on = not self.run.offline
        if not self.goes_on:
            own = Path(self.run.dir).parent
            for folder in own.parent.glob(f"offline-run-*-{self.run.id}"):
                if folder != own and out in folder.parents:
                    shutil.rmtree(folder, ignore_errors=True)

    def log(self, point: Point) -> None:
        """Log one point."""
        self.run.log({**point.metrics, "step": point.step})

    def flush(self) -> None:
        """Its own process does that."""

    def finish(self, code: int) -> None:
        """End the run."""
        self.run.finish(exit_code=code)


class Mlflow:
    """MLflow: a database of the job's own, or a server."""

    goes_on = True

    def __init__(self, who: dict[str, Any], config: dict[str, Any], _out: Path) -> None:
        import mlflow

        self.library = mlflow
        self.client = mlflow.MlflowClient()
        known = os.environ.get("MLFLOW_RUN_ID") or self.known(who)
        # Without an id the name and the tags of the environment (MLFLOW_RUN_CONTEXT) are taken.
        self.run_id = mlflow.start_run(run_id=known).info.run_id
        if known is None:
            mlflow.log_params(
                {key: str(value)[:LONGEST_PARAMETER] for key, value in config.items()}
            )

    def known(self, who: dict[str, Any]) -> str | None:
        """The run that an earlier start has begun on a server; of the job's own database it is in
        the environment already."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", who["project"])
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            return None
        found = self.client.search_runs(
            [experiment.experiment_id], f"tags.`orch.id` = '{who['id']}'", max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def log(self, point: Point) -> None:
        """Log one point. The same one twice is one: its time is that of the line."""
        metric = self.library.entities.Metric
        when = int(point.time * 1000)
        metrics = [
            metric(plain_name(name), value, when, point.step)
            for name, value in point.metrics.items()
        ]
        self.client.log_batch(self.run_id, metrics=metrics)

    def flush(self) -> None:
        """Each point is written at once."""

    def finish(self, code: int) -> None:
        """End the run."""
        status = {0: "FINISHED", STOPPED: "KILLED"}.get(code, "FAILED")
        self.library.end_run(status)


class Tensorboard:
    """TensorBoard's event files, in float32."""

    goes_on = False

    def __init__(self, who: dict[str, Any], _config: dict[str, Any], out: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event, self.summary = Event, Summary
        folder = Path(os.environ.get("TENSORBOARD_LOGGING_DIR") or out / "tensorboard")
        suffix = f".{who['id']}"
        for path in folder.glob(f"events.out.tfevents.*{suffix}"):
            path.unlink(missing_ok=True)
        self.writer = EventFileWriter(str(folder), filename_suffix=suffix)

    def log(self, point: Point) -> None:
        """Log one point."""
        values = [
            self.summary.Value(tag=name, simple_value=value)
            for name, value in point.metrics.items()
        ]
        summary = self.summary(value=values)
        self.writer.add_event(self.event(wall_time=point.time, step=point.step, summary=summary))

    def flush(self) -> None:
        """Have what was logged written."""
        self.writer.flush()

    def finish(self, _code: int, /) -> None:
        """End the file, which has no place for an exit code."""
        self.writer.close()


class Trackio:
    """trackio: a database of the job's own, or a Space or server that its variables name."""

    def __init__(self, who: dict[str, Any], config: dict[str, Any], out: Path) -> None:
        self.goes_on = any(map(os.environ.get, ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")))
        own = out / "trackio"
        if not self.goes_on and os.environ.get("TRACKIO_DIR") == str(own):
            shutil.rmtree(own, ignore_errors=True)
        import trackio

        self.run = trackio.init(
            project=who["project"],
            name=who["name"],
            group=who["group"],
            config={**config, **who["axes"]},
            resume="allow",
            embed=False,
            # Of this process, which does nothing.
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, point: Point) -> None:
        """Log one point."""
        self.run.log(dict(point.metrics), step=point.step)

    def flush(self) -> None:
        """Its own thread does that."""

    def finish(self, _code: int, /) -> None:
        """End the run, which has no place for an exit code."""
        self.run.finish()


TRACKERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Path], Tracker]] = {
    "wandb": Wandb,
    "mlflow": Mlflow,
    "tensorboard": Tensorboard,
    "trackio": Trackio,
}
"""By the word of ``track``."""


def plain_name(name: str) -> str:
    """A metric's name as MLflow takes it: letters, digits and ``_-. :/``."""
    return re.sub(r"[^\w\-. :/]", "_", name)
