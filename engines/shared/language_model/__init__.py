"""A causal language model in torch: packed passes, adapters, sampling; shared by trainings."""
