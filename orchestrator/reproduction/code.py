"""What two runs have really run, job by job: commit, uncommitted changes, engines, and every file
that counted for a job when its attempt was submitted.

In: two runs. Out: a `Difference` each, once for all jobs that show it. What an attempt has run is
looked at (orchestrator/runs/provenance/ran.py), not what a run was launched with last. Called by
diff.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.reproduction.differences import Difference, cut_short
from orchestrator.runs.documents.reading import content_of
from orchestrator.runs.provenance.code_copies import CODE, changed_files
from orchestrator.runs.provenance.launches import kept, launches
from orchestrator.runs.provenance.ran import Ran, RanJobs
from orchestrator.runs.run import Run

ABSENT = "-"
HASH_DIGITS = 12
"""Of a file's content, where only its hash is known."""

Found = tuple[str, str, Any, Any]
"""Where, key, and the value of each side."""


@dataclass(frozen=True)
class Both:
    """Two runs, and what their jobs have run."""

    a: Run
    b: Run
    known: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Files that differ between two copies of the engines, by the names of both."""

    @cached_property
    def ran(self) -> dict[str, tuple[Ran, Ran]]:
        """The jobs that both runs have run, by name."""
        of_a, of_b = RanJobs(self.a), RanJobs(self.b)
        found = {}
        for job in self.a.plan.jobs:
            other = self.b.by_name.get(job.name)
            pair = (of_a.of(job), of_b.of(other)) if other is not None else (None, None)
            if pair[0] is not None and pair[1] is not None:
                found[job.name] = (pair[0], pair[1])
        return found

    @property
    def root(self) -> Path | None:
        """The folder of both runs, where the copies of the engines lie; None if they lie in
        different ones."""
        # runs/<experiment>/<run>: the copies of the code lie beside the experiments.
        root = self.a.folder.parent.parent
        return root if self.b.folder.parent.parent == root else None

    def changed_engines(self, a: str, b: str) -> list[str]:
        """The files that differ between two copies of the engines."""
        assert self.root is not None
        if (a, b) not in self.known:
            self.known[a, b] = changed_files(self.root, a, b)
        return self.known[a, b]


def newest_launch(run: Run) -> dict[str, Any] | None:
    """The newest launch of a run; None if there is none that can be read."""
    noted = launches(run.folder)
    return noted[-1] if noted else None


def of_code(both: Both) -> Iterator[Difference]:
    """What differs in the code of the jobs that both have run, each difference once."""
    jobs_with: dict[tuple[str, str, str, str], list[str]] = {}
    values: dict[tuple[str, str, str, str], Found] = {}
    for name, (a, b) in both.ran.items():
        for found in [*of_git(a, b), *of_engines(both, a, b), *of_files(a, b)]:
            text = (found[0], found[1], repr(found[2]), repr(found[3]))
            jobs_with.setdefault(text, []).append(name)
            values[text] = found
    for text, jobs in jobs_with.items():
        where, key, value_a, value_b = values[text]
        of_some = "" if len(jobs) == len(both.ran) else f" ({cut_short(jobs)})"
        yield Difference("code", f"{where}{of_some}", key, value_a, value_b)


def of_git(a: Ran, b: Ran) -> Iterator[Found]:
    """Commit, branch, remote and uncommitted changes at the launches of two attempts."""
    if a.launch is None or b.launch is None:
        return
    git_a, git_b = a.launch["git"] or {}, b.launch["git"] or {}
    for key in ("commit", "branch", "remote"):
        if git_a.get(key) != git_b.get(key):
            yield "git", key, git_a.get(key), git_b.get(key)
    if a.launch["folder"] != b.launch["folder"] and changes(a) != changes(b):
        yield "git", "uncommitted changes", changed(git_a), changed(git_b)


def changes(ran: Ran) -> str:
    """The uncommitted changes at the launch of an attempt."""
    return "" if ran.launch is None else kept(ran.launch, "changes.patch")


def changed(git: Mapping[str, Any]) -> str | None:
    """The files with uncommitted changes; None if there are none."""
    return "; ".join(git.get("changed", [])) or None


def of_engines(both: Both, a: Ran, b: Ran) -> Iterator[Found]:
    """Files of the engines' copies that differ; only that they do if the copies lie in different
    folders of runs."""
    if a.code == b.code or not a.code or not b.code:
        return
    if both.root is None:
        yield "engines", "code", a.code, b.code
        return
    for file in both.changed_engines(a.code, b.code):
        folder_a, folder_b = both.root / CODE / a.code, both.root / CODE / b.code
        yield file, "lines", *lines_between(folder_a / file, folder_b / file)


def of_files(a: Ran, b: Ran) -> Iterator[Found]:
    """Files of the user's that counted for two attempts and differ: by how many lines where both
    ran in copies, else their hashes."""
    if a.unknown or b.unknown:
        # Nobody may read "nothing differs" of what is not known.
        yield "files", "content", unknown(a), unknown(b)
        return
    for name in sorted({**a.files, **b.files}):
        content_a, content_b = a.files.get(name), b.files.get(name)
        if content_a == content_b:
            continue
        paths = [copied(ran, name) for ran in (a, b)]
        if paths[0] is not None and paths[1] is not None:
            yield name, "lines", *lines_between(paths[0], paths[1])
        else:
            yield name, "content", shown(content_a), shown(content_b)


def unknown(ran: Ran) -> str:
    """What is said of files of which nothing is known."""
    return f"unknown: {ran.unknown}" if ran.unknown else f"{len(ran.files)} files"


def copied(ran: Ran, name: str) -> Path | None:
    """Where a file lies in the copy that an attempt ran in; None without one."""
    return None if ran.work is None else ran.run_folder / "work" / ran.work / name


def shown(content: str | None) -> str:
    """What stands for a file's content, for people."""
    if content is None:
        return ABSENT
    # Its first letter says whether it may be executed.
    executable, rest = content[:1] == "x", content[1:]
    if " " in rest:
        # A large one, of which size and time stand for the content.
        size, _, time_ns = rest.partition(" bytes of ")
        return f"{size} bytes, changed at {time_ns} ns"
    return f"sha256 {rest[:HASH_DIGITS]}{', executable' if executable else ''}"


def lines_between(before: Path, after: Path) -> tuple[str, str]:
    """How many lines are gone and how many have come."""
    # n=0: no lines of context, so that only those that differ begin with a sign.
    difference = list(difflib.unified_diff(lines_of(before), lines_of(after), n=0))
    # Two lines of headings with the names of the files come first.
    signs = [line[0] for line in difference[2:]]
    return f"-{signs.count('-')}", f"+{signs.count('+')}"


def lines_of(path: Path) -> list[str]:
    """The lines of a file; none if it is not there."""
    if not path.exists():
        return []
    return content_of(path).decode(errors="replace").splitlines()
