"""What people write - experiment, gates, profile, notifications - read and checked, every mistake
with its line."""
