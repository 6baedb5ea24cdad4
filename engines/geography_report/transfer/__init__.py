"""What training on some tasks gives to others: normalised improvement, what one would expect of
specialists, and the difference with its interval."""
