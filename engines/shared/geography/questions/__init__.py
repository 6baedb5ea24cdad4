"""Questions about the cities of a world: their answers, which are drawn and which are held out, the
files they lie in, and their tokens."""
