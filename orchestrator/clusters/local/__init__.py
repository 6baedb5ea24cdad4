"""The scheduler that runs jobs on this machine."""
