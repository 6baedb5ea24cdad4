"""Replies to short texts: rows and their file, the prompt of a model, and whether a reply is any
good."""
