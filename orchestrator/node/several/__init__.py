"""A command on several nodes: one process on each, started by srun. Standard library alone."""
