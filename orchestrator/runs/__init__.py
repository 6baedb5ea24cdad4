"""One launch of an experiment and the files in its folder. Nothing else writes them."""
