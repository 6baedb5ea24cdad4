"""Prepared data: ``<task>.train|validation|test.parquet`` without a problem in common, and
``data.json``, which says what they are.

In: raw files of each task, or the miniature domains; sizes and a seed. Out: the files and their
    manifest, written last. ``orch data prepare`` calls it; the evaluation takes file hashes and
    folders of the Hugging Face hub from here. Light until something is read or written (then
    pyarrow, never torch). A problem is recognised by ``engines.shared.data.problems.content_key``:
    copies that differ in case and white space alone are one problem.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError, read_written, user_path
from engines.contract.counting.counts import counted
from engines.contract.files import write_json
from engines.contract.written.nodes import shown
from engines.shared.data.miniature import DOMAINS, SIZES, splits
from engines.shared.data.near_copies import told_of_splits
from engines.shared.data.problem_files import IN_FOLDERS, read_problems, write_problems
from engines.shared.data.problems import Problem, content_key

SPLITS = ("train", "validation", "test")

MANIFEST = "data.json"

MINIATURE = "miniature"
"""The source that is made on the spot."""

HELD_OUT = 200
"""Problems of validation and of test per task of raw files, if nothing is said."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

Parts = dict[str, dict[str, list[Problem]]]
"""Problems of each task and split."""


@dataclass
class Dropped:
    """Copies of a problem that were left out, of one task."""

    duplicates: int = 0
    contradictions: int = 0
    """Those of them whose answer differs from the one that was kept."""


def task_files(source: str) -> dict[str, list[Path]]:
    """Raw files of each task: of a ``.yaml`` mapping {task: file or files}, of a folder, or of a
    data set on the Hugging Face hub.

    In a folder (its ``train/`` if there is one) a task is what stands before the two underscores of
    ``<domain>__<data set>.parquet`` or ``.jsonl``.
    """
    if source.endswith((".yaml", ".yml")):
        return mapped_files(Path(source))
    folder = user_path(source)
    if not folder.is_dir():
        folder = hub_folder(source, ["train/*.parquet"])
    if (folder / "train").is_dir():
        folder = folder / "train"
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*__*")):
        # math__a.parquet and math__b.parquet both belong to the task math.
        if path.name.endswith(IN_FOLDERS):
            files.setdefault(path.name.partition("__")[0], []).append(path)
    if not files:
        raise ConfigError(
            f"{folder}: no <domain>__<data set>.parquet or .jsonl there; name the files of each "
            "task in a .yaml file instead"
        )
    return files


def mapped_files(path: Path) -> dict[str, list[Path]]:
    """Files of each task of a YAML mapping; relative ones lie beside it."""
    root = read_written(path)
    if not isinstance(root.value, dict) or not root.value:
        raise ConfigError(f"{root.where}: is no mapping {{task: file or list of files}}")
    paths: dict[str, list[Path]] = {}
    for task, node in root.value.items():
        named = node.plain()
        files = [named] if isinstance(named, str) else named
        # A task's name becomes part of file names.
        if not (isinstance(task, str) and re.fullmatch(r"[\w-]{1,100}", task)):
            text = f"{shown(task)} cannot name a task; use at most 100 letters, digits, _ and -"
            raise ConfigError(f"{node.where}: {text}")
        if not (isinstance(files, list) and files and all(isinstance(file, str) for file in files)):
            text = f"task {task}: {shown(files)} is neither a file nor a list of files"
            raise ConfigError(f"{node.where}: {text}")
        try:
            paths[task] = [path.parent / user_path(file) for file in files]
        except ConfigError as error:
            raise ConfigError(f"{node.where}: {error}") from error
    return dict(sorted(paths.items()))


def hub_folder(name: str, patterns: Sequence[str]) -> Path:
    """The files of a data set on the Hugging Face hub whose paths fit, fetched if they are not in
    this machine's cache."""
    if not HUB_NAME.fullmatch(name):
        raise ConfigError(
            f"{name}: no such folder, and no data set on the Hugging Face hub (organisation/name)"
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise ConfigError(
            f"{name}: no such folder; to fetch it from the Hugging Face hub run: pip "
            "install huggingface_hub"
        ) from error
    # For the message alone: the command that fetches the same files on a machine with a network.
    included = " ".join(f"'{pattern}'" for pattern in patterns)
    try:
        # Where the hub cannot be reached, as on many nodes, this takes what the cache holds.
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=list(patterns)))
    except LocalEntryNotFoundError as error:
        raise ConfigError(
            f"{name}: no such folder, not in this machine's Hugging Face cache, and the "
            "hub cannot be reached; where it can, "
            f"run: hf download {name} --repo-type dataset --include {included}"
        ) from error
    except HfHubHTTPError as error:
        raise ConfigError(
            f"{name}: no such folder, and the Hugging Face hub refuses it "
            f"({str(error).splitlines()[0]}); check the name, or "
            "run: hf auth login"
        ) from error


def split_files(
    files: Mapping[str, list[Path]], validation: int, test: int, seed: int
) -> tuple[Parts, dict[str, Dropped]]:
    """Read the raw files and split every task. ConfigError if a task has too few problems.

    A problem's place depends on the seed and on what it asks alone, not on the order of files or
    rows.
    """
    parts: Parts = {}
    dropped: dict[str, Dropped] = {}
    # One table for all tasks: a problem that two of them have stays with the first by name.
    first_copies: dict[str, Problem] = {}
    for task in sorted(files):
        dropped[task] = Dropped()
        problems = (problem for path in files[task] for problem in read_problems(path))
        own = distinct(problems, first_copies, dropped[task])
        # <= and not <: one problem at least has to be left for training.
        if len(own) <= validation + test:
            raise ConfigError(
                f"task {task}: {len(own)} different problems are too few for {validation} "
                f"of validation, {test} of test and "
                "one of training; ask for fewer with --validation and --test"
            )
        # A shuffle that does not depend on the order of rows: by a hash of seed and content.
        order = sorted(own, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
        shuffled = [own[key] for key in order]
        # The test problems come first: another size of validation does not change them.
        parts[task] = {
            "train": shuffled[validation + test :],
            "validation": shuffled[test : validation + test],
            "test": shuffled[:test],
        }
    return parts, dropped


def distinct(
    problems: Iterable[Problem], first_copies: dict[str, Problem], dropped: Dropped
) -> dict[str, Problem]:
    """The problems that ``first_copies`` has not, by content key; adds them to it and counts the
    others as dropped."""
    own: dict[str, Problem] = {}
    for problem in problems:
        key = content_key(problem)
        first = first_copies.setdefault(key, problem)
        # setdefault gives back this very object where the key is new.
        if first is problem:
            own[key] = problem
        else:
            dropped.duplicates += 1
            dropped.contradictions += first.ground_truth != problem.ground_truth
    return own


def miniature_sizes(validation: int | None, test: int | None) -> dict[str, int]:
    """Problems of each split of a miniature domain; None is what the engine ``miniature`` makes if
    nothing else is said."""
    sizes = dict(SIZES)
    if validation is not None:
        sizes["validation"] = validation
    if test is not None:
        sizes["test"] = test
    return sizes


def miniature_parts(sizes: dict[str, int], seed: int) -> Parts:
    """The problems of the miniature domains. ValueError if a domain has not so many."""
    return {domain: splits(domain, sizes, seed) for domain in DOMAINS}


def check_disjoint(parts: Parts) -> None:
    """ValueError if a problem is in two places. Splitting rules it out; this looks at what is about
    to be written."""
    places: dict[str, str] = {}
    for task, by_split in parts.items():
        for split, problems in by_split.items():
            place = f"{task}.{split}"
            for problem in problems:
                first_place = places.setdefault(content_key(problem), place)
                if first_place != place:
                    raise ValueError(
                        f"{problem.prompt[-1]['content']!r} is in {first_place} and in {place}"
                    )


def file_hash(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepared(out: Path, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest of ``out`` if it was made by the same request and its files are whole; None if
    nothing is there.

    ConfigError if it was made otherwise, a file was changed, or files would be overwritten that are
    not ours.
    """
    manifest = read_manifest(out)
    if manifest is None:
        return None
    before = manifest.get("request", {})
    if before != request:
        differences = described_differences(before, request)
        raise ConfigError(f"{out}: was prepared with {differences}: give another --out")
    # Contents and not dates: a file may have been edited, or cut off by a full disk.
    for name, entry in manifest["files"].items():
        if not (out / name).is_file() or file_hash(out / name) != entry["sha256"]:
            raise ConfigError(
                f"{out / name}: is not what was prepared; delete {out / MANIFEST} and the "
                "files it lists, and prepare again"
            )
    return manifest


def read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest of ``out``; None if nothing is there. ConfigError if it cannot be read, or if
    there are files without one."""
    try:
        manifest: dict[str, Any] = json.loads((out / MANIFEST).read_text())
    except FileNotFoundError:
        # The manifest is written last: files without one
        # are not ours, or of a call that was broken off.
        foreign = sorted(path.name for split in SPLITS for path in out.glob(f"*.{split}.parquet"))
        if foreign:
            raise ConfigError(
                f"{out}: has {', '.join(foreign[:3])} and no {MANIFEST}: nothing is "
                "overwritten; give another --out, or "
                "delete them if they are left from a call that was broken off"
            ) from None
        return None
    except ValueError as error:
        raise ConfigError(
            f"{out / MANIFEST}: cannot be read: {error}; give another --out"
        ) from error
    return manifest


def described_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two requests, in words."""
    words = []
    for key in sorted({*before, *now} - {"files"}):
        if before.get(key) != now.get(key):
            words.append(f"{key} {before.get(key)!r} (now {now.get(key)!r})")
    # Long hashes would tell a reader nothing.
    if before.get("files") != now.get("files"):
        words.append("other raw files")
    return ", ".join(words)


def write_prepared(
    out: Path, request: Mapping[str, Any], parts: Parts, dropped: Mapping[str, Dropped]
) -> dict[str, Any]:
    """Write the files and, last, the manifest, which is returned. A split without problems has no
    file."""
    check_disjoint(parts)
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    # All files are written into a folder of their own first: an error leaves nothing in ``out``.
    # Inside of ``out``, so that the renames do not cross a file system.
    with tempfile.TemporaryDirectory(dir=out, prefix=".prepare-") as folder:
        for task, by_split in parts.items():
            for split in SPLITS:
                if not by_split.get(split):
                    continue
                path = Path(folder) / f"{task}.{split}.parquet"
                write_problems(path, by_split[split])
                files[path.name] = {
                    "task": task,
                    "split": split,
                    "problems": len(by_split[split]),
                    "sha256": file_hash(path),
                }
        for name in files:
            (Path(folder) / name).replace(out / name)
    manifest = {
        "schema": 1,
        "request": dict(request),
        "files": files,
        "dropped": {task: vars(counts) for task, counts in dropped.items()},
        "near_copies": told_of_splits(parts),
    }
    write_json(out / MANIFEST, manifest)
    return manifest


def prepare(
    source: str, out: Path, validation: int | None, test: int | None, seed: int
) -> tuple[dict[str, Any], bool]:
    """Prepare data in ``out``, unless the same request did so before.

    Args:
        source: Raw files, as ``task_files`` takes them, or "miniature".
        out: Folder of the files and the manifest.
        validation: Problems per task; None: as many as is usual for the source.
        test: The same of the test split.
        seed: Decides which problem goes into which split.

    Returns:
        The manifest, and whether it was there before.

    Raises:
        ConfigError: What the user can mend.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("reading and writing parquet needs pyarrow: run: pip install pyarrow")
    if source == MINIATURE:
        return prepare_miniature(out, validation, test, seed)
    return prepare_files(
        source,
        out,
        HELD_OUT if validation is None else validation,
        HELD_OUT if test is None else test,
        seed,
    )


def prepare_files(
    source: str, out: Path, validation: int, test: int, seed: int
) -> tuple[dict[str, Any], bool]:
    """Split raw files. The request holds what they contain, so that a copy of them elsewhere is the
    same source."""
    files = task_files(source)
    hashes: dict[str, list[dict[str, str]]] = {}
    # All paths before any hash: a wrong one is told at once, whatever the size of the others.
    for paths in files.values():
        for path in paths:
            if not path.is_file():
                raise ConfigError(f"{source}: {path} is not there")
    for task, paths in counted("hashing the files of tasks", files.items()):
        hashes[task] = [{"name": path.name, "sha256": file_hash(path)} for path in paths]
    request = {
        "source": "files",
        "validation": validation,
        "test": test,
        "seed": seed,
        "files": hashes,
    }
    manifest = prepared(out, request)
    if manifest is not None:
        return manifest, True
    parts, dropped = split_files(files, validation, test, seed)
    return write_prepared(out, request, parts, dropped), False


def prepare_miniature(
    out: Path, validation: int | None, test: int | None, seed: int
) -> tuple[dict[str, Any], bool]:
    """Write the six miniature domains, of the sizes that the engine `miniature` makes if nothing
    else is said."""
    sizes = miniature_sizes(validation, test)
    request = {"source": MINIATURE, **sizes, "seed": seed}
    manifest = prepared(out, request)
    if manifest is not None:
        return manifest, True
    try:
        parts = miniature_parts(sizes, seed)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    dropped = {domain: Dropped() for domain in parts}
    return write_prepared(out, request, parts, dropped), False
