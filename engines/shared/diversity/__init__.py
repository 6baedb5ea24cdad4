"""How different the replies to one prompt are, and what else is read off their texts."""
