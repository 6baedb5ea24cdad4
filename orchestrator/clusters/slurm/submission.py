"""What sbatch says: the id of the job that it has taken, or why it took none.

In: its output and its error output. Out: an id, the limit that is meant, or whether the job may be
in the queue all the same. Pure. Called by ``SlurmCluster`` (cluster.py) and by `orch check`.
"""

from __future__ import annotations

import re

ID_LINE = re.compile(r"(\d+)(?:;[\w.-]+)?")
"""What ``sbatch --parsable`` prints: the id, and of several clusters which one took it."""


def id_in(output: str) -> str | None:
    """The id in what sbatch has printed: the last line that is one. A site's wrapper may greet
    before it, and a plugin may talk after it. None: there is none."""
    for line in reversed(output.splitlines()):
        if match := ID_LINE.fullmatch(line.strip()):
            return match[1]
    return None


AMBIGUOUS = re.compile(
    r"socket timed out|temporarily unable|unable to contact|communication|zero bytes|timeout"
    r"|connection (refused|reset|timed out)|unexpected message",
    re.IGNORECASE,
)
LIMITS = re.compile(r"\b(?:QOS|Assoc)\w*Submit\w*Limit\b")
"""What Slurm calls its limits on the number of a user's jobs."""
POLICY = re.compile(r"violates accounting/QOS policy", re.IGNORECASE)
"""What it says when such a limit is reached, and when a request can never be met."""
# "QOSMaxCpuPerUserLimit" beside the policy: a rule, but not on how many jobs there are.
OTHER_RULE = re.compile(r"\b(?:QOS|Assoc)\w+\b")


def perhaps_submitted(said: str) -> bool:
    """Whether the job may be in the queue although sbatch printed this error."""
    return AMBIGUOUS.search(said) is not None


def limit_named(said: str) -> str | None:
    """The limit on the number of jobs that sbatch names; "" if it may mean one, or another rule;
    None: it means something else."""
    limit = LIMITS.search(said)
    if limit is not None:
        return limit[0]
    return "" if POLICY.search(said) and not OTHER_RULE.search(said) else None
