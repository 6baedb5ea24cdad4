"""What can be asked of a scheduler: submit, cancel, hold, and where its jobs are."""
