"""Reads what the jobs left and puts those together that differ only in their seed.

In: the output folders that the config names. Out: one ``Inputs`` with a ``Group`` per set of seeds;
what is not there is named in its ``missing``. Called by report.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.contract.progress import read_progress
from engines.contract.results import ResultSource, Row, read_results
from engines.fsm_report.config import Config
from engines.shared.reporting.sources import Sources

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
        for row in self.rows:
            # Exactly: the rows along the query have the same axes and a position besides.
            if row.metric == metric and row.axes == axes:
                return row.value
        return None


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
        values = [job.value(metric, axes) for job in self.finished]
        return [value for value in values if value is not None]

    @property
    def config(self) -> dict[str, Any]:
        """The config of its first job."""
        config: dict[str, Any] = self.finished[0].document["config"]
        return config

    @property
    def recipe(self) -> str:
        """``published`` or ``tuned``: which of the optimiser's settings its config starts from."""
        return str(self.config.get("recipe", "published"))

    @property
    def settings(self) -> str:
        """The optimiser's settings in words; of probes those of the networks that they look
        into."""
        document = self.finished[0].document
        # A probe trains no network: the settings are those of the job whose networks it looks into.
        if self.engine == "probe":
            folder = Path(self.config["models"]["folder"])
            if not (folder / "results.json").exists():
                return "unknown"
            document = read_results(folder)[1]
        return str(document["facts"].get("settings", "unknown"))

    @property
    def kind_of_machines(self) -> str:
        """What it was trained on: ``5s5a``, with ``absorbing`` where that is so."""
        sizes = self._sizes
        absorbing = " absorbing" if sizes["absorbing"] else ""
        return f"{sizes['states']}s{sizes['actions']}a{absorbing}"

    @property
    def machines(self) -> str:
        """The same; sizes of its own, which have no name, show the walks' lengths too."""
        if isinstance(self.config.get("machines", ""), str):
            return self.kind_of_machines
        walks, query = self._sizes["demonstration_length"], self._sizes["query_length"]
        return f"{self.kind_of_machines} (walks of {walks}, query of {query})"

    @property
    def _sizes(self) -> dict[str, Any]:
        """The sizes of its machines; of probes those of the data that they saw."""
        facts = self.finished[0].document["facts"]
        sizes: dict[str, Any] = (
            facts["data"]["machines"] if self.engine == "probe" else facts["machines"]
        )
        return sizes


@dataclass
class Inputs:
    """Everything that the jobs left."""

    groups: dict[str, Group] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """What is not there or could not be computed, in words."""
    sources: Sources = field(default_factory=Sources)

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


def read_jobs(config: Config) -> Inputs:
    """Read every input; what is not there is named."""
    inputs = Inputs()
    for source in config.inputs:
        name = group_name(source.job)
        group = inputs.groups.setdefault(name, Group(name))
        group.planned += 1
        read_job(source, group, inputs)
    return inputs


def group_name(job: str) -> str:
    """A job's name without its seed."""
    stage, _, point = job.partition("/")
    # "small-5s5a/model=lstm-small,seed=0" becomes "small-5s5a/model=lstm-small".
    axes = ",".join(part for part in point.split(",") if not part.startswith("seed="))
    return f"{stage}/{axes}" if axes else stage


def axes_of(name: str) -> dict[str, str]:
    """The axes that a group's name says."""
    _, _, point = name.partition("/")
    pairs = (part.partition("=") for part in point.split(",") if part)
    return {axis: value for axis, _, value in pairs}


def read_job(source: ResultSource, group: Group, inputs: Inputs) -> None:
    """Add one job to its group."""
    out = Path(source.folder)
    # Left by the orchestrator beside the output folder of a job that a gate or the user skipped.
    given_up = out.parent / "skipped.json"
    if (out / "results.json").exists():
        rows, document = read_results(out)
        inputs.sources.add("results", out / "results.json")
        for row in rows:
            if row.error is not None:
                inputs.missing.append(f"{source.job}: {row.metric}: {row.error}")
        group.finished.append(Finished(source.job, rows, document, read_progress(out)))
    elif given_up.exists():
        group.skipped.append(json.loads(given_up.read_text())["reason"])
    else:
        inputs.missing.append(f"{source.job}: no results.json, the job is not done")
