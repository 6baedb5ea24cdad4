"""Slurm: scripts, programs, answers. The only package that names its programs."""
