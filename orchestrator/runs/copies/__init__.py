"""Runs of other machines whose folders were brought here."""
