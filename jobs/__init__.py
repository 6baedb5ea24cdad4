"""WHAT runs: the experiment files and the small pure functions that turn a stage into jobs."""
