"""How far a command's long work is, for whoever shows it."""
