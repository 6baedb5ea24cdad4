"""The sbatch script of a job, as Slurm should read it."""

import subprocess
from pathlib import Path

import pytest

from jobs.spec import Resources
from orchestrator.clusters.slurm.script import JobScript, script_text
from orchestrator.description.profile import NAMED_END, Profile
from orchestrator.node.slurm.variables import INPUTS

GOLDEN = """#!/bin/bash

# Parameters
#SBATCH --account=llmalignment
#SBATCH --cpus-per-task=32
#SBATCH --dependency=afterok:17:18
#SBATCH --gres=gpu:a100:2
#SBATCH --job-name=mtl-comparison.train/arm=pcgrad,seed=0.0123456789
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --mem=128G
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output='/runs/my run/100%%/log.txt'
#SBATCH --partition=a100_normal_q
#SBATCH --requeue
#SBATCH --signal=B:USR2@120
#SBATCH --time=720

# setup
export PYTHONSAFEPATH=1
export HF_HOME='/scratch/my models'
{NAMED_END}
set -e
module load cuda
trap - DEBUG ERR EXIT

# command
export SUBMITIT_EXECUTOR=slurm
exec python -m orchestrator.node '/runs/my run' 1 0123456789
"""


def test_the_script_is_what_slurm_should_read(monkeypatch: pytest.MonkeyPatch) -> None:
    # submitit makes the text alone: it asks no program, and no variable changes it.
    monkeypatch.setattr(subprocess, "Popen", None)
    for program in INPUTS.values():
        for name in program:
            monkeypatch.setenv(name, "7")
    monkeypatch.setenv("SUBMITIT_PREEMPT_SIGNAL", "USR1")
    profile = Profile(
        name="p",
        kind="slurm",
        partition="a100_normal_q",
        account="llmalignment",
        gpu_type="a100",
        setup=["module load cuda"],
        environment={"HF_HOME": "/scratch/my models"},
    )
    text = script_text(
        profile,
        Resources(gpus=2, cpus=32, memory_gb=128, minutes=720),
        JobScript(
            name="mtl-comparison.train/arm=pcgrad,seed=0.0123456789",
            log=Path("/runs/my run/100%/log.txt"),
            dependency="afterok:17:18",
            command=["python", "-m", "orchestrator.node", "/runs/my run", "1", "0123456789"],
        ),
    )
    assert text == GOLDEN.replace("{NAMED_END}", "\n".join(NAMED_END))
