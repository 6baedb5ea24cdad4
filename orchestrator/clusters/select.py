"""Which scheduler runs a run's jobs: Slurm, or this machine.

In: a run. Out: its ``Cluster``. Called by every command that asks or changes what is queued.
"""

from __future__ import annotations

from orchestrator.clusters.base import Cluster
from orchestrator.errors import RunError
from orchestrator.runs.run import Run


def cluster_of(run: Run) -> Cluster:
    """The scheduler that a run was launched on. RunError if this version does not know its kind."""
    kind: str = run.profile.kind
    # A run uses one of the two, and every `orch status` pays for what is imported.
    if kind == "local":
        from orchestrator.clusters.local.cluster import LocalCluster

        return LocalCluster(run)
    if kind == "slurm":
        from orchestrator.clusters.slurm.cluster import SlurmCluster

        return SlurmCluster(run)
    # The profile comes from plan.json, which a newer version may have written.
    raise RunError(
        f"{run.name}: its profile has kind: '{kind}', and this version knows slurm and local alone"
    )
