"""An experiment file and what it is put together from: other files, and variables."""
