"""What diversity adds to cross-entropy: the set diversity of samples and its gradient, and the
surrogates that need no sample. docs/polychromic.md derives the equations."""
