"""A run for a notebook or a script: its jobs, results, curves, gates and costs as plain tables.

    import orchestrator

    run = orchestrator.load_run("sweep")
    run.wait()
    run.rows(metric="val_loss").to_pandas()

In: the name of a run, as commands take it. Out: a ``LoadedRun``. Nothing is kept between two calls:
each reads what there is now. What fails is an ``OrchError`` with a line that says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.contract.progress import read_progress
from orchestrator.api import waiting
from orchestrator.api.table import Table, with_axes
from orchestrator.lifecycle.refresh import refresh
from orchestrator.runs.documents.decisions import load_decision
from orchestrator.runs.lookup import all_runs, find_run, named, one_job, open_run, runs_root
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run

Names = str | Sequence[str] | None
"""One name, several, or None for all."""


def load_run(name: str | Path | None = None, runs: str | Path | None = None) -> LoadedRun:
    """Open a run.

    Args:
        name: an experiment (its newest run), ``experiment/run``, or a run's folder; None: the
            newest run.
        runs: the folder of the runs; None: ``$ORCH_RUNS``, else ``./runs``.

    Raises:
        OrchError: there is no such run.
    """
    root = None if runs is None else Path(runs).absolute()
    return LoadedRun(find_run(None if name is None else str(name), root))


def list_runs(folder: str | Path | None = None) -> Table:
    """The runs in a folder (None: ``$ORCH_RUNS``, else ``./runs``), newest launch last, as they
    were last seen: run, folder, cluster, created (Unix seconds), jobs, and how many are in each
    state."""
    rows = []
    for path in all_runs(runs_root() if folder is None else Path(folder).absolute()):
        run = open_run(path)
        states: dict[str, int] = {}
        for record in run.load():
            states[str(record.state)] = states.get(str(record.state), 0) + 1
        rows.append(
            {
                "run": run.name,
                "folder": str(run.folder),
                "cluster": run.profile.name or run.profile.kind,
                "created": run.created,
                "jobs": len(run.plan.jobs),
                "states": states,
            }
        )
    return Table(rows)


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """One run, as ``load_run`` and ``launch`` return it."""

    run: Run
    """What the commands work on; not part of what stays the same between versions."""

    @property
    def name(self) -> str:
        """``experiment/run``: what every command and ``load_run`` take."""
        return self.run.name

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.run.folder

    @property
    def stages(self) -> list[str]:
        """Its stages, in the order of the plan."""
        return list(dict.fromkeys(job.stage for job in self.run.plan.jobs))

    def __repr__(self) -> str:
        return f"<run {self.name}: {len(self.run.plan.jobs)} jobs>"

    def jobs(self, job: Names = None) -> Table:
        """A row per job, as `orch status --json` has it, with a column for each axis: job, stage,
        state, reason, started, ended, elapsed_seconds, step, total, log, ...

        Asks the scheduler as `orch status` does (an answer of the last seconds will do). RunError
        if there is no such job.
        """
        # Late, as it imports rich: a tenth of a second.
        from orchestrator.views.status import row

        now = time.time()
        rows = [row(self.run, record, now) for record in self.records(job)]
        return with_axes((values, values.pop("axes")) for values in rows)

    def rows(self, metric: Names = None, job: Names = None) -> Table:
        """The results of the jobs that are done, as `orch results` has them: a row per value, with
        job, stage, metric, value, n, low, high, spread, error, source, and a column for each axis.
        A value that is missing is None, and ``error`` says why.

        RunError if no result has the metric.
        """
        # Late, as it imports pydantic and YAML.
        from engines.contract.tidy import records
        from orchestrator.scores.results import gather

        lines, _, _ = gather(self.run, several(job), several(metric))
        return Table(records(lines))

    def curves(self, metric: Names = None, job: Names = None) -> Table:
        """The progress of the jobs: a row per step and metric, with job, stage, phase, step, total,
        time (Unix seconds; None: not told), metric, value, and a column for each axis."""
        wanted, metrics = named(self.run, several(job)), several(metric)
        rows: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for one in self.run.plan.jobs:
            if wanted is not None and one.name not in wanted:
                continue
            for line in read_progress(self.run.out_folder(one)):
                for name, value in line["metrics"].items():
                    if metrics is None or name in metrics:
                        point = {key: line[key] for key in ("phase", "step", "total", "time")}
                        own = {"job": one.name, "stage": one.stage, **point}
                        rows.append(({**own, "metric": name, "value": value}, one.axes))
        return with_axes(rows)

    def gates(self) -> Table:
        """What the gates have decided last: gate (a stage, or a job whose gate is its own),
        decision (``run``, ``skip`` or ``open``), text (why), time (Unix seconds), and inputs: what
        was asked, and the value that each judged job had."""
        found = [load_decision(self.run, key) for key in self.run.plan.gates]
        return Table(
            {
                "gate": one["stage"],
                **{key: one[key] for key in ("decision", "text", "time", "inputs")},
            }
            for one in found
            if one is not None
        )

    def costs(self, by: Sequence[str] = ("arm",)) -> Table:
        """Hours asked for, used and wasted, as `orch costs` has them: a row per stage and value of
        the axes ``by``. Hours are a lower bound while ``unknown`` is not 0."""
        # Late, as it imports rich.
        from orchestrator.views.costs.tables import spent

        found = spent(self.run, self.records(None), time.time(), by)
        rows = []
        for part in found.parts:
            values = asdict(part)
            rows.append((values, values.pop("axes")))
        return with_axes(rows)

    def problems(self) -> list[str]:
        """What commands have left that is no row, in words, with its job."""
        from orchestrator.scores.results import gather

        return gather(self.run, None, None)[2]

    def out(self, job: str) -> Path:
        """The folder that a job writes into: progress, results, checkpoints. RunError unless
        exactly one job is meant."""
        return self.run.out_folder(one_job(self.run, job))

    def wait(self, timeout: float | None = None, job: Names = None) -> bool:
        """Wait until the run (or these jobs or stages) is over; True if all have completed or were
        skipped by a gate, False if something failed or waits for a person.

        Interrupting it leaves the jobs alone.

        Args:
            timeout: seconds; None: as long as it takes.
            job: names of jobs or stages.

        Raises:
            TimeoutError: the time was up first.
        """
        found = waiting.wait(self.run, several(job), timeout)
        if not found.over:
            raise TimeoutError(f"{self.name}: not over after {timeout:g} s")
        return found.good

    def records(self, job: Names) -> list[Record]:
        """The records as they are now."""
        wanted = named(self.run, several(job))
        found, _ = refresh(self.run)
        return [one for one in found if wanted is None or one.name in wanted]


def several(names: Names) -> list[str] | None:
    """Names as a list."""
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)
