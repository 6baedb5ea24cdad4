"""What is checked before anything is queued."""
