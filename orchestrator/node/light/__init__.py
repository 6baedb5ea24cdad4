"""What the program on a node does without modules that take long to load."""
