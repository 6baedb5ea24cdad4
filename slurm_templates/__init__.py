"""Cluster profiles (YAML) and the shell set-up that a job sources. Data, no logic."""
