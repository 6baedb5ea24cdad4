"""Bring the folder of a run here from another machine, by rsync over ssh.

In: HOST:RUN, where the copy is to lie, whether checkpoints come along. Out: the copy, as a ``Run``.
Called by `orch pull`.

The other machine may be anybody's. No shell reads what was typed: programs are started with lists
of arguments, and ``--protect-args`` keeps the path out of the shell over there. Symbolic links that
lead out of the run's folder are not taken, and looked for once more when all has come. What has
come of a file before the connection broke lies in ``.rsync-partial`` beside it, never under its
name, and the next pull goes on from there. Nothing is ever removed here.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.errors import RunError
from orchestrator.runs.copies.origin import NAME as COPY
from orchestrator.runs.copies.origin import Origin, read_origin, write_origin
from orchestrator.runs.documents.people import make_run_folder
from orchestrator.runs.layout import OUT
from orchestrator.runs.lookup import open_run, runs_root
from orchestrator.runs.plan_file import NAME as PLAN
from orchestrator.runs.plan_file import written_plan
from orchestrator.runs.run import Run

HOST = r"(?:[\w.][\w.-]*@)?(?:[\w.][\w.-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\])"
"""[USER@]NAME, or an IPv6 address in brackets; never what ssh would take for an option."""
SSH = "ssh -o ConnectTimeout=30 -o ServerAliveInterval=15"
SILENT_SECONDS = 120
"""A connection over which nothing comes for so long is given up."""
LEFT_OUT = (
    COPY,  # what that folder itself may be a copy of
    "*.lock",
    "scheduler/",
    "page.html",  # of that machine; `orch page` writes one here
)
"""What stays there, of the run's folder itself."""
CHECKPOINTS = (f"jobs/*/{OUT}/checkpoints/", f"jobs/*/{OUT}/files/checkpoints/")
"""Of an engine, and of a command."""
CHECKPOINT = "|".join(CHECKPOINTS).replace("*", "[^/]+")
LISTED = re.compile(r"(?P<kind>.)\S+ +(?P<size>[\d,.]+) \S+ \S+ (?P<path>.*)")
"""A line of ``rsync --list-only``: ``-rw-r--r-- 1234 2026/11/28 12:00:00 jobs/a/job.json``."""
NOT_THERE, SOME_VANISHED = 23, 24
"""Exit codes of rsync: something could not be read; files were removed meanwhile, as happens where
jobs are running."""


@dataclass(frozen=True)
class Source:
    """The folder of a run on another machine."""

    host: str
    path: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str, port: int | None = None) -> Source:
        """From HOST:RUN. RunError if it is none."""
        match = re.fullmatch(f"({HOST}):(.*)", text, re.ASCII | re.DOTALL)
        host, path = match.groups() if match is not None else ("", "")
        if "@" in path.partition("/")[0]:
            # Said without quoting it.
            raise RunError("HOST:RUN takes no password: let ssh log in by a key")
        # A second colon, or slash, would name a server of rsync instead of a folder.
        if not host or not path.isprintable() or path.startswith((":", "//")):
            raise RunError(
                f"{text!r} is not HOST:RUN: a host that ssh knows, such as gpu or "
                "root@203.0.113.7, and the run's folder there, such as runs/trial/full-1a2b3c4d"
            )
        if not path.strip("/~") or any(letter in path for letter in "*?["):
            raise RunError(
                f"'{text}': name the folder of one run, such as {host}:runs/trial/full-1a2b3c4d"
            )
        # Paths that are not absolute begin in the home folder anyway, and no shell expands the ~.
        return cls(host, path.removeprefix("~/").rstrip("/"), port)

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"


@dataclass(frozen=True)
class Entry:
    """A file, folder or link in the folder over there."""

    kind: str
    """``-`` a file, ``d`` a folder, ``l`` a link."""
    size: int
    path: str


def pull(
    source: Source, to: Path | None, checkpoints: bool, tell: Callable[[str], None], progress: bool
) -> Run:
    """Bring a run here, or what is new of it since the last time.

    Args:
        to: its folder here; None: as there, below the folder of runs.
        checkpoints: whether they come along; those that are here stay in any case.
        progress: show how far the transfer is.
    """
    asked = time.time()
    uid, experiment = identity(source)
    folder = to or default_folder(source, experiment)
    refuse_other(folder, source, uid)
    rules = [f"--exclude=/{pattern}" for pattern in LEFT_OUT]
    listed = entries(source, rules)
    tell(sizes(source, listed, checkpoints))
    make_run_folder(folder, folder.parent.parent)
    write_origin(folder, Origin(source=str(source), uid=uid, asked=asked, complete=False))
    if not checkpoints:
        rules += [f"--exclude=/{place}" for place in CHECKPOINTS]
    transfer(source, folder, rules, progress)
    for line in differences(folder, listed):
        tell(line)
    write_origin(folder, Origin(source=str(source), uid=uid, asked=asked, complete=True))
    return open_run(folder)


def identity(source: Source) -> tuple[str, str]:
    """The uid of the run over there and the name of its experiment. RunError if there is no run."""
    with tempfile.TemporaryDirectory() as folder:
        done = rsync(source, f"/{PLAN}", [], Path(folder))
        if done.returncode == NOT_THERE:
            raise RunError(
                f"{source}: no run there ({said(done)}); name the folder of one run: orch status "
                "--json shows it there"
            )
        check(source, done)
        held = written_plan(Path(folder))
    return held.uid, held.plan.experiment


def default_folder(source: Source, experiment: str) -> Path:
    """Where a run would lie if it were one of this machine."""
    name = PurePosixPath(source.path).name
    # The name of the experiment comes from over there, and may be made to lead elsewhere.
    for part in (experiment, name):
        if not re.fullmatch(r"[\w-][\w.-]*", part):
            raise RunError(
                f"{source}: '{part}' is no name for a folder here; name one: --to FOLDER"
            )
    return runs_root() / experiment / name


def refuse_other(folder: Path, source: Source, uid: str) -> None:
    """RunError if something else is in the folder already."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    origin = read_origin(folder)
    if origin is None:
        raise RunError(
            f"{folder} is there already and is no copy of {source}; choose another: --to"
        )
    # By the uid and not by the host: a rented machine has another address after a restart.
    if origin.uid != uid:
        raise RunError(
            f"{folder} holds another launch of the same experiment, from {origin.source}; choose "
            "another folder: --to"
        )


def entries(source: Source, rules: Sequence[str]) -> list[Entry]:
    """Everything in the folder over there."""
    done = rsync(source, "/", ["--list-only", "--recursive", "--links", *rules])
    check(source, done)
    found = []
    for line in done.stdout.splitlines():
        match = LISTED.fullmatch(line)
        if match is not None:
            size = int(re.sub(r"\D", "", match["size"]))
            # A link is shown with what it leads to.
            path = match["path"].partition(" -> ")[0] if match["kind"] == "l" else match["path"]
            found.append(Entry(match["kind"], size, path))
    return found


def sizes(source: Source, listed: Sequence[Entry], checkpoints: bool) -> str:
    """How much comes, and how much of it are checkpoints."""
    files = [one for one in listed if one.kind == "-"]
    weights = [one for one in files if re.match(CHECKPOINT, one.path)]
    total, part = sum(one.size for one in files), sum(one.size for one in weights)
    text = f"{source}: {len(files):,} files, {gigabytes(total)}"
    if not weights:
        return text
    if checkpoints:
        return f"{text}, {gigabytes(part)} of it checkpoints (--without-checkpoints leaves them)"
    return f"{text}, of which {gigabytes(part)} of checkpoints stay there"


def gigabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def transfer(source: Source, folder: Path, rules: Sequence[str], progress: bool) -> None:
    """Copy what is new. What is running over there goes on, and may remove files meanwhile."""
    options = ["--recursive", "--links", "--safe-links", "--times", "--partial-dir=.rsync-partial"]
    if progress:
        options.append("--info=progress2")
    done = rsync(source, "/", [*options, *rules], folder, shown=progress)
    if done.returncode != SOME_VANISHED:
        check(source, done, "; what has come is kept, and the same command goes on from there")


def rsync(
    source: Source, below: str, options: Sequence[str], to: Path | None = None, shown: bool = False
) -> subprocess.CompletedProcess[str]:
    """Call rsync for what lies ``below`` the run's folder; ``shown``: what it prints is for the
    person."""
    port = "" if source.port is None else f" -p {source.port}"
    # Absolute: rsync takes a colon before the first slash for the end of a host's name.
    here = [] if to is None else [f"{to.absolute()}/"]
    command = [
        "rsync",
        f"--rsh={SSH}{port}",
        "--protect-args",
        f"--timeout={SILENT_SECONDS}",
        *options,
        "--",
        f"{source}{below}",
        *here,
    ]
    try:
        # Not subprocess.run, which would kill rsync at Ctrl-C: it gets that too, and then keeps
        # what has come of a file.
        with subprocess.Popen(
            command,
            stdout=None if shown else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            output, errors = process.communicate()
            return subprocess.CompletedProcess(command, process.returncode, output, errors)
    except FileNotFoundError as error:
        raise RunError("orch pull needs rsync, here and there: install it") from error


def check(source: Source, done: subprocess.CompletedProcess[str], more: str = "") -> None:
    """RunError if rsync has failed."""
    if done.returncode != 0:
        raise RunError(f"{source}: {said(done)} (exit code {done.returncode} of rsync){more}")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What rsync, or ssh, gave as the reason: its first line, without what a terminal would act
    on."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith("Warning: Permanently added")]
    first = next(iter(reasons), "no reason given")
    return "".join(letter if letter.isprintable() else "?" for letter in first)


def differences(folder: Path, listed: Sequence[Entry]) -> Iterator[str]:
    """What a person should know of what has come, after links that lead out of the folder, which
    should not be there, were removed."""
    for path in links_out(folder):
        path.unlink()
    links = [one.path for one in listed if one.kind == "l"]
    refused = [path for path in links if not os.path.lexists(folder / path)]
    if refused:
        yield f"left out: {len(refused)} links that lead out of the run's folder ({refused[0]})"
    there = {one.path for one in listed}
    results = [path.relative_to(folder) for path in folder.glob(f"jobs/*/{OUT}/results.json")]
    gone = [str(path) for path in results if str(path) not in there]
    if gone:
        yield f"kept here: results that are not there any more, of {len(gone)} jobs ({gone[0]})"


def links_out(folder: Path) -> list[Path]:
    """Symbolic links below a folder that lead out of it."""
    root = folder.resolve()
    found = []
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(where) / name
            leads_to = Path(os.path.realpath(path))  # also of a circle of links
            if path.is_symlink() and not leads_to.is_relative_to(root):
                found.append(path)
    return found
