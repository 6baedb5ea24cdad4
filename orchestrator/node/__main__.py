"""Start one job, or a pack of jobs, on a node.

    python -I -S -u RUNS/.code/HASH/orchestrator/node/__main__.py JOB_FOLDER ATTEMPT TOKEN
    python -I -S -u RUNS/.code/HASH/orchestrator/node/__main__.py ARRAY_FOLDER

The launcher (launcher/) starts it with ``--ended`` first for a job whose program it has run.
In the second form ``members.json`` in the folder says which jobs: those of the element
SLURM_ARRAY_TASK_ID, or of the only pack there is. Slurm and the local scheduler call it, from a
script that orch has written (``Run.node_command``).
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # started by its path, without site and without the folder it lies in
    sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]

from orchestrator.node.attempt import Attempt
from orchestrator.node.light.forms import Damaged, read_element
from orchestrator.node.light.utf8 import in_utf8_mode
from orchestrator.node.system import requeue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orchestrator.node.pack import Entry


def arguments() -> tuple[list[Entry], list[str] | None, int]:
    """What to work on, from the command line and the list in an array's folder; for a pack with the
    modules to start warm with, and how many members run at a time."""
    if len(sys.argv) > 3:
        _, job_folder, number, token = sys.argv[:4]
        return [(job_folder, int(number), token)], None, 1
    folder, index = sys.argv[1], os.environ.get("SLURM_ARRAY_TASK_ID", "")
    # {"3": [FOLDER, 1]}: element 3 is the first attempt at the job in FOLDER. {"": {"pack":
    # [[FOLDER, 1, TOKEN], ...], "warm": ["torch"]}}: a pack without an array.
    listed = read_element(os.path.join(folder, "members.json"), index)
    if isinstance(listed, dict):
        entries = [(job_folder, number, token) for job_folder, number, token in listed["pack"]]
        return entries, listed["warm"], listed.get("at_once") or len(entries)
    job_folder, number = listed
    return [(job_folder, number, f"{os.path.basename(folder)}_{index}")], None, 1


def main() -> int:
    """Run one attempt, or a pack of them. Exit code 0: results are there, or another job has the
    attempt; else the engine's, at least 1."""
    in_utf8_mode()
    try:
        if sys.argv[1:2] == ["--ended"]:
            from orchestrator.node.launcher.ended import end_of

            return left(*end_of(sys.argv[2:]))
        return run(*arguments())
    except Damaged as error:
        print(f"orch-error: {error}", flush=True)
        return 1


def run(entries: list[Entry], warm: list[str] | None, at_once: int) -> int:
    """Run what ``arguments`` says; the exit code."""
    if warm is not None:
        from orchestrator.node.pack import run_pack

        return run_pack(entries, warm, at_once)
    attempt = Attempt(*entries[0])
    return left(attempt, *attempt.work())


def left(attempt: Attempt, code: int, again: bool) -> int:
    """Have an attempt that has left its exit record started again, if it is to be; the exit
    code."""
    # After the exit record: Slurm ends this process as soon as it requeues the job.
    trouble = requeue(attempt.job_id) if again else ""
    if trouble:
        print(f"orch-error: could not be requeued: {trouble}", flush=True)
        attempt.write_exit_record(code, requeued=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
