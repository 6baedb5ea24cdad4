"""What `orch status` shows a person: jobs or stages as a table, then what failed or waits."""
