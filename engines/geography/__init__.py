"""Small language models learn to answer questions about cities: pretraining and fine-tuning."""
