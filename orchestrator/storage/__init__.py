"""Taking a run away: for good, or into one file."""
