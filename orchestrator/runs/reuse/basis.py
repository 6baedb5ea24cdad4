"""What a job's result hangs on: its identity in the plan, and what that does not hold.

In: a run, a job of it, and whose results it reads. Out: a ``Basis``, equal for two jobs only if one
may stand for the other; the list of files that the job's node holds against what it finds. Called
by the pass that submits (orchestrator/lifecycle/reused/).

The plan's identity is engine or command, config, and the identities of the jobs before it. Added
are the values of its axes, nodes and GPUs, environment, set-up lines, container and Python, the
files that its words name, the program (an engine's packages as they were copied; around a command,
and around an engine of the user's own, what files.py counts), and the very attempts whose results
it reads: results of another attempt at
the same job may be other ones. Not added are memory, CPUs, time limit, partition and account; the
orchestrator and the program on the node; installed packages and hardware.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jobs.spec import Job, is_own_engine
from jobs.stages import digest, literal
from orchestrator.description.profile import Profile, is_secret, variables_in
from orchestrator.node.reuse.evidence import BASIS, sha256_of
from orchestrator.node.system import write_json
from orchestrator.runs.reuse.files import (
    PROGRAMS,
    Listed,
    Surrounding,
    Unknown,
    hash_of_all,
    named_files,
    texts_in,
)
from orchestrator.runs.run import Run

FORMAT = 1
"""Part of every basis; a greater number makes all that was done before another job."""
FOLDER = "bases"
"""In a run's folder: the lists of files, each named by its content."""


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What the result of one job hangs on."""

    identity: str
    """That of the plan."""
    parts: dict[str, str]
    """The rest, as a short hash for each kind of thing."""
    code: Mapping[str, str] = field(default_factory=dict)
    """What stands for the content of each file of the program around a command."""
    named: Mapping[str, str] = field(default_factory=dict)
    """The same of the files that it names."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Where the files of the program lie, by name."""
    named_paths: Sequence[str] = ()
    """Where the files lie that it names."""
    unknown: str = ""
    """Why it cannot be told; then nobody takes its results."""

    @cached_property
    def digest(self) -> str:
        """One hash of all of it."""
        return digest([FORMAT, self.identity, self.parts, self.unknown])


class Bases:
    """What the jobs of one run hang on as things are now; whatever several share is read once, so
    it lives for one pass."""

    def __init__(self, run: Run, runs: Path | None = None) -> None:
        """``runs``: the folder of all runs, where it is not that of this one."""
        self.run, self.runs = run, runs or run.folder.parent.parent
        self.listed = Listed()
        self.engines: dict[str, str] = {}
        self.around: dict[Path, tuple[Mapping[str, str], Mapping[str, str]]] = {}
        self.words: dict[tuple[bool, str], list[tuple[str, str]]] = {}
        self.hashes: dict[int, str] = {}
        self.stages: dict[str, dict[str, str]] = {}
        self.kept: dict[tuple[str, str], str] = {}

    @cached_property
    def base(self) -> Path:
        """Where commands run."""
        return self.run.code().work or Path(self.run.cwd)

    @cached_property
    def described(self) -> list[Path]:
        """The experiment file with what it includes."""
        from orchestrator.description.joining.includes import files_of

        return files_of(self.run.plan.source)

    def of(self, job: Job, origins: Sequence[str], chosen: Job | None = None) -> Basis:
        """What a job hangs on.

        Args:
            origins: whose results it reads: the tokens of the attempts that have left them.
            chosen: the best of several jobs that it follows.
        """
        reads = job.config.get("reads") if job.engine is None else None
        parts = {
            "axes": short(job.axes),
            **self.of_stage(job),
            "reads": short(reads) if reads else "",
            "inputs": short(sorted(origins)) if origins else "",
        }
        try:
            named = self.named_by(job, chosen)
            code, paths = self.program_of(job, named)
        except (Unknown, OSError) as error:
            return Basis(identity=job.identity, parts=parts, unknown=str(error))
        contents = {word: self.listed.content(path) for word, path in named}
        parts |= {"files": hash_of_all(contents), "code": self.hash_of(code)}
        if job.is_users and self.run.plan.snapshot:
            # What git ignores is not there: the same files elsewhere may read more.
            parts["code"] = short(["copy", parts["code"]])
        if job.engine is not None:
            packages = self.engine_code(job.engine)
            parts["code"] = short([packages, parts["code"]]) if job.is_users else packages
        return Basis(
            identity=job.identity,
            parts=parts,
            code=code,
            named=contents,
            paths=paths,
            named_paths=[path for _, path in named],
        )

    def of_stage(self, job: Job) -> dict[str, str]:
        """The parts that the jobs of a stage share."""
        if job.stage not in self.stages:
            asked = job.resources
            profile = self.run.profile.with_options(job.options, asked.gpus)
            self.stages[job.stage] = {
                "nodes and GPUs": short([asked.nodes, asked.gpus]),
                "environment": short(surroundings(profile)),
            }
        return self.stages[job.stage]

    def keep_files(self, basis: Basis) -> str:
        """Write the list of a job's files, unless it is there, as most jobs of a run have the same;
        its name, or "" for none."""
        if not basis.paths and not basis.named_paths:
            return ""
        key = (basis.parts["code"], basis.parts["files"])
        if key not in self.kept:
            paths = dict.fromkeys([*basis.paths.values(), *basis.named_paths])
            files = {path: self.listed.of(path) for path in paths}
            held = {"files": files, "code": dict(basis.code), "named": dict(basis.named)}
            self.kept[key] = f"{short(held)}.json"
            path = self.run.folder / FOLDER / self.kept[key]
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                flat = path.with_name(f"{path.name}.flat")
                flat.write_bytes(flat_list(files))
                write_json(path, held)
        return self.kept[key]

    def hash_of(self, code: Mapping[str, str]) -> str:
        """One hash for the files of a program, which many jobs share."""
        found = self.hashes.get(id(code))
        if found is None:
            # The mappings stay in ``around``, so their ids stay theirs.
            found = self.hashes[id(code)] = hash_of_all(dict(code))
        return found

    def named_by(self, job: Job, chosen: Job | None) -> list[tuple[str, str]]:
        """The files that the command or the config of a job names."""
        words = list(job.command or ())
        if is_own_engine(job.engine):
            words = [str(job.engine).rpartition(":")[0]]
        for axis, value in (chosen.axes if chosen is not None else {}).items():
            words = [word.replace(f"{{{axis}}}", literal(value)) for word in words]
        if job.engine is not None:
            words += texts_in(job.config)
        own = str(self.run.folder)
        found: dict[str, str] = {}
        for word in words:
            # What jobs of this run leave counts by the attempts that have left it.
            if own in word:
                continue
            key = (job.is_users, word)
            if key not in self.words:
                base = self.base if job.is_users else Path(self.run.cwd)
                self.words[key] = list(named_files([word], base, self.runs))
            found.update(self.words[key])
        return list(found.items())

    def program_of(
        self, job: Job, named: Iterable[tuple[str, str]]
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What lies around a command, by name: contents and paths. Around its own folder, and
        around the programs that it names outside of that."""
        if not job.is_users:
            return {}, {}
        code, paths = self.lying_around(self.base)
        base = f"{self.base}/"
        programs = [path for _, path in named if path.endswith(PROGRAMS)]
        outside = {Path(path).parent for path in programs if not path.startswith(base)}
        for folder in sorted(outside):
            # In the same repository it has been counted.
            if not any(path.startswith(f"{folder}/") for path in paths.values()):
                more, more_paths = self.lying_around(folder)
                code = {**code, **{f"{folder}/{name}": one for name, one in more.items()}}
                paths = {**paths, **{f"{folder}/{name}": one for name, one in more_paths.items()}}
        return code, paths

    def lying_around(self, folder: Path) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The same of one folder."""
        if folder not in self.around:
            copied = self.run.plan.snapshot and folder == self.base
            around = Surrounding(folder, self.runs, self.described, copied)
            paths = around.paths()
            code = {name: self.listed.content(path) for name, path in paths.items()}
            self.around[folder] = (code, paths)
        return self.around[folder]

    def engine_code(self, engine: str) -> str:
        """The packages that an engine may import, as they were copied at the launch: the contract,
        what engines share, its own. No engine imports another one."""
        if engine not in self.engines:
            root = self.run.code().folder / "engines"
            contents = {path.name: sha256_of(path) for path in root.glob("*.py")}
            for package in ("contract", "shared", engine):
                for path in sorted((root / package).rglob("*")):
                    if path.is_file() and "__pycache__" not in path.parts:
                        contents[str(path.relative_to(root))] = sha256_of(path)
            self.engines[engine] = hash_of_all(contents)
        return self.engines[engine]


def short(value: object) -> str:
    """Sixteen digits of the hash of a JSON value."""
    return digest(value)[:16]


def surroundings(profile: Profile) -> dict[str, Any]:
    """What of a profile, as it holds for one job, reaches its program."""
    environment = {}
    for name, value in profile.environment.items():
        used = {one: os.environ.get(one) for one in variables_in(value) if not is_secret(one)}
        environment[name] = [value if not is_secret(name) else "", used]
    return {
        "environment": environment,
        "setup": profile.setup,
        "wrap": profile.wrap,
        "python": profile.python,
    }


def flat_list(files: Mapping[str, Sequence[Any]]) -> bytes:
    """The same list for the launcher on the node, which reads no JSON: size, time and path."""
    return b"".join(
        f"{size} {time_ns} ".encode() + os.fsencode(path) + b"\0"
        for path, (size, time_ns, _) in files.items()
    )


def link_files(attempt: str, name: str) -> None:
    """Let the node find the list, by a link in the attempt's folder."""
    # From jobs/<job>/attempt-1 three steps up to the run's folder.
    target, link = f"../../../{FOLDER}/{name}", f"{attempt}/{BASIS}"
    # os instead of Path: thousands of jobs are submitted at once.
    try:
        os.symlink(target, link)  # noqa: PTH211
    except FileExistsError:
        # Of a submission under the same token that never arrived.
        os.unlink(link)  # noqa: PTH108
        os.symlink(target, link)  # noqa: PTH211
