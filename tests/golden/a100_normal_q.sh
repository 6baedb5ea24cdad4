#!/bin/bash

# Parameters
#SBATCH --account=llmalignment
#SBATCH --cpus-per-task=32
#SBATCH --gres=gpu:a100:3
#SBATCH --job-name=x.train.0123456789
#SBATCH --mem=100G
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/runs/x/log.txt
#SBATCH --partition=a100_normal_q
#SBATCH --requeue
#SBATCH --signal=B:USR2@120
#SBATCH --time=720

# setup
export PYTHONSAFEPATH=1
export HF_HOME="$HOME/.cache/huggingface" \
    TOKENIZERS_PARALLELISM=false \
    NCCL_DEBUG=WARN
set -e
module reset
source "$HOME/orch-env/bin/activate"

# command
export SUBMITIT_EXECUTOR=slurm
exec true
