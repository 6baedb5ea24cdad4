"""Where the files of a job lie in the folder of its run: written down here once.

In: folders of runs and jobs. Out: paths. Called by everything above that reads what a job has left;
whoever has a ``Run`` asks that (``Run.out_folder``).
"""

from __future__ import annotations

from pathlib import Path

OUT = "out"
"""The folder in a job's folder that its engine or command writes into."""
RESULTS = "results.json"
"""Written last of all into that folder: the job is done."""


def out_folder(run_folder: Path, job_folder: str) -> Path:
    """The output folder of the job that lies in ``job_folder`` below the run's folder."""
    return run_folder / job_folder / OUT


def attempt_folder(run_folder: Path, job_folder: str, attempt: int) -> Path:
    """The folder of one attempt at a job: its log, claim and exit record."""
    return run_folder / job_folder / f"attempt-{attempt}"
