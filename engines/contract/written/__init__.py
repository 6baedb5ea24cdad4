"""YAML that people write: read under limits, into values that know their place."""
