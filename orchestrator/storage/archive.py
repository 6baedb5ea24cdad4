"""One tar file of a run, and what it says of itself, for `orch archive`.

In: a run, whether with its checkpoints. Out: ``<experiment>--<run>.tar``. Its first member is
``<experiment>/<run>/archive.json``: the run, its jobs with their states, its results as rows, every
file with its size. All others are the files of the run, so that ``tar -xf FILE -C RUNS`` brings it
back. The run's folder goes only when every byte was read back from the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, TypedDict

import msgspec

from engines.contract.counting.counts import BYTES, counter
from engines.contract.tidy import records as tidy_records
from orchestrator.errors import RunError
from orchestrator.runs.documents.reading import Count, Moment, cut, decoded
from orchestrator.runs.record import JobState
from orchestrator.runs.run import ANSWERED, Run
from orchestrator.scores.results import gather
from orchestrator.storage.needs import reasons_to_stay
from orchestrator.storage.taking import (
    Taken,
    checkpoint_folders,
    files_below,
    measured,
    refuse_started,
    remove_folder,
)

MANIFEST = "archive.json"
FORMAT = 1
"""The number of the manifest's form."""
PIECE_BYTES = 1 << 20
NOT_KEPT = ("state.lock", ANSWERED, MANIFEST)


class Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        self.file = file
        self.count = count
        self.sum = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self.file.read(size)
        self.sum.update(piece)
        self.count(len(piece))
        return piece


def archive(
    run: Run,
    file: Path,
    with_checkpoints: bool = True,
    keep: bool = False,
    dry_run: bool = False,
) -> Taken:
    """Write the archive, read it back, and remove the run's folder unless ``keep``.

    RunError if the file is there already, or what was read back is not what was written: then the
    run stays as it is, and the file goes.
    """
    left_out = set() if with_checkpoints else set(files_below(checkpoint_folders(run)))
    # What an archive leaves in place needs no reason to go.
    refused = [] if keep else reasons_to_stay(run)
    paths = [path for path in files_below([run.folder]) if path not in left_out]
    paths = [path for path in paths if path.relative_to(run.folder).as_posix() not in NOT_KEPT]
    found = measured(paths, refused)
    if dry_run or refused:
        return found
    if file.is_dir():
        raise RunError(f"{file}: is a folder; name the file with --out")
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with run.lock():
            refuse_started(run)
            sums = write(run, draft, paths, manifest(run, paths, with_checkpoints))
        verify(draft, sums)
        # A link, unlike a rename, never takes the place of a file that is there.
        os.link(draft, file)
    except FileExistsError as error:
        raise RunError(f"{file}: is there already; name another with --out") from error
    finally:
        draft.unlink(missing_ok=True)
    if not keep:
        remove_folder(run)
    return found


def manifest(run: Run, paths: Iterable[Path], with_checkpoints: bool) -> dict[str, Any]:
    """What the archive says of itself."""
    jobs = [
        {"job": one.name, "stage": one.stage, "state": str(one.state), "reason": one.reason}
        for one in run.load()
    ]
    has_results = any(job["state"] == JobState.COMPLETED for job in jobs)
    rows = tidy_records(gather(run, None, None)[0]) if has_results else []
    return {
        "format": FORMAT,
        "run": run.name,
        "about": run.plan.about,
        "cluster": run.profile.name or run.profile.kind,
        "created": run.created,
        "archived": time.time(),
        "checkpoints": with_checkpoints,
        "jobs": jobs,
        "rows": rows,
        "files": {path.relative_to(run.folder).as_posix(): path.lstat().st_size for path in paths},
    }


def write(run: Run, draft: Path, paths: Sequence[Path], says: dict[str, Any]) -> dict[str, str]:
    """Write the archive; returns the SHA-256 of each regular file as it was read."""
    sums = {}
    count = counter("writing the archive", sum(path.lstat().st_size for path in paths), BYTES)
    text = json.dumps(says, indent=1).encode()
    # Whoever may not enter the run's folder may not read what was in it.
    mode = stat.S_IMODE(run.folder.stat().st_mode) & 0o666
    draft.touch(mode=mode)
    with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
        head = tarfile.TarInfo(f"{run.name}/{MANIFEST}")
        head.size, head.mtime = len(text), int(says["archived"])
        tar.addfile(head, io.BytesIO(text))
        for path in paths:
            member = tar.gettarinfo(path, f"{run.name}/{path.relative_to(run.folder).as_posix()}")
            if not member.isreg():
                count(path.lstat().st_size)
                tar.addfile(member)
                continue
            with path.open("rb") as file:
                hashed = Hashed(file, count)
                tar.addfile(member, hashed)  # of which it asks for read() alone
            sums[member.name] = hashed.sum.hexdigest()
    return sums


def verify(draft: Path, sums: dict[str, str]) -> None:
    """RunError unless the archive holds every file as it was read."""
    found = {}
    count = counter("reading it back", draft.stat().st_size, BYTES)
    place = 0
    with tarfile.open(draft) as tar:
        for member in tar:
            # What lies between files: their heads, and padding.
            count(member.offset_data - place)
            place = member.offset_data
            file = tar.extractfile(member) if member.isreg() else None
            if file is not None and member.name in sums:
                sum_ = hashlib.sha256()
                while piece := file.read(PIECE_BYTES):
                    sum_.update(piece)
                    count(len(piece))
                    place += len(piece)
                found[member.name] = sum_.hexdigest()
    if found != sums:
        wrong = sorted(name for name in sums if found.get(name) != sums[name])
        raise RunError(f"{draft.parent}: the archive does not hold {wrong[0]} as it was; try again")


class JobLine(TypedDict):
    """A job of an archive."""

    state: str


class RowLine(TypedDict):
    """A result of an archive."""

    job: str
    metric: str
    value: float | None
    error: str | None


class Manifest(TypedDict):
    """What is shown of an archive."""

    run: str
    cluster: str
    archived: Moment
    checkpoints: bool
    jobs: list[JobLine]
    rows: list[RowLine]
    files: dict[str, Count]


def read_manifest(file: Path) -> dict[str, Any]:
    """What an archive says of itself. RunError if it is none of ours."""
    try:
        with tarfile.open(file) as tar:
            member = tar.next()
            content = tar.extractfile(member) if member is not None else None
            if member is None or content is None or not member.name.endswith(f"/{MANIFEST}"):
                raise RunError(f"{file}: no archive of a run; orch archive RUN writes one")
            found = decoded(content.read(), dict[str, Any])
            newer = found.get("format", 0)
            if not isinstance(newer, int):
                raise ValueError("it has no format")
            if newer <= FORMAT:
                msgspec.convert(found, Manifest)
    except (tarfile.TarError, OSError, ValueError, msgspec.ValidationError) as error:
        raise RunError(f"{file}: cannot be read as an archive ({cut(error)})") from error
    if newer > FORMAT:
        raise RunError(f"{file}: of a newer version of orch; show it with that one")
    return found
