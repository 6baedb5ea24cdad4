"""Batches on their way to the scheduler."""
