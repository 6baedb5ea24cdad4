"""What a job died of, read from the end of its log: kinds and what to do about each, lines without
what terminals and launchers put into them, exceptions and what led to them, signatures."""
