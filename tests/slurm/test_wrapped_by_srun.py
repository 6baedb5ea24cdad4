"""Commands that are started through srun, as sites with containers of pyxis have it, and a set-up
line that ends a job on a node."""

from pathlib import Path

from tests.support.cli import SMALL, describe, jobs, orch
from tests.support.private_slurm import PrivateSlurm


def test_srun_as_the_wrapper_and_a_failing_line_of_setup(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    profile = tmp_path / "wrapped.yaml"
    profile.write_text(f"{slurm.profile.read_text()}wrap: [srun, --kill-on-bad-exit]\n")
    file = describe(
        tmp_path,
        f"  a: {{command: [sh, -c, 'echo step $SLURM_STEP_ID > $ORCH_OUT/said'], {SMALL}}}\n"
        f"  b: {{command: [sh, -c, 'exit 3'], {SMALL}}}\n"
        f"  c: {{command: 'true', setup: ['test -d /nowhere/at/all'], {SMALL}}}\n",
    )
    orch(tmp_path, "launch", file, "--cluster", profile, "--watch")
    found = jobs(tmp_path)
    assert {name: job["state"] for name, job in found.items()} == {
        "a": "COMPLETED",
        "b": "FAILED",
        "c": "FAILED",
    }
    (said,) = (tmp_path / "runs").glob("trial/*/jobs/a/out/files/said")
    assert said.read_text() == "step 0\n"
    assert "setup ended with exit code 1 in: test -d /nowhere/at/all" in found["c"]["reason"]
