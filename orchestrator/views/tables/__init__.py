"""One way to lay out a table, for every command that prints one."""
