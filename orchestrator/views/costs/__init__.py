"""Hours asked for, used and wasted, and what to ask for next time."""
