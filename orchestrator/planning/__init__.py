"""From a checked description to a plan: jobs, their order, their identities."""
