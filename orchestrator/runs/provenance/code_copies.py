"""Copy the code when something is launched, so that the nodes run what was launched.

In: the installed packages, or the folder that orch was called in. Out: the hash of a copy, which is
made before anything is submitted and never changed:

    runs/.code/<hash>/             the engines and the program of the nodes; one copy per distinct
                                   code, of all runs
    runs/<experiment>/<run>/work/<hash>/       with ``snapshot: true`` the files of the folder that
                                   orch was called in; commands run there
    runs/<experiment>/<run>/work/<hash>.json   what was copied: path and sha256 of each file

The hash is over names and contents. A copy appears by rename, so it is whole or not there. Called
by launches.py, `orch check` (how large a copy would be) and `orch rerun`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import engines
from orchestrator.errors import CheckError, RunError
from orchestrator.folders import runs_root
from orchestrator.node import attempt
from orchestrator.node.system import write_json
from orchestrator.runs.documents.reading import mapping
from orchestrator.runs.provenance.secret_files import (
    Secrecy,
    is_program,
    is_secret_name,
    secrecy,
)

CODE = ".code"
"""Folder of the copies, below that of the runs."""
LAUNCHER = "orchestrator/node/launcher/launcher"
"""In a copy: the program in C that starts plain jobs, where it was built."""
NAMED = 8
"""So many files of a kind are named."""
MOST_MEGABYTES = 100
"""Largest folder that ``snapshot: true`` copies."""


def engine_files() -> dict[str, Path]:
    """The engines and the program of the nodes: path in the copy -> file."""
    root = Path(next(iter(engines.__path__)))
    own = Path(attempt.__file__).parent
    # Of orchestrator only what runs on a node; the rest may change while jobs wait.
    found = {"orchestrator/__init__.py": own.parent / "__init__.py"}
    for path in sorted(own.rglob("*.py")):
        found[f"orchestrator/node/{path.relative_to(own)}"] = path
    launcher = own.parent.parent / LAUNCHER
    if launcher.exists():
        found[LAUNCHER] = launcher
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith((".pyc", "~")) and not name.startswith("."):
                path = Path(folder) / name
                found[f"engines/{path.relative_to(root)}"] = path
    return found


def hash_of(contents: Mapping[str, bytes]) -> str:
    """Sixteen digits that change with any name or content."""
    whole = hashlib.sha256()
    for name, content in sorted(contents.items()):
        # With the length, so that the end of one file cannot pass for the beginning of the next.
        whole.update(f"{name}\0{len(content)}\0".encode(errors="surrogateescape") + content)
    return whole.hexdigest()[:16]


def take_engines(root: Path) -> str:
    """Keep the code as it is now below ``root`` (the runs' folder); returns its hash. A copy that
    is there is compared, and mended."""
    contents = {name: path.read_bytes() for name, path in engine_files().items()}
    name = hash_of(contents)
    place = root / CODE / name

    def whole() -> bool:
        """Whether the copy holds what its name says; after a power cut it may not."""
        copied = {}
        for path in contents:
            if (place / path).is_file():
                copied[path] = (place / path).read_bytes()
        return hash_of(copied) == name

    if place.exists() and whole():
        return name
    # The process id keeps two launches at once from writing into one draft.
    draft = root / CODE / f".{name}.{os.getpid()}"
    for path, content in contents.items():
        (draft / path).parent.mkdir(parents=True, exist_ok=True)
        (draft / path).write_bytes(content)
    if LAUNCHER in contents:
        # A wheel may have been unpacked by what keeps no modes.
        (draft / LAUNCHER).chmod(0o755)
    put_in_place(draft, place, whole)
    return name


def put_in_place(draft: Path, place: Path, whole: Callable[[], bool] = lambda: True) -> None:
    """Give a finished copy its name; another process may have been faster. A copy that is not
    ``whole`` (lost power) makes room."""
    try:
        draft.rename(place)
        return
    # A folder cannot be renamed onto one that has files in it: somebody was faster.
    except OSError:
        if not place.exists():
            raise
    if not whole():
        # Renamed, not deleted in place: so the name is without a copy for a moment only.
        torn = place.with_name(f".{place.name}.{os.getpid()}.torn")
        place.rename(torn)
        draft.rename(place)
        draft = torn
    shutil.rmtree(draft)


def changed_files(root: Path, before: str, after: str) -> list[str]:
    """Files that differ between two kept codes; a code that is gone counts as empty."""

    def files(name: str) -> dict[str, bytes]:
        place = root / CODE / name
        return {
            str(path.relative_to(place)): path.read_bytes()
            for path in place.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    old, new = files(before), files(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


@dataclass(frozen=True, kw_only=True)
class Found:
    """The files of a folder, sorted by what becomes of them in a copy."""

    taken: list[str]
    untracked: list[str]
    """Those of ``taken`` that git does not track."""
    with_secrets: list[str]
    """Those of ``taken`` that have a secret in them."""
    secret: list[str]
    """Left out, as they hold secrets by their name or content."""
    repositories: list[str]
    """Left out, as they are folders with a repository of their own."""

    @property
    def left_out(self) -> list[str]:
        """Everything that is."""
        return [*self.secret, *self.repositories]


def known_files(folder: Path) -> Found:
    """Files of a folder that git tracks, and those that it neither tracks nor ignores, by their
    names alone. CheckError without git."""
    others = files_known_to_git(folder, "--others", "--exclude-standard")
    # Runs that lie in the folder are no code, whatever git knows of them.
    runs = os.path.relpath(runs_root(), folder) + os.sep
    untracked = dict.fromkeys(name for name in others if not name.startswith(runs))
    found = Found(taken=[], untracked=[], with_secrets=[], secret=[], repositories=[])
    for name in [*files_known_to_git(folder, "--cached"), *untracked]:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            found.repositories.append(name)  # in this one; git names no other folders
        elif is_secret_name(name):
            found.secret.append(name)
        # git lists what it tracks even where the file has been deleted; that is left out.
        elif path.is_symlink() or path.is_file():
            found.taken.append(name)
            if name in untracked:
                found.untracked.append(name)
    return found


def measured(folder: Path) -> Found:
    """The files that a copy of ``folder`` would hold, and those left out. CheckError if they are
    too much, or without git.

    What is a secret by its name or content is left out. What has one in it is left out if git does
    not track it and it is no program; else the jobs may need it.
    """
    found = known_files(folder)
    # First: of what is too much nothing is read.
    refuse_large(folder, found.taken)
    untracked = set(found.untracked)
    for name in list(found.taken):
        says = secrecy(folder / name)
        needed = name not in untracked or is_program(folder / name)
        if says is Secrecy.IS or (says is Secrecy.HAS and not needed):
            found.secret.append(name)
        elif says is Secrecy.HAS:
            found.with_secrets.append(name)
    secret = set(found.secret)
    return replace(
        found,
        taken=[name for name in found.taken if name not in secret],
        untracked=[name for name in found.untracked if name not in secret],
    )


def refuse_large(folder: Path, names: Sequence[str]) -> None:
    """CheckError if these files are too much for a copy."""
    # lstat: a link is copied as a link, however large what it leads to.
    sizes = {name: (folder / name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total > MOST_MEGABYTES * 2**20:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        raise CheckError(
            f"snapshot: true would copy {total / 2**20:.0f} MB of {folder}, more than "
            f"{MOST_MEGABYTES} MB: let git ignore "
            f"the largest files ({', '.join(largest)}), or take 'snapshot' out of the "
            "experiment file"
        )


def files_known_to_git(folder: Path, *which: str) -> list[str]:
    """Paths that git tracks, or would take, each once; some may be gone."""
    # -z: names may have spaces, quotes and line breaks.
    command = ["git", "ls-files", "-z", *which]
    listed = None
    if not folder.is_dir():
        raise CheckError(f"{folder}, where the run was launched and whose files it copies, is gone")
    if shutil.which("git"):
        listed = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if listed is None or listed.returncode != 0:
        raise CheckError(
            f"snapshot: true copies the files that git knows, and {folder} is in no git "
            "repository: git init, or take 'snapshot' out of the experiment file"
        )
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    # In the middle of a merge git lists a file once for each side.
    return list(dict.fromkeys(names))


def said_of(found: Found) -> list[str]:
    """What a person should know of a copy, a line each."""
    lines = []
    if found.untracked:
        lines.append(
            f"snapshot: takes {len(found.untracked)} files that git does not track: "
            f"{named(found.untracked)}"
        )
    if found.secret:
        lines.append(
            f"snapshot: leaves {len(found.secret)} files out that look like secrets: "
            f"{named(found.secret)}; hand them over by a variable or a whole path"
        )
    if found.with_secrets:
        lines.append(
            f"snapshot: {len(found.with_secrets)} files have what looks like a secret in them, "
            f"which is copied along: {named(found.with_secrets)}; take it out, and hand it over by "
            "a variable"
        )
    if found.repositories:
        lines.append(
            f"snapshot: leaves {len(found.repositories)} folders out that are repositories of "
            f"their own: {named(found.repositories)}"
        )
    return lines


def named(files: Sequence[str]) -> str:
    """The first ones by name, of the others how many."""
    shown = ", ".join(map(printable, files[:NAMED]))
    return shown + (f" and {len(files) - NAMED} more" if len(files) > NAMED else "")


def printable(name: str) -> str:
    """A name as a terminal may be given it."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def take_folder(folder: Path, work: Path) -> str:
    """Copy what git knows of ``folder`` to ``work/<hash>``; returns the hash. CheckError as of
    ``measured``."""
    found = measured(folder)
    names = found.taken
    contents = {name: content_of(folder, name) for name in names}
    digest = hash_of(contents)
    # Written last, so a copy with it is whole.
    if not (work / f"{digest}.json").exists():
        draft = work / f".{digest}.{os.getpid()}"
        for name in names:
            copy_one(folder, draft, name)
        draft.mkdir(parents=True, exist_ok=True)  # of an empty folder
        put_in_place(draft, work / digest)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        kept = {"from": str(folder), "left_out": found.left_out, "untracked": found.untracked}
        write_json(work / f"{digest}.json", {**kept, "told": said_of(found), "files": hashes})
    return digest


def content_of(folder: Path, name: str) -> bytes:
    """What counts of a file: its content and whether it may be executed; of a link where it
    leads."""
    path = folder / name
    if path.is_symlink():
        return b"-> " + os.fsencode(link_target(folder, path))
    # A script that is no longer executable fails, so that is another copy.
    return (b"x" if path.stat().st_mode & 0o100 else b"-") + path.read_bytes()


def link_target(folder: Path, link: Path) -> str:
    """Where a link leads from the copy: the same place in it, or, outside of the folder, the place
    itself."""
    inside = link.resolve().is_relative_to(folder.resolve()) and not link.readlink().is_absolute()
    return str(link.readlink()) if inside else str(link.resolve())


def copy_one(folder: Path, target: Path, name: str) -> None:
    """Copy a file, or a link as a link."""
    source, copy = folder / name, target / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        copy.symlink_to(link_target(folder, source))
    else:
        shutil.copy2(source, copy)


class Listed(TypedDict):
    """What is read of the list of a copy's files."""

    files: dict[str, str]


def copy_launched(work: Path, digest: str, target: Path) -> None:
    """Copy a run's snapshot into another run, from what was kept. RunError if what ran there has
    changed one of its files."""
    path = work / f"{digest}.json"
    manifest = mapping(path, "nothing can be run with that copy", Listed)
    if manifest is None:
        raise RunError(
            f"{path}: what the copy held is not known: rerun with the present code instead "
            "(without --code launched)"
        )
    changed = []
    for name, sha in manifest["files"].items():
        # lexists: a link that leads nowhere is there all the same.
        gone = not os.path.lexists(work / digest / name)
        if gone or hashlib.sha256(content_of(work / digest, name)).hexdigest() != sha:
            changed.append(name)
    if changed:
        raise RunError(
            f"{work / digest}: {', '.join(changed[:3])} was changed by what ran there: "
            "rerun with the present code instead "
            "(without --code launched)"
        )
    draft = target / f".{digest}.{os.getpid()}"
    for name in manifest["files"]:
        copy_one(work / digest, draft, name)
    draft.mkdir(parents=True, exist_ok=True)
    put_in_place(draft, target / digest)
    write_json(target / f"{digest}.json", manifest)


def sentence(files: Sequence[str]) -> str:
    """``engines/contract/config.py and 2 more``."""
    return ", ".join(files[:2]) + (f" and {len(files) - 2} more" if len(files) > 2 else "")
