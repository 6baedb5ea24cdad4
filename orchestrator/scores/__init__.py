"""Scores of checkpoints: evolutions, comparisons, tables of results."""
