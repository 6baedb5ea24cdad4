"""What lies on disk of an attempt before it is submitted: its folder, its log, what the members of
an array or a pack find there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from jobs.spec import Job
from orchestrator.node.system import write_json
from orchestrator.runs.record import Record
from orchestrator.runs.run import Run


def prepare(run: Run, jobs: Sequence[Job], records: Sequence[Record]) -> None:
    """Make what a batch needs on disk before it is submitted; ``jobs``: with what these attempts
    ask for."""
    work = run.code().work
    for job, record in zip(jobs, records, strict=True):
        changed: dict[str, Any] = (
            {}
            if job.resources == run.by_name[job.name].resources
            else {"resources": asdict(job.resources)}
        )
        if work is not None and job.command is not None:
            changed["cwd"] = str(work)
        if changed:
            path = run.job_folder(job) / "job.json"
            write_json(path, {**json.loads(path.read_text()), **changed})
        attempt = f"{run.folder}/{record.folder}/attempt-{record.attempt}"
        # os instead of Path: thousands of jobs are submitted at once.
        try:
            os.mkdir(attempt)  # noqa: PTH102
        except FileNotFoundError:
            os.makedirs(attempt)  # noqa: PTH103
        except FileExistsError:
            if os.path.islink(f"{attempt}/log.txt"):  # noqa: PTH114
                os.unlink(f"{attempt}/log.txt")  # noqa: PTH108  # of an intent that was dropped before anything was submitted
        token = record.parsed_token
        if record.token != token.head:
            name = token.index if token.member is None else record.token
            up = "../" * (record.folder.count("/") + 2)
            os.symlink(f"{up}arrays/{token.head}/{name}.log", f"{attempt}/log.txt")  # noqa: PTH211
    if records[0].token != records[0].parsed_token.head:
        write_members(run, jobs[0].engine, records)


def write_members(run: Run, engine: str | None, records: Sequence[Record]) -> None:
    """Tell the elements of an array, or one pack, what is theirs; what the file says of other
    elements stays."""
    path = run.array_folder(records[0].parsed_token.head) / "members.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    mine: dict[str, Any] = {}
    warm: list[str] = []
    if engine is not None and any(record.packed for record in records):
        from orchestrator.description.engine_config import warm_modules

        warm = warm_modules(engine)
    for record in records:
        index = record.parsed_token.index
        entry = [f"{run.folder}/{record.folder}", record.attempt]
        key = "" if index is None else str(index)
        if record.packed:
            mine.setdefault(key, {"pack": [], "warm": warm})["pack"].append([*entry, record.token])
        else:
            mine[key] = entry
    if before | mine != before:
        write_json(path, before | mine)
