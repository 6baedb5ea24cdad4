"""The environment in which Slurm's programs are called: what of the user's own counts there, and
what does not.

In: the name of a program and an environment. Out: the environment of that call. Called by the one
place of the orchestrator that starts Slurm's programs (orchestrator/clusters/slurm/calls.py) and by
the program on a node when it asks to be requeued (system.py) or starts srun (several/lead.py).

Slurm's programs read options from variables, and a variable goes before a line of a batch script:
with ``SBATCH_TIMELIMIT=1`` in a site's start-up file every job would have one minute, and with
``SQUEUE_STATES=RUNNING`` every job that waits would seem to be gone. So all of them are left out,
known or not, but for those that say where Slurm is and who one is. ``VARIABLES`` lists what each
program reads, and docs/reference.md shows it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = {
    "SLURM_CONF": "where Slurm's configuration lies",
    "SLURM_CONF_SERVER": "which host has it",
    "SLURM_JWT": "who one is, where the site uses tokens",
    "SLURM_SACK_SOCKET": "who one is, by Slurm's own service for that (from 24.05 on)",
    "SLURM_SACK_KEY": "the same by a key",
}
"""Variables that every program gets as they are. They choose no job and change no answer."""

IN_ITS_PLACE = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
}
"""Variables that are taken into the profile, by its key, where the profile itself is silent, and
then reach sbatch as options (orchestrator/description/profile_reader.py)."""

PREFIXES = {
    # Inside of a job that a plugin such as pyxis has put into a container, srun leaves the plugin's
    # options behind, and the next job would get them too.
    "sbatch": ("SBATCH_", "SLURM_", "_SLURM_SPANK_OPTION_"),
    "squeue": ("SQUEUE_", "SLURM_"),
    "sacct": ("SACCT_", "SLURM_"),
    "sinfo": ("SINFO_", "SLURM_"),
    "scontrol": ("SCONTROL_", "SLURM_"),
    "scancel": ("SCANCEL_", "SLURM_"),
    "sacctmgr": ("SACCTMGR_", "SLURM_"),
}
"""What the variables begin with that a program reads, or that a newer version of it may. Inside of
a job SLURM_* describe that job, and sbatch would take them for options of the next one."""

ANSWERS = {
    # Lists of array elements come whole; Slurm's programs cut them at 64 letters else.
    "SLURM_BITSTR_LEN": "0",
    # An hour that a change to winter time repeats is told twice in local time, and an answer that
    # another process of the user shares may come from another time zone.
    "TZ": "UTC0",
}
"""Variables that are set where a program answers a question, so that its answer can be read. Not
for sbatch: what it gets, the job gets."""

OF_A_LOCAL_JOB = "ORCH_JOB_ID"
"""Left out of sbatch's environment: a job that a local job submits is none of this machine."""

STEP = (
    "SLURM_LABELIO",
    "SLURM_STDINMODE",
    "SLURM_STDOUTMODE",
    "SLURM_STDERRMODE",
    "SLURM_DISTRIBUTION",
    "SLURM_HOSTFILE",
    "SLURM_WORKING_DIR",
    "SLURM_REMOTE_CWD",
    "SLURM_DEPENDENCY",
    "SLURM_DISABLE_STATUS",
    "SLURM_EXCLUSIVE",
    "SLURM_EXIT_ERROR",
    "SLURM_EXIT_IMMEDIATE",
    "SLURM_EXACT",
    "SLURM_IMMEDIATE",
    "SLURM_CLUSTERS",
    "SLURM_TEST_EXEC",
    "SLURM_THREADS",
    "SLURM_TIMELIMIT",
    "SLURM_WAIT",
    "SLURM_WCKEY",
    "SRUN_CONTAINER",
    "SRUN_CPUS_PER_TASK",
    "SRUN_DEBUG",
    "SRUN_EXPORT_ENV",
)
"""Variables of a user that would change what srun does with lines, ranks, folders and the end of a
step. The others that it reads describe the job, and it needs them."""


def environment_of(program: str, given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a call of one of Slurm's programs, by the one that is given.

    Raises:
        KeyError: it is none of the programs of which it is known what they read.
    """
    if program == "srun":
        return {name: value for name, value in given.items() if name not in STEP}
    read = PREFIXES[program]
    kept = {
        name: value for name, value in given.items() if not name.startswith(read) or name in KEPT
    }
    if program == "sbatch":
        kept.pop(OF_A_LOCAL_JOB, None)
        return kept
    return {**kept, **ANSWERS}


def left_out(program: str, given: Mapping[str, str]) -> list[str]:
    """The variables that are there and that the program does not get, sorted."""
    read = PREFIXES[program]
    return sorted(name for name in given if name.startswith(read) and name not in KEPT)
