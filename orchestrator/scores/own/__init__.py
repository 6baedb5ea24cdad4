"""An evolution whose checkpoints are scored by a command of the followed run."""
