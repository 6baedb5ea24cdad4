"""What queued jobs wait for, where that changes after they were submitted."""
