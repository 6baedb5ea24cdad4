"""Reads what the jobs left and puts those together that differ only in their seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.contract.progress import read_progress
from engines.contract.results import ResultSource, Row, read_results
from engines.fsm_report.config import Config

Axes = dict[str, str | int | float | bool]


@dataclass
class Finished:
    """One job with results."""

    job: str
    rows: list[Row]
    document: dict[str, Any]
    progress: list[dict[str, Any]]

    def value(self, metric: str, axes: Axes) -> float | None:
        """The value of the row with exactly these axes; None if there is none or it could not be
        computed."""
        return next(
            (row.value for row in self.rows if row.metric == metric and row.axes == axes), None
        )


@dataclass
class Group:
    """The jobs that differ only in their seed."""

    name: str
    """Of its jobs, without the seed."""
    planned: int = 0
    finished: list[Finished] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Why its skipped jobs were skipped."""

    @property
    def engine(self) -> str:
        """The engine of its finished jobs; empty if there is none."""
        return str(self.finished[0].document["engine"]) if self.finished else ""

    def values(self, metric: str, axes: Axes) -> list[float]:
        """One value per seed that has it."""
        return [value for one in self.finished if (value := one.value(metric, axes)) is not None]

    @property
    def config(self) -> dict[str, Any]:
        """The config of its first job."""
        found: dict[str, Any] = self.finished[0].document["config"]
        return found

    @property
    def recipe(self) -> str:
        """``published`` or ``tuned``: which of the optimiser's settings its config starts from."""
        return str(self.config.get("recipe", "published"))

    @property
    def settings(self) -> str:
        """The optimiser's settings in words; of probes those of the networks that they look
        into."""
        document = self.finished[0].document
        if self.engine == "probe":
            folder = Path(self.config["models"]["folder"])
            if not (folder / "results.json").exists():
                return "unknown"
            document = read_results(folder)[1]
        return str(document["facts"].get("settings", "unknown"))

    @property
    def machines(self) -> str:
        """What it was trained on: ``5s5a``, with ``absorbing`` where that is so; sizes of its own
        show the walks' lengths too."""
        facts = self.finished[0].document["facts"]
        sizes = facts["data"]["machines"] if self.engine == "probe" else facts["machines"]
        lengths = f" (walks of {sizes['demonstration_length']}, query of {sizes['query_length']})"
        named = isinstance(self.config.get("machines", ""), str)
        return f"{sizes['states']}s{sizes['actions']}a{' absorbing' if sizes['absorbing'] else ''}{'' if named else lengths}"


@dataclass
class Found:
    """Everything that the jobs left."""

    groups: dict[str, Group] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """What is not there or could not be computed, in words."""
    files: list[Path] = field(default_factory=list)

    @property
    def skipped(self) -> list[str]:
        """The groups with skipped jobs: how many, and why the first."""
        return [
            f"{group.name}: {len(group.skipped)} of {group.planned} jobs: {group.skipped[0]}"
            for group in self.groups.values()
            if group.skipped
        ]

    def of(self, engine: str) -> list[Group]:
        """Groups with results of an engine."""
        return [group for group in self.groups.values() if group.engine == engine]


def group_name(job: str) -> str:
    """A job's name without its seed."""
    stage, _, point = job.partition("/")
    axes = ",".join(part for part in point.split(",") if not part.startswith("seed="))
    return f"{stage}/{axes}" if axes else stage


def read_jobs(config: Config) -> Found:
    """Read every input; what is not there is named."""
    found = Found()
    for source in config.inputs:
        group = found.groups.setdefault(group_name(source.job), Group(group_name(source.job)))
        group.planned += 1
        read_job(source, group, found)
    return found


def read_job(source: ResultSource, group: Group, found: Found) -> None:
    """Add one job to its group."""
    out = Path(source.folder)
    given_up = out.parent / "skipped.json"
    if (out / "results.json").exists():
        rows, document = read_results(out)
        found.files.append(out / "results.json")
        found.missing += [
            f"{source.job}: {row.metric}: {row.error}" for row in rows if row.error is not None
        ]
        group.finished.append(Finished(source.job, rows, document, read_progress(out)))
    elif given_up.exists():
        group.skipped.append(json.loads(given_up.read_text())["reason"])
    else:
        found.missing.append(f"{source.job}: no results.json, the job is not done")
