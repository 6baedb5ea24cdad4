"""The program in C that starts plain jobs on a node, and what Python does before and after it."""
