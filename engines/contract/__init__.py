"""What an engine and the orchestrator agree on: configs, files, checkpoints, metrics. No heavy
import."""
