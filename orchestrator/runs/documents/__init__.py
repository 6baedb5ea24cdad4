"""JSON files of a run, read so that a damaged one is told and never ends a command."""
