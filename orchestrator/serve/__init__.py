"""`orch serve`: the runs as a live page in the browser."""
