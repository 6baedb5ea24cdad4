#!/bin/bash

# Parameters
#SBATCH --account=my-project
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --gres=gpu:3
#SBATCH --job-name=x.train.0123456789
#SBATCH --mem=0
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/runs/x/log.txt
#SBATCH --partition=batch
#SBATCH --requeue
#SBATCH --signal=B:USR2@120
#SBATCH --time=720

# setup
export PYTHONSAFEPATH=1
export HF_HOME="$HOME/.cache/huggingface" \
    ORCH_WRAP='["apptainer", "exec", "--nv", "--bind", "/scratch", "/scratch/containers/orch.sif"]' \
    ORCH_PYTHON=python3
set -e
module load apptainer

# command
export SUBMITIT_EXECUTOR=slurm
exec true
