"""What ends a run's spending and restarting by itself."""
