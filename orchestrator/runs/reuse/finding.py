"""Find a job of another run that has done the same work, and see that it may stand for it.

In: the folder of the runs, what a job hangs on. Out: a ``Source``, or in words why a like one is
none. Reads the ledgers of the other runs once, and of a run only what its matching jobs left. By
files alone, no scheduler is asked: an exit record with results is the first thing in the order of
truth. Copies of runs that live elsewhere are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from orchestrator.node.reuse.evidence import CHANGED, LEFT
from orchestrator.runs.copies.origin import NAME as COPY
from orchestrator.runs.documents.reading import Moment, document
from orchestrator.runs.layout import EXIT, attempt_folder, out_folder
from orchestrator.runs.lookup import all_runs
from orchestrator.runs.reuse import ledger
from orchestrator.runs.reuse.basis import FOLDER, Basis
from orchestrator.runs.reuse.bring import reused
from orchestrator.runs.reuse.ledger import Line
from orchestrator.runs.sources import read_exit

OVERRIDES = ("gates", "overrides.json")
MOST_UNLIKE = 3
RUNS_ANYWAY = ("run", "take")
"""Decisions of a person in place of a gate that let a job run."""

NOT_TAKEN = "left out; its job is not taken"


class Left(TypedDict):
    """What ``left.json`` of an attempt holds."""

    token: str
    files: dict[str, list[Any]]


class Noted(TypedDict):
    """What is read of ``changed.json``."""

    files: list[str]


class Word(TypedDict):
    """What is read of each line of ``gates/overrides.json``."""

    job: str
    decision: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A job of another run whose results may be taken."""

    run_folder: Path
    line: Line
    left: dict[str, list[Any]]
    """What it has left (orchestrator/node/reuse/evidence.py)."""
    ended: Moment | None

    @property
    def run(self) -> str:
        """``experiment/run``."""
        return f"{self.run_folder.parent.name}/{self.run_folder.name}"

    @property
    def name(self) -> str:
        """``experiment/run:job``, as commands take it."""
        return f"{self.run}:{self.line.job}"

    @property
    def out(self) -> Path:
        """Its output folder."""
        return out_folder(self.run_folder, self.line.folder)


class Finder:
    """What other runs of a folder have done, read when it is asked for."""

    def __init__(self, runs: Path, own: Path, identities: Iterable[str]) -> None:
        """``own``: the folder of the run that asks; ``identities``: of its jobs in its plan."""
        self.runs, self.own, self.identities = runs, own.resolve(), identities
        self.overridden: dict[Path, frozenset[str] | None] = {}
        self.lists: dict[Path, dict[str, dict[str, Any]]] = {}

    @cached_property
    def ledgers(self) -> dict[str, list[tuple[Path, list[Line]]]]:
        """By identity in the plan: the jobs with it, each with its lines; newest run first."""
        found: dict[str, list[tuple[Path, list[Line]]]] = {}
        wanted = {identity.encode() for identity in self.identities}
        for folder in reversed(all_runs(self.runs)):
            if folder.resolve() == self.own or (folder / COPY).exists():
                continue
            by_job: dict[str, list[Line]] = {}
            for line in ledger.read(folder, wanted):
                by_job.setdefault(line.job, []).append(line)
            for lines in by_job.values():
                found.setdefault(lines[-1].identity, []).append((folder, lines))
        return found

    def may_have(self, identity: str) -> bool:
        """Whether any run has a job of this identity."""
        return identity in self.ledgers

    def find(self, basis: Basis) -> tuple[list[Source], str]:
        """The jobs that may stand for one with this basis, the best first; and why the nearest of
        the others may not, if there is one that has come to its end."""
        sources: list[Source] = []
        reason = ""
        looked = 0
        known = self.ledgers.get(basis.identity, [])
        # The very same first. Of the others the newest are looked at, only to say what differs.
        for folder, lines in sorted(known, key=lambda one: one[1][-1].digest != basis.digest):
            unlike = lines[-1].digest != basis.digest
            if unlike and (sources or reason or looked == MOST_UNLIKE):
                break
            looked += unlike
            made = self.source(folder, lines[-1])
            if made is None:
                continue
            objection = self.objection(basis, made, lines)
            if not objection:
                sources.append(made)
            elif not reason:
                reason = f"done in {made.name}, but {objection}"
        # One that has done the work itself goes before one that has taken it.
        sources.sort(key=lambda one: one.line.taken)
        return sources, reason

    def source(self, folder: Path, line: Line) -> Source | None:
        """A job that has ended with results; None of any other."""
        if line.taken:
            told = reused(out_folder(folder, line.folder))
            if told is None:
                return None
            return Source(run_folder=folder, line=line, left=told["files"], ended=told["ended"])
        attempt = attempt_folder(folder, line.folder, line.attempt)
        record = read_exit(attempt / EXIT)
        if record is None or record.token != line.token or not record.results:
            return None
        left = document(attempt / LEFT, Left, NOT_TAKEN)
        files = left["files"] if left is not None and left["token"] == line.token else {}
        return Source(run_folder=folder, line=line, left=files, ended=record.ended)

    def objection(self, basis: Basis, source: Source, lines: Sequence[Line]) -> str:
        """Why a job with results may not stand for one with this basis; empty if it may."""
        line = source.line
        if basis.unknown or line.unknown:
            return f"it is not known what it read: {basis.unknown or line.unknown}"
        if line.digest != basis.digest:
            return self.difference(basis, source)
        if any(one.digest != line.digest for one in lines):
            return "its attempts ran with unlike programs, files or settings"
        changed = changed_while_it_ran(source)
        if changed:
            return f"{changed} was changed between its submission and its end"
        let = self.overrides(source.run_folder)
        if let is None:
            return "it cannot be known whether a person let it run against its gate"
        if line.job in let:
            return "a person let it run against its gate (orch override)"
        return ""

    def difference(self, basis: Basis, source: Source) -> str:
        """What is another than it was there, in words."""
        parts = [key for key, value in basis.parts.items() if source.line.parts.get(key) != value]
        words = []
        for part in parts:
            kind = {"code": basis.code, "files": basis.named}.get(part)
            before = self.list_of(source).get("named" if part == "files" else part, {})
            # Of a job that was itself taken there is no list: which files they are is not known.
            names = changed_names(before, kind) if kind is not None and source.line.files else []
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            words.append(f"{names[0]}{more}" if names else WORDS[part])
        # A file that is named is mostly one of the program too.
        return f"since then {' and '.join(dict.fromkeys(words))} changed"

    def list_of(self, source: Source) -> dict[str, dict[str, Any]]:
        """The list of a job's files, as its run has kept it."""
        path = source.run_folder / FOLDER / source.line.files
        if path not in self.lists:
            kept = None
            if source.line.files:
                kept = document(path, dict[str, dict[str, Any]], "left out")
            self.lists[path] = kept or {}
        return self.lists[path]

    def overrides(self, folder: Path) -> frozenset[str] | None:
        """The jobs of a run that a person let run in place of their gate; None: nobody knows."""
        if folder not in self.overridden:
            path = folder.joinpath(*OVERRIDES)
            lines = document(path, list[Word], "left out; no job of that run is taken")
            # The newest word of each job counts.
            words = {one["job"]: one["decision"] for one in lines or ()}
            let = frozenset(job for job, word in words.items() if word in RUNS_ANYWAY)
            self.overridden[folder] = None if lines is None and path.exists() else let
        return self.overridden[folder]


WORDS = {
    "axes": "the values of its axes",
    "nodes and GPUs": "the number of nodes or GPUs",
    "environment": "environment, set-up lines, container or Python",
    "reads": "what it reads of a framework",
    "inputs": "the results that it reads",
    "files": "a file that it names",
    "code": "its program",
}
"""Parts of a basis, for people."""


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Files that differ, or are on one side alone."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def changed_while_it_ran(source: Source) -> str:
    """A file that was another when one of the job's starts began or ended; empty if none was."""
    for path in notes_of(source):
        noted = document(path, Noted, NOT_TAKEN)
        return noted["files"][0] if noted is not None and noted["files"] else "a file"
    return ""


def notes_of(source: Source) -> Iterator[Path]:
    """What the nodes of all its attempts have noted of changed files."""
    return (source.run_folder / source.line.folder).glob(f"attempt-*/{CHANGED}")
