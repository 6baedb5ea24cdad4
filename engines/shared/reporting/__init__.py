"""Statistics, tables and figures of every report."""
