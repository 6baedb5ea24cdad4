"""What is kept in a run of choices among jobs."""
