"""What several engines share. Nothing here is a program."""
