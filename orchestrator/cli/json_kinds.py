"""What ``--json`` prints, command by command: `orch schema` makes JSON schemas of these types.

Times are Unix seconds, durations seconds. None: unknown, or there is none. Called by json_schemas.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from orchestrator.reproduction.differences import Difference
from orchestrator.views.costs.hours import Cost
from orchestrator.views.costs.usage import Used

Point = dict[str, Any]
"""Axes and their values."""


class StatusJob(TypedDict):
    """A job; ``axes`` with what a search has drawn, ``reused``: which job of another run did it."""

    job: str
    stage: str
    id: str | None
    """The scheduler's."""
    state: str
    """One of Slurm's words, or WAITING, SKIPPED, UNKNOWN."""
    source: str
    age_seconds: float | None
    reason: str
    attempt: int
    restarts: int
    elapsed_seconds: float | None
    submitted: float | None
    started: float | None
    ended: float | None
    exit_code: int | None
    host: str | None
    gpus: int
    cpus: int
    limit_seconds: float
    log: str | None
    engine: str | None
    """None: a command."""
    axes: Point
    reused: str | None
    expected_start: float | None
    step: int | None
    total: int | float | None
    phase: str | None
    metrics: dict[str, float]
    expected_end: float | None
    step_seconds: float | None
    needed_seconds: float | None
    requeues_expected: int | None
    stalled_seconds: float | None
    log_line: str | None


class InventoryPart(TypedDict):
    """What was done of the things of one kind."""

    word: str
    of: int
    done: int
    skipped: int
    unit: NotRequired[str]
    steps: NotRequired[int]
    steps_of: NotRequired[int]


class Inventory(TypedDict):
    """Things of one kind that other stages follow."""

    name: str
    count: int
    done: list[InventoryPart]


class Replacement(TypedDict):
    """A job in the place of another."""

    job: str
    by: str
    reason: str


class Status(TypedDict):
    """A run and its jobs: `orch status`, and `launch`, `evolve` and `rerun`, which submit one."""

    run: str
    folder: str
    cluster: str
    trouble: str
    copy: str | None
    inventory: list[Inventory]
    replaced: list[Replacement]
    jobs: list[StatusJob]


class Asked(TypedDict):
    """What a job asks of the cluster."""

    nodes: int
    gpus: int
    cpus: int
    memory_gb: int
    minutes: int


class PlanJob(TypedDict):
    """A job that a launch would submit."""

    name: str
    stage: str
    axes: Point
    after: list[str]
    resources: Asked
    pack: int
    canary: str | None


class Plan(TypedDict):
    """`orch plan`."""

    experiment: str
    preset: str | None
    gpu_hours: float
    jobs: list[PlanJob]


class ResultRow(TypedDict):
    """A result; each axis is one more key, None where the row does not have it."""

    job: str
    stage: str
    metric: str
    value: float | None
    n: int | None
    low: float | None
    high: float | None
    spread: float | None
    error: str | None
    source: str


class Results(TypedDict):
    """`orch results`; ``reused``: by job, from which job of another run its rows were taken."""

    run: str
    rows: list[ResultRow]
    unfinished: list[str]
    problems: list[str]
    reused: dict[str, str]


class TriedSetting(TypedDict):
    """One setting of a stage, over its seeds; jobs have their values."""

    stage: str
    rank: int
    metric: str
    axes: dict[str, Any]
    mean: float | None
    n: int
    spread: float | None
    jobs: dict[str, float | None]


class Settings(TypedDict):
    """`orch results --best METRIC`."""

    run: str
    settings: list[TriedSetting]


class CostStart(TypedDict):
    """One start of one job."""

    job: str
    attempt: int
    restart: int
    started: float
    ended: float | None
    outcome: str
    resources: Asked
    job_id: str
    neighbours: int
    usage: dict[str, Any]
    seconds: float


class Costs(TypedDict):
    """`orch costs`."""

    run: str
    groups: list[Cost]
    all: Cost
    used: list[Used]
    starts: list[CostStart]
    trouble: str
    price_per_gpu_hour: float | None
    currency: str
    budget_gpu_hours: float | None
    """What the run may take at most; null: there is no bound."""


class Diff(TypedDict):
    """`orch diff`."""

    a: str
    b: str
    differences: list[Difference]


class ListedRun(TypedDict):
    """A run as it was last seen."""

    run: str
    folder: str
    cluster: str
    created: float
    jobs: int
    states: dict[str, int]


class List(TypedDict):
    """`orch list`."""

    runs: list[ListedRun]


class ListedExperiment(TypedDict):
    """An experiment that can be launched by name."""

    name: str
    source: str
    about: str
    presets: dict[str, str]
    trouble: str


class Experiments(TypedDict):
    """`orch list --experiments`."""

    experiments: list[ListedExperiment]


class Why(TypedDict):
    """`orch why`."""

    run: str
    job: StatusJob
    lines: list[str]
    gate: dict[str, Any] | None
    """Of its gate: decision, text, time, and inputs: conditions with every judged job's value."""
    trouble: str


class Check(TypedDict):
    """`orch check`; with problems the exit code is 2."""

    experiment: str
    cluster: str
    jobs: int
    problems: list[str]
    notes: list[str]


class Compare(TypedDict):
    """`orch compare`; where a gate fails the exit code is 3."""

    folder: str
    report: str
    """The file report.html."""
    rows: list[dict[str, Any]]
    """The lines of table.csv, as text."""
    failed: list[str]
    """Gates that fail, in words."""


class OneReport(TypedDict):
    """A report of a run."""

    job: str
    text: str
    html: str
    """The file."""


class Report(TypedDict):
    """`orch report`."""

    run: str
    reports: list[OneReport]


class Files(TypedDict):
    """`orch page`: what was written."""

    run: str
    files: list[str]


class ProfileEntry(TypedDict):
    """A cluster profile."""

    name: str
    path: str
    about: str
    error: str | None
    """Why it cannot be used."""


class Profiles(TypedDict):
    """`orch profile list`."""

    profiles: list[ProfileEntry]


class Changed(TypedDict):
    """`orch cancel`, `retry`, `advance` and `override`: what was done, in words."""

    run: str
    lines: list[str]


class Wait(TypedDict):
    """`orch wait`."""

    run: str
    over: bool
    """False: the time was up first."""
    good: bool
    """All jobs have completed, or a gate has skipped them."""
    trouble: str
    jobs: list[StatusJob]


class Taken(TypedDict):
    """`orch remove` and `orch archive`: what was taken, or with ``--dry-run`` would be."""

    run: str
    folder: str
    dry_run: bool
    files: int
    bytes: int
    refused: list[str]
    """Why it is not taken: what runs, and who needs it. The exit code is 2 then."""
    archive: str | None


class ArchivedJob(TypedDict):
    """A job as it was when its run was archived."""

    job: str
    stage: str
    state: str
    reason: str


class Archive(TypedDict):
    """`orch archive FILE`: what the file says of itself."""

    file: str
    format: int
    run: str
    about: str
    cluster: str
    created: float
    archived: float
    checkpoints: bool
    """Whether they are in it."""
    jobs: list[ArchivedJob]
    rows: list[ResultRow]
    files: dict[str, int]
    """Bytes by path below the run's folder."""


KINDS: dict[str, type] = {
    "archive": Archive,
    "changed": Changed,
    "check": Check,
    "compare": Compare,
    "costs": Costs,
    "diff": Diff,
    "experiments": Experiments,
    "files": Files,
    "list": List,
    "plan": Plan,
    "profiles": Profiles,
    "report": Report,
    "results": Results,
    "settings": Settings,
    "status": Status,
    "taken": Taken,
    "wait": Wait,
    "why": Why,
}
"""By the name of the document."""
