"""Random finite-state machines, their sequences, and small models that learn them in context."""
