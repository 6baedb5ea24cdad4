"""Prepared data: ``<task>.train|validation|test.parquet`` without a problem in common, and
``data.json``, which says what they are.

Light until something is read or written (then pyarrow, never torch). A problem is told by
``engines.shared.data.problems.content_key``: copies that differ in case and white space alone are
one problem.
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

import yaml

from engines.contract.config import ConfigError
from engines.contract.files import write_json
from engines.shared.data import miniature_domains
from engines.shared.data.problems import Problem, content_key, read_problems, write_problems

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
    ``<domain>__<data set>.parquet``.
    """
    if source.endswith((".yaml", ".yml")):
        return mapped_files(Path(source))
    folder = Path(source).expanduser()
    if not folder.is_dir():
        folder = hub_folder(source, ["train/*.parquet"])
    if (folder / "train").is_dir():
        folder = folder / "train"
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*__*.parquet")):
        found.setdefault(path.name.partition("__")[0], []).append(path)
    if not found:
        raise ConfigError(
            f"{folder}: no <domain>__<data set>.parquet there; name the files of each "
            "task in a .yaml file instead"
        )
    return found


def mapped_files(path: Path) -> dict[str, list[Path]]:
    """Files of each task of a YAML mapping; relative ones lie beside it."""
    try:
        named = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    lists = (
        {task: [files] if isinstance(files, str) else files for task, files in named.items()}
        if isinstance(named, dict)
        else {}
    )
    for task, files in lists.items():
        if not (isinstance(task, str) and re.fullmatch(r"[\w-]+", task)):
            raise ConfigError(f"{path}: {task!r} cannot name a task; use letters, digits, _ and -")
        if not (isinstance(files, list) and files and all(isinstance(file, str) for file in files)):
            raise ConfigError(
                f"{path}: task {task}: {files!r} is neither a file nor a list of files"
            )
    if not lists:
        raise ConfigError(f"{path}: is no mapping {{task: file or list of files}}")
    return {
        task: [path.parent / Path(file).expanduser() for file in files]
        for task, files in sorted(lists.items())
    }


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
    included = " ".join(f"'{pattern}'" for pattern in patterns)
    try:
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

    A problem's place hangs on the seed and on what it asks alone, not on the order of files or
    rows.
    """
    parts: Parts = {}
    dropped: dict[str, Dropped] = {}
    kept: dict[str, Problem] = {}
    for task in sorted(files):
        dropped[task] = Dropped()
        own = distinct(
            (problem for path in files[task] for problem in read_problems(path)),
            kept,
            dropped[task],
        )
        if len(own) <= validation + test:
            raise ConfigError(
                f"task {task}: {len(own)} different problems are too few for {validation} "
                f"of validation, {test} of test and "
                "one of training; ask for fewer with --validation and --test"
            )
        order = sorted(own, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())
        problems = [own[key] for key in order]
        parts[task] = {
            "train": problems[validation + test :],
            "validation": problems[test : validation + test],
            "test": problems[:test],
        }
    return parts, dropped


def distinct(
    problems: Iterable[Problem], kept: dict[str, Problem], dropped: Dropped
) -> dict[str, Problem]:
    """The problems that ``kept`` has not, by content key; adds them to it and counts the others."""
    own: dict[str, Problem] = {}
    for problem in problems:
        key = content_key(problem)
        first = kept.setdefault(key, problem)
        if first is problem:
            own[key] = problem
        else:
            dropped.duplicates += 1
            dropped.contradictions += first.ground_truth != problem.ground_truth
    return own


def check_disjoint(parts: Parts) -> None:
    """ValueError if a problem is in two places. Splitting rules it out; this looks at what is about
    to be written."""
    place: dict[str, str] = {}
    for task, splits in parts.items():
        for split, problems in splits.items():
            for problem in problems:
                other = place.setdefault(content_key(problem), f"{task}.{split}")
                if other != f"{task}.{split}":
                    raise ValueError(
                        f"{problem.prompt[-1]['content']!r} is in {other} and in {task}.{split}"
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
    try:
        manifest: dict[str, Any] = json.loads((out / MANIFEST).read_text())
    except FileNotFoundError:
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
    before = manifest.get("request", {})
    if before != request:
        keys = sorted(key for key in {*before, *request} if before.get(key) != request.get(key))
        told = ", ".join(
            f"{key} {before.get(key)!r} (now {request.get(key)!r})"
            for key in keys
            if key != "files"
        )
        told = ", ".join(filter(None, (told, "other raw files" if "files" in keys else "")))
        raise ConfigError(f"{out}: was prepared with {told}: give another --out")
    for name, entry in manifest["files"].items():
        if not (out / name).is_file() or file_hash(out / name) != entry["sha256"]:
            raise ConfigError(
                f"{out / name}: is not what was prepared; delete {out / MANIFEST} and the "
                "files it lists, and prepare again"
            )
    return manifest


def write_prepared(
    out: Path, request: Mapping[str, Any], parts: Parts, dropped: Mapping[str, Dropped]
) -> dict[str, Any]:
    """Write the files and, last, the manifest, which is returned. A split without problems has no
    file."""
    check_disjoint(parts)
    out.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=out, prefix=".prepare-") as folder:
        for task, splits in parts.items():
            for split in filter(splits.get, SPLITS):
                path = Path(folder) / f"{task}.{split}.parquet"
                write_problems(path, splits[split])
                files[path.name] = {
                    "task": task,
                    "split": split,
                    "problems": len(splits[split]),
                    "sha256": file_hash(path),
                }
        for name in files:
            (Path(folder) / name).replace(out / name)
    manifest = {
        "schema": 1,
        "request": dict(request),
        "files": files,
        "dropped": {task: vars(one) for task, one in dropped.items()},
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
    for paths in files.values():
        for path in paths:
            if not path.is_file():
                raise ConfigError(f"{source}: {path} is not there")
    for task, paths in files.items():
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
    sizes = dict(miniature_domains.SIZES)
    if validation is not None:
        sizes["validation"] = validation
    if test is not None:
        sizes["test"] = test
    request = {"source": MINIATURE, **sizes, "seed": seed}
    manifest = prepared(out, request)
    if manifest is not None:
        return manifest, True
    parts: Parts = {}
    for domain in miniature_domains.DOMAINS:
        try:
            parts[domain] = miniature_domains.splits(domain, sizes, seed)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    dropped = {domain: Dropped() for domain in parts}
    return write_prepared(out, request, parts, dropped), False
