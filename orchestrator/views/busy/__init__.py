"""What a command shows while it works, and of what it says for each job the first few lines."""
