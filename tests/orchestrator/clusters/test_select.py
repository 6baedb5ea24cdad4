"""The profile's kind of scheduler chooses the cluster; another kind is an error, not Slurm."""

import dataclasses
from typing import Any

import pytest

from orchestrator.clusters.select import cluster_of
from orchestrator.clusters.slurm.cluster import SlurmCluster
from orchestrator.description.profile import Profile
from orchestrator.errors import RunError
from tests.support.builders import job, run_of


def test_slurm_is_chosen_by_its_name() -> None:
    assert isinstance(cluster_of(run_of(job("a"))), SlurmCluster)


def test_a_kind_that_this_version_does_not_know_is_an_error() -> None:
    held: dict[str, Any] = {"kind": "pbs"}  # as plan.json holds it
    run = dataclasses.replace(run_of(job("a")), profile=Profile(**held))
    with pytest.raises(RunError, match="kind: 'pbs'"):
        cluster_of(run)
