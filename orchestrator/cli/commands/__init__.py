"""One command, one file; `orchestrator/cli/app.py` finds them by name."""
