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
trap '[ $LINENO = 1 ] || orch_line=$LINENO' DEBUG ERR
trap 'orch_code=$?; echo "orch-error: setup ended with exit code $orch_code in: $(sed -n "${orch_line}p" "$0") (a line whose exit code is not 0 ends the job: write || true behind it if it may fail)"; exit $((orch_code ? orch_code : 1))' EXIT
set -e
module reset
source "$HOME/orch-env/bin/activate"
trap - DEBUG ERR EXIT

# command
export SUBMITIT_EXECUTOR=slurm
exec true
