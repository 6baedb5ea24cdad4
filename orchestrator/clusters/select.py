"""Which scheduler runs a run's jobs: Slurm, or this machine.

In: a run. Out: its ``Cluster``. Called by every command that asks or changes what is queued.
"""

from __future__ import annotations

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.local.cluster import LocalCluster
from orchestrator.clusters.slurm.cluster import SlurmCluster
from orchestrator.runs.run import Run


def cluster_of(run: Run) -> Cluster:
    """The scheduler that a run was launched on."""
    return LocalCluster(run) if run.profile.kind == "local" else SlurmCluster(run)
