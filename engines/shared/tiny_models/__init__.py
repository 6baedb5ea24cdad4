"""Tiny language models with fresh weights, made and trained on the spot: nothing is downloaded."""
