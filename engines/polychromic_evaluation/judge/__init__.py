"""A language model behind an endpoint compares replies, within a budget."""
