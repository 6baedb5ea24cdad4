"""Launch a run anew, and say what differs between two."""
