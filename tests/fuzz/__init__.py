"""Inputs made at random, far more of them than a test tries: `make fuzz`."""
