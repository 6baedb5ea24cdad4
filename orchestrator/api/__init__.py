"""Runs from Python: a notebook or a script loads, launches and waits for them."""
