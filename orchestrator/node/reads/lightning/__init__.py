"""What Lightning's ModelCheckpoint leaves."""
