"""`orch`: read the command line, call one function, print what it returns."""
