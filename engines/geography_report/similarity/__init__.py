"""How alike the models' representations of cities are."""
