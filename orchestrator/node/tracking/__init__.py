"""What a job's trackers are told: variables for all programs, and a follower beside an engine."""
