"""A taste of a newer Slurm, where `make test-slurm-new` has made its root before."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

NEWER = str(ROOT / "scripts" / "newer_slurm.sh")


@pytest.mark.skipif(
    subprocess.run([NEWER, "there"], check=False).returncode != 0,
    reason="no root with a newer Slurm here: make test-slurm-new makes one",
)
def test_a_graph_runs_whole_on_a_newer_slurm() -> None:
    one = "tests/slurm/test_cluster.py::test_graph_runs_whole_and_a_second_launch_submits_nothing"
    options = ["-q", "-n", "0", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [NEWER, sys.executable, "-m", "pytest", *options, one],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
