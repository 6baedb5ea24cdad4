"""What a command shows while it works, and of what it says of thousands of jobs the first lines."""
