"""Every variable that Slurm's programs read, and what it stands for.

By the manual pages and the programs of Slurm 22.05, and what 24.11 and 26.05 have added. What
becomes of each is decided by environment.py, by how its name begins, so that a variable of a newer
Slurm that is missing here is left out as well. Read by scripts/reference.py, which makes the table
of docs/reference.md of it, and by the test that compares it with the programs that are installed.
"""

from __future__ import annotations

EVERYWHERE = {
    "SLURM_CONF": "the configuration file",
    "SLURM_CONF_SERVER": "the host that has the configuration",
    "SLURM_JWT": "a token for auth/jwt",
    "SLURM_SACK_SOCKET": "the socket of auth/slurm",
    "SLURM_SACK_KEY": "the key of auth/slurm",
    "SLURM_CLUSTERS": "--clusters",
    "SLURM_DEBUG_FLAGS": "more lines of output",
    "SLURM_TIME_FORMAT": "how times are written",
    "SLURM_BITSTR_LEN": "where lists of array elements are cut off",
    "SLURM_TOPO_LEN": "where a topology is cut off",
    "SLURM_CONF_OUT": "where `scontrol write config` writes",
}
"""Read by several of them, or by the library that all of them use."""

SBATCH = {
    "SBATCH_ACCOUNT": "--account",
    "SBATCH_ACCTG_FREQ": "--acctg-freq",
    "SBATCH_ARRAY_INX": "--array",
    "SBATCH_BATCH": "--batch",
    "SBATCH_BURST_BUFFER": "--bb",
    "SBATCH_CLUSTERS": "--clusters",
    "SBATCH_CLUSTER_CONSTRAINT": "--cluster-constraint",
    "SBATCH_CONSTRAINT": "--constraint",
    "SBATCH_CONTAINER": "--container",
    "SBATCH_CONTAINER_ID": "--container-id",
    "SBATCH_CORE_SPEC": "--core-spec",
    "SBATCH_CPUS_PER_GPU": "--cpus-per-gpu",
    "SBATCH_CPU_FREQ_REQ": "--cpu-freq",
    "SBATCH_DEBUG": "--verbose",
    "SBATCH_DELAY_BOOT": "--delay-boot",
    "SBATCH_DISTRIBUTION": "--distribution",
    "SBATCH_ERROR": "--error",
    "SBATCH_EXCLUSIVE": "--exclusive",
    "SBATCH_EXPORT": "--export",
    "SBATCH_GET_USER_ENV": "--get-user-env",
    "SBATCH_GPUS": "--gpus",
    "SBATCH_GPUS_PER_NODE": "--gpus-per-node",
    "SBATCH_GPUS_PER_SOCKET": "--gpus-per-socket",
    "SBATCH_GPUS_PER_TASK": "--gpus-per-task",
    "SBATCH_GPU_BIND": "--gpu-bind",
    "SBATCH_GPU_FREQ": "--gpu-freq",
    "SBATCH_GRES": "--gres",
    "SBATCH_GRES_FLAGS": "--gres-flags",
    "SBATCH_HINT": "--hint",
    "SBATCH_IGNORE_PBS": "--ignore-pbs",
    "SBATCH_INPUT": "--input",
    "SBATCH_JOB_NAME": "--job-name",
    "SBATCH_MEM_BIND": "--mem-bind",
    "SBATCH_MEM_PER_CPU": "--mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "--mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "--mem",
    "SBATCH_NETWORK": "--network",
    "SBATCH_NO_KILL": "--no-kill",
    "SBATCH_NO_REQUEUE": "--no-requeue",
    "SBATCH_OPEN_MODE": "--open-mode",
    "SBATCH_OUTPUT": "--output",
    "SBATCH_OVERCOMMIT": "--overcommit",
    "SBATCH_PARTITION": "--partition",
    "SBATCH_POWER": "--power",
    "SBATCH_PROFILE": "--profile",
    "SBATCH_QOS": "--qos",
    "SBATCH_REQUEUE": "--requeue",
    "SBATCH_REQ_SWITCH": "--switches",
    "SBATCH_RESERVATION": "--reservation",
    "SBATCH_SEGMENT_SIZE": "--segment",
    "SBATCH_SIGNAL": "--signal",
    "SBATCH_SPREAD_JOB": "--spread-job",
    "SBATCH_THREADS_PER_CORE": "--threads-per-core",
    "SBATCH_THREAD_SPEC": "--thread-spec",
    "SBATCH_TIMELIMIT": "--time",
    "SBATCH_TRES_BIND": "--tres-bind",
    "SBATCH_TRES_PER_TASK": "--tres-per-task",
    "SBATCH_USE_MIN_NODES": "--use-min-nodes",
    "SBATCH_WAIT": "--wait",
    "SBATCH_WAIT4SWITCH": "--switches",
    "SBATCH_WAIT_ALL_NODES": "--wait-all-nodes",
    "SBATCH_WCKEY": "--wckey",
    "SLURM_EXIT_ERROR": "the exit code after an error",
    "SLURM_HINT": "--hint",
    "SLURM_STEP_KILLED_MSG_NODE_ID": "which node tells that a job was killed",
    "SLURM_UMASK": "who may read the log",
}

SQUEUE = {
    "SQUEUE_ACCOUNT": "--account",
    "SQUEUE_ALL": "--all",
    "SQUEUE_ARRAY": "--array",
    "SQUEUE_ARRAY_UNIQUE": "--array-unique",
    "SQUEUE_FEDERATION": "--federation",
    "SQUEUE_FORMAT": "--format",
    "SQUEUE_FORMAT2": "--Format",
    "SQUEUE_LICENSES": "--licenses",
    "SQUEUE_LOCAL": "--local",
    "SQUEUE_NAMES": "--name",
    "SQUEUE_PARTITION": "--partition",
    "SQUEUE_PRIORITY": "--priority",
    "SQUEUE_QOS": "--qos",
    "SQUEUE_SIB": "--sibling",
    "SQUEUE_SIBLING": "--sibling",
    "SQUEUE_SORT": "--sort",
    "SQUEUE_STATES": "--states",
    "SQUEUE_USERS": "--user",
}

SACCT = {
    "SACCT_FEDERATION": "--federation",
    "SACCT_FORMAT": "--format",
    "SACCT_LOCAL": "--local",
}

SINFO = {
    "SINFO_ALL": "--all",
    "SINFO_FEDERATION": "--federation",
    "SINFO_FORMAT": "--format",
    "SINFO_LOCAL": "--local",
    "SINFO_PARTITION": "--partition",
    "SINFO_SORT": "--sort",
}

SCONTROL = {
    "SCONTROL_ALL": "--all",
    "SCONTROL_FEDERATION": "--federation",
    "SCONTROL_FUTURE": "--future",
    "SCONTROL_LOCAL": "--local",
    "SCONTROL_SIB": "--sibling",
    "SCONTROL_SIBLING": "--sibling",
}

SCANCEL = {
    "SCANCEL_ACCOUNT": "--account",
    "SCANCEL_BATCH": "--batch",
    "SCANCEL_CTLD": "--ctld",
    "SCANCEL_FULL": "--full",
    "SCANCEL_HURRY": "--hurry",
    "SCANCEL_INTERACTIVE": "--interactive",
    "SCANCEL_NAME": "--name",
    "SCANCEL_PARTITION": "--partition",
    "SCANCEL_QOS": "--qos",
    "SCANCEL_STATE": "--state",
    "SCANCEL_USER": "--user",
    "SCANCEL_VERBOSE": "--verbose",
    "SCANCEL_WCKEY": "--wckey",
}

INPUTS = {
    "sbatch": SBATCH,
    "squeue": SQUEUE,
    "sacct": SACCT,
    "sinfo": SINFO,
    "scontrol": SCONTROL,
    "scancel": SCANCEL,
    # It has none of its own.
    "sacctmgr": {},
}
"""By program, beside what all of them read."""
