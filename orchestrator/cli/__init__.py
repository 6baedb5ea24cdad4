"""`orch`: read the command line, call one function, print what it returns."""

COMPLETION = "_ORCH_COMPLETE"
"""Variable by which a shell asks for completions; click derives it from the program's name."""
