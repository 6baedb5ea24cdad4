"""Reading, splitting and comparing problems."""
