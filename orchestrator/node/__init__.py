"""The program on the node. It needs the standard library alone, and is copied as it is."""
