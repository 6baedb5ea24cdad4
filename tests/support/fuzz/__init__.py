"""Inputs as people write them, sound, mutated, and those that once ended badly."""
