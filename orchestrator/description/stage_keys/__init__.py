"""Parts of a stage as a person writes them: options, gates, metrics, and what a command reads."""
