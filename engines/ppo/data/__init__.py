"""Which problems are trained on: read, checked, drawn."""
