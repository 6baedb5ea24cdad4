"""What the program on a node and the orchestrator share of Slurm. Standard library alone."""
