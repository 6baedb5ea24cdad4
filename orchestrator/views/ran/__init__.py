"""What exactly ran: a page beside that of a run, and lines of `orch why`."""
