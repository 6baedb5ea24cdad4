"""The published figures, and what this report has of them."""
