"""A run followed live, line by line or full-screen."""
