"""Options of a stage as a real Slurm has them, and a retry that Slurm's own look starts."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.cli import describe, orch, slurm_says, until
from tests.support.private_slurm import PrivateSlurm

SMALL = "resources: {cpus: 1, memory_gb: 1, minutes: 1}"


def test_what_a_stage_asks_for_arrives_and_what_it_does_not_goes_to_the_cpu_partition(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    slurm_says("sacctmgr", "-i", "add", "qos", "short")
    slurm_says("sacctmgr", "-i", "modify", "account", "llmalignment", "set", "qos+=short")
    slurm_says("scontrol", "update", "nodename=a100-1", "AvailableFeatures=big")
    profile = tmp_path / "words.yaml"
    profile.write_text(slurm.profile.read_text() + "partitions: {cpu: low, debug: a100_normal_q}\n")
    file = describe(
        tmp_path,
        "  own: {command: 'sh -c \"echo $MODE $SAID > own\"', partition: debug, qos: short, "
        "constraint: big, sbatch: {comment: hello, begin: now+30}, environment: {MODE: fast}, "
        f"setup: ['export SAID=yes'], {SMALL}}}\n"
        f"  plain: {{command: 'echo plain', sbatch: {{begin: now+30}}, {SMALL}}}\n",
    )
    launched = orch(tmp_path, "launch", file, "--cluster", profile)
    assert launched.returncode == 0, launched.stderr
    ids = dict(re.findall(r"submitted (\w+) as (\d+)", launched.stdout))
    own = slurm_says("scontrol", "show", "job", ids["own"])
    for said in ("Partition=a100_normal_q", "QOS=short", "Features=big", "Comment=hello"):
        assert said in own
    plain = slurm_says("scontrol", "show", "job", ids["plain"])
    assert "Partition=low" in plain
    assert "QOS=normal" in plain
    found = until(tmp_path, lambda rows: all(r["state"] == "COMPLETED" for r in rows.values()))
    assert set(found) == {"own", "plain"}
    assert (tmp_path / "own").read_text() == "fast yes\n"
    wrong = describe(
        tmp_path, f"  own: {{command: 'echo x', partition: nope, qos: odd, {SMALL}}}\n"
    )
    refused = orch(tmp_path, "launch", wrong, "--cluster", profile)
    assert refused.returncode == 2
    assert "stage 'own': this cluster has no partition 'nope'" in refused.stderr
    assert "stage 'own': user" in refused.stderr
    assert "nothing was submitted" in refused.stderr


def test_a_time_limit_is_raised_once_by_the_look_that_slurm_starts(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(
        "import os, time\nif os.environ['ORCH_ATTEMPT'] == '1':\n    time.sleep(600)\n"
    )
    file = describe(
        tmp_path,
        f"  train: {{command: '{sys.executable} train.py', {SMALL}}}\n"
        f"  after: {{command: 'echo done', after: train, {SMALL}}}\n",
        top="retry: {time limit: 2}\n",
    )
    launched = orch(tmp_path, "launch", file, "--cluster", slurm.profile)
    assert launched.returncode == 0, launched.stderr
    (run,) = (tmp_path / "runs" / "trial").iterdir()
    # Nobody looks but the job that Slurm starts: no command of orch is called meanwhile.
    waited = subprocess.run(
        [
            "bash",
            "-c",
            f"for n in $(seq 480); do [ -e {run}/jobs/after/out/results.json ] && exit; "
            "sleep 1; done; exit 1",
        ],
        check=False,
    )
    state = json.loads((run / "state.json").read_text())
    assert waited.returncode == 0, state
    why = orch(tmp_path, "why", "train").stdout
    assert "raised by retries: minutes=2 (planned: 1)" in why
    assert "retried automatically: time limit 1 of 2" in why
    assert "#SBATCH --time=2\n" in (run / "jobs/train/attempt-2/script.sh").read_text()
    assert not (run / "jobs/train/attempt-3").exists()
