"""Which scheduler runs a run's jobs: Slurm, or this machine."""

from __future__ import annotations

from orchestrator.clusters.base import Cluster
from orchestrator.runs.run import Run


def cluster_of(run: Run) -> Cluster:
    """The scheduler that a run was launched on."""
    if run.profile.kind == "local":
        from orchestrator.clusters.local.cluster import LocalCluster

        return LocalCluster(run)
    from orchestrator.clusters.slurm.cluster import SlurmCluster

    return SlurmCluster(run)
