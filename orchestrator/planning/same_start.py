"""A job that goes on from another one's checkpoint has what must be the same there and here, such
as the shape of a model (``EngineConfig.same_as_initial``).

What goes in: the jobs with their whole configs, and the drafts they were made of. What comes out: a
mistake for each two stages whose jobs differ in it. Called by ``expand``. A checkpoint that no job
of the plan makes is looked at by the engine itself, when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from engines.contract.config import EngineConfig, in_short
from engines.contract.written.mistakes import Mistakes
from jobs.spec import Job
from orchestrator.description.catalogue import config_class
from orchestrator.planning.drafts import Drafts


def tell_other_start(jobs: Sequence[Job], drafts: Drafts, mistakes: Mistakes) -> None:
    """Of each two stages the first job is told that does not fit the one it starts from."""
    going_on = [job for job in jobs if job.config.get("initial")]
    by_folder = {PurePosixPath(drafts.out(job.name)): job for job in jobs if going_on}
    asked: dict[str, dict[str, Any]] = {}
    told: set[tuple[str, str]] = set()
    for job in going_on:
        for start in starts(job, by_folder):
            if (start.stage, job.stage) in told or start.engine != job.engine:
                continue
            for one in (start, job):
                # A base is asked once, not for each of its fine-tunings.
                if one.name not in asked:
                    asked[one.name] = same_as_initial(one)
            there, here = asked[start.name], asked[job.name]
            unlike = [key for key in here if here[key] != there[key]]
            if not unlike:
                continue
            told.add((start.stage, job.stage))
            stage, key = drafts.by_name[job.name].stage, unlike[0]
            mistakes.add(
                stage.place("config"),
                f"stage '{stage.name}': job '{job.name}' has {key} {in_short(here[key])}, and "
                f"'{start.name}', from which it starts (initial), {in_short(there[key])}; "
                "give both the same",
            )


def starts(job: Job, by_folder: dict[PurePosixPath, Job]) -> Iterator[Job]:
    """The jobs whose checkpoints ``initial`` names, one or a list."""
    initial: Any = job.config.get("initial")
    for source in initial if isinstance(initial, list) else [initial]:
        if not isinstance(source, dict) or "folder" not in source:
            continue
        folder = PurePosixPath(source["folder"])
        # Of several models that were trained in one job, the folder is that of one of them.
        for path in (folder, *folder.parents):
            if path in by_folder:
                yield by_folder[path]


def same_as_initial(job: Job) -> dict[str, Any]:
    """What its engine says must be the same; nothing of a command."""
    if job.engine is None:
        return {}
    kind = config_class(job.engine)
    if kind.same_as_initial is EngineConfig.same_as_initial:
        return {}
    return kind.model_validate(job.config).same_as_initial()
