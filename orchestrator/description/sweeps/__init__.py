"""The axes of a stage, and how their values make its jobs: keys, and what they mean together."""
