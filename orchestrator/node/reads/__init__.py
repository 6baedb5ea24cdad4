"""Read what frameworks write anyway, while a command runs: its progress, results and checkpoints.

The readers are our own and need the standard library alone, also for TensorBoard's and W&B's files.
The program on the node runs without any site-packages, the environment of the command is not ours
to choose, and what is installed there differs: wandb 0.31 has no Python reader any more, and
tensorboard's ends without a word at a damaged record. Tests hold these readers against the
frameworks.
"""
