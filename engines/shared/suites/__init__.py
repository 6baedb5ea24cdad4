"""Suites of benchmarks: their files and problems, and how each of their tasks is sampled."""
