"""What a job has really run: its newest attempt, which is the one that counts, and not the newest
launch of its run, which may have submitted other jobs or none.

In: a run. Out: by job a ``Ran``: the launch that submitted the attempt, the copy of the code, and
what stood for the content of every file that counted for it when it was submitted. Read from the
run's ledger (orchestrator/runs/reuse/ledger.py), of a job that was taken from another run from that
one's. Called by `orch diff`, `rerun`, `why`, the page, and by a launch that finds jobs done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from jobs.spec import Job
from orchestrator.runs.documents.reading import Moment, document
from orchestrator.runs.layout import attempt_folder
from orchestrator.runs.provenance.launches import launch_of, launches
from orchestrator.runs.reuse import ledger
from orchestrator.runs.reuse.basis import FOLDER
from orchestrator.runs.reuse.bring import reused
from orchestrator.runs.reuse.ledger import Line
from orchestrator.runs.run import Run

NOTHING_NOTED = "an older version noted nothing of it"


class Begun(msgspec.Struct, frozen=True):
    """What is read here of an attempt's ``claim.json``."""

    code: str = ""
    started: Moment | None = None
    host: str = ""


class Files(TypedDict):
    """What a list of files holds."""

    code: dict[str, str]
    named: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the attempt that counts of one job has run."""

    job: str
    run_folder: Path
    """Where it ran: of a job that was taken that is another run."""
    attempt: int
    launch: dict[str, Any] | None
    """What the launch noted that submitted it (launches.py); None where that is not known."""
    code: str
    """The copy of the engines and of the node's program; "" where that is not known."""
    host: str = ""
    """The node of its newest start; "" before it has started."""
    line: Line | None
    program: Mapping[str, str] = field(default_factory=dict)
    """Around a command or an engine of the user's own: what stood for the content of each file."""
    named: Mapping[str, str] = field(default_factory=dict)
    """The same of the files that its command or config names."""
    unknown: str = ""
    """Why it cannot be told which files counted; empty if it can."""

    @property
    def work(self) -> str | None:
        """The copy of the folder that it ran in; None without ``snapshot: true``."""
        return None if self.launch is None else self.launch["work"]

    @property
    def files(self) -> dict[str, str]:
        """All files that counted, by name."""
        return {**self.program, **self.named}

    @property
    def place(self) -> Path:
        """The folder of the attempt."""
        folder = "" if self.line is None else self.line.folder
        return attempt_folder(self.run_folder, folder, self.attempt)


class RanJobs:
    """What the jobs of a run have run; files that several share are read once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ledgers: dict[Path, dict[str, Line]] = {}
        self.lists: dict[Path, Files | None] = {}
        self.launched: dict[tuple[Path, int], dict[str, Any] | None] = {}
        self.all_launches: dict[Path, list[dict[str, Any]]] = {}

    @cached_property
    def lines(self) -> dict[str, Line]:
        """The newest line of each job of the run."""
        return self.lines_of(self.run.folder)

    def lines_of(self, run_folder: Path) -> dict[str, Line]:
        """The newest line of each job of a run."""
        if run_folder not in self.ledgers:
            self.ledgers[run_folder] = ledger.newest_of_all(run_folder)
        return self.ledgers[run_folder]

    def of(self, job: Job) -> Ran | None:
        """What a job has run; None if it was never submitted."""
        line, folder = self.lines.get(job.name), self.run.folder
        if line is not None and line.taken:
            return self.taken(job)
        attempt = line.attempt if line is not None else self.newest_attempt(job)
        if not attempt:
            return None
        return self.known(job.name, folder, attempt, line)

    def taken(self, job: Job) -> Ran:
        """The same of a job that was taken from another run."""
        told = reused(self.run.out_folder(job))
        if told is not None:
            folder = self.run.folder.parent.parent / str(told["from"])
            line = self.lines_of(folder).get(str(told["job"]))
            if line is not None and line.token == told["token"]:
                return self.known(line.job, folder, line.attempt, line)
        source = "another run" if told is None else f"{told['from']}:{told['job']}"
        return Ran(
            job=job.name,
            run_folder=self.run.folder,
            attempt=0,
            launch=None,
            code="",
            line=None,
            unknown=f"it was taken from {source}, of which nothing is left",
        )

    def newest_attempt(self, job: Job) -> int:
        """The newest attempt of a job of which no line tells; 0 if it has none."""
        names = [path.name for path in self.run.job_folder(job).glob("attempt-*")]
        numbers = [name.removeprefix("attempt-") for name in names]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def known(self, job: str, run_folder: Path, attempt: int, line: Line | None) -> Ran:
        """What is known of one attempt."""
        folder = line.folder if line is not None else self.run.by_name[job].folder
        path = attempt_folder(run_folder, folder, attempt) / "claim.json"
        claim = document(path, Begun, "left out") if path.exists() else None
        launch = self.launch(run_folder, line, claim)
        code = claim.code if claim is not None else ""
        files = self.list_of(run_folder, line)
        unknown = NOTHING_NOTED if line is None else line.unknown
        return Ran(
            job=job,
            run_folder=run_folder,
            attempt=attempt,
            launch=launch,
            code=code or ("" if launch is None else launch["code"]),
            host=claim.host if claim is not None else "",
            line=line,
            program=files["code"],
            named=files["named"],
            unknown="" if files["code"] or files["named"] else unknown,
        )

    def launch(
        self, run_folder: Path, line: Line | None, claim: Begun | None
    ) -> dict[str, Any] | None:
        """The launch that submitted an attempt: as its line says, else the last one before it
        started."""
        number = 0 if line is None else line.launch
        if number:
            key = (run_folder, number)
            if key not in self.launched:
                self.launched[key] = launch_of(run_folder, number)
            return self.launched[key]
        if claim is None or claim.started is None:
            return None
        if run_folder not in self.all_launches:
            self.all_launches[run_folder] = launches(run_folder)
        known = self.all_launches[run_folder]
        before = [one for one in known if one["time"] <= claim.started]
        return before[-1] if before else None

    def list_of(self, run_folder: Path, line: Line | None) -> Files:
        """The files that counted, as they were; empty where no list was kept."""
        nothing = Files(code={}, named={})
        if line is None or not line.files:
            return nothing
        path = run_folder / FOLDER / line.files
        if path not in self.lists:
            self.lists[path] = document(path, Files, "left out")
        return self.lists[path] or nothing
